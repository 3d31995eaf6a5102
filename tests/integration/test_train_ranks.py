"""Ranks that are not like the others are named: one that is slow, and one whose weights have come apart."""

import re
from pathlib import Path
from typing import Any

import pytest

from slipway_train.desync import EVERY_STEPS as DESYNC_STEPS
from slipway_train.stragglers import EVERY_STEPS as STRAGGLER_STEPS
from tests.integration.trainbed import Bed
from tests.integration.trainrank import NUDGED, Fault
from tests.unit.train.support import recipe_json, write_dataset


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    root = tmp_path / "dataset"
    root.mkdir()
    write_dataset(root)
    (tmp_path / "job").mkdir()
    training = {"steps": DESYNC_STEPS + STRAGGLER_STEPS, "batchSize": 6}
    recipe: dict[str, Any] = recipe_json(root, training=training, checkpoint={"everySteps": 1000, "keep": 2})
    return Bed(tmp_path / "job", recipe)


def test_a_slow_rank_is_named_by_rank_and_node(bed: Bed) -> None:
    bed.variables["NODE_NAME"] = "node-of-{rank}"
    assert bed.run(3, {1: Fault("slow", 1)}) == [0, 0, 0], bed.log(0)
    told = [line for line in bed.log(0).splitlines() if "straggler" in line]
    assert f"event=straggler step={STRAGGLER_STEPS} rank=1 node=node-of-1 ratio=" in told[0]
    # On a busy machine the others may be slow for a while, too; then it is told of again.
    assert all(("no_straggler" in line) == bool(number % 2) for number, line in enumerate(told)), "not every comparison"
    noted = [(each["step"], each["slowRank"], each["slowNode"]) for each in bed.metrics() if "slowRank" in each]
    assert noted[0] == (STRAGGLER_STEPS + 1, 1, "node-of-1")


def test_weights_that_come_apart_end_the_gang_naming_parameter_and_rank(bed: Bed) -> None:
    bed.recipe["desync"] = "Fail"
    assert bed.run(3, {2: Fault("nudge", DESYNC_STEPS - 5)}) == [1, 1, 1], bed.log(0)
    for rank in range(3):
        words = f"the ranks have come apart at step {DESYNC_STEPS}: weights of {re.escape(NUDGED)} on rank 2 differs"
        assert re.search(words, bed.log(rank)), bed.log(rank)


def test_ranks_that_agree_are_left_alone(bed: Bed) -> None:
    bed.recipe["desync"] = "Fail"
    assert bed.run(2) == [0, 0], bed.log(0)
