"""A run goes on with more or fewer processes: the same global batches in the same order, and the same curve.

The curve is the same within CURVE_TOLERANCE only: another number of processes adds up gradients in another order.
"""

import signal
from pathlib import Path
from typing import Any

import pytest

from tests.integration.trainbed import Bed
from tests.integration.trainrank import Fault
from tests.unit.train.support import recipe_json, write_dataset

STEPS = 40
CURVE_TOLERANCE = 1e-5  # relative; 2e-7 was measured


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    root = tmp_path / "dataset"
    root.mkdir()
    write_dataset(root)
    return recipe_json(root, training={"steps": STEPS, "batchSize": 8, "optimizer": {"warmupSteps": 5}})


def test_from_four_to_two_to_one_to_two(tmp_path: Path, recipe: dict[str, Any]) -> None:
    whole, changing = Bed(tmp_path / "whole", recipe), Bed(tmp_path / "changing", recipe)
    for one in (whole, changing):
        one.root.mkdir()
    assert whole.run(4) == [0] * 4, whole.log(0)
    for world_size in (4, 2, 1):
        told = {world_size - 1: Fault("batch", 10, signal.SIGTERM)}
        assert changing.run(world_size, told) == [143] * world_size, changing.log(0)
    assert changing.run(2) == [0, 0], changing.log(0)

    assert changing.batches() == whole.batches()
    assert len(set(whole.batches()[:STEPS])) == STEPS, "what follows is of the evaluation"
    expected, found = whole.curve(), changing.curve()
    assert found[:10] == expected[:10], "as long as nothing changes, it is the same bit for bit"
    assert [step for step, _ in found] == [step for step, _ in expected]
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in expected], rel=CURVE_TOLERANCE)
