"""What was in memory when a rank died is on the volume when its pod has ended, for the next gang to go on from."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from slipway_train.checkpoint import CheckpointStore
from tests.integration.test_train_gang import curve, reached, start, wait_for
from tests.unit.train.support import recipe_json, write_dataset


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    root = tmp_path / "dataset"
    root.mkdir()
    write_dataset(root)
    checkpoint = {"everySteps": 100_000, "memoryEvery": 1}
    return recipe_json(root, training={"steps": 100_000, "batchSize": 4}, checkpoint=checkpoint)


def test_the_launcher_rescues_what_a_killed_rank_left_in_memory(tmp_path: Path, recipe: dict[str, Any]) -> None:
    output = tmp_path / "output"
    before = set(Path("/dev/shm").glob("slipway-*"))
    pods = start([recipe], output, tmp_path / "run")
    wait_for(reached(output, 30), pods, "step 30")
    assert list((output / "checkpoints").iterdir()) == []
    os.kill(pods[0].worker_pid(), signal.SIGKILL)
    assert pods[0].wait() == 137

    newest = CheckpointStore(output / "checkpoints", keep=2).newest()
    assert newest is not None
    done = len(curve(output))
    assert done - 3 <= newest.step <= done, "memory costs a few steps at most"
    (failure,) = pods[0].message()["failures"]
    assert f"the checkpoint of step {newest.step} in memory was saved to the output" in failure["message"]
    assert f"event=memory_checkpoint_rescued step={newest.step}" in pods[0].log.read_text()
    assert set(Path("/dev/shm").glob("slipway-*")) == before, "the memory is given back"
