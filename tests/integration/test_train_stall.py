"""A rank that hangs ends the gang within the watchdog's bound, and every pod says where its rank was."""

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

from tests.integration.test_train_gang import curve, start, wait_for
from tests.unit.train.support import recipe_json, write_dataset

FLOOR_SECONDS = 3
LATEST_SECONDS = 30.0  # the bound, the watchdogs' wait for each other, and the launchers' end on a busy machine


def hang(dataset: Path) -> None:
    """Files become pipes that nobody writes to: whoever opens one waits, as for a file server that is gone."""
    for path in dataset.rglob("*.py"):
        os.mkfifo(path.with_suffix(".pipe"))
        path.with_suffix(".pipe").rename(path)


def test_a_hanging_data_source_is_named_in_every_pod(tmp_path: Path) -> None:
    datasets = [tmp_path / f"dataset-{rank}" for rank in range(2)]
    datasets[0].mkdir()
    write_dataset(datasets[0])
    shutil.copytree(datasets[0], datasets[1])
    more: dict[str, Any] = {
        "training": {"steps": 5000, "batchSize": 4},
        "stall": {"factor": 10, "floorSeconds": FLOOR_SECONDS},
    }
    recipes = [recipe_json(each, **more) for each in datasets]
    output = tmp_path / "output"
    pods = start(recipes, output, tmp_path / "run")
    wait_for(lambda: (output / "metrics.jsonl").exists() and len(curve(output)) > 10, pods, "step 10")
    hang(datasets[1])

    assert [pod.wait() for pod in pods] == [75, 75], [pod.log.read_text() for pod in pods]
    ended_after = time.time() - (output / "metrics.jsonl").stat().st_mtime
    assert FLOOR_SECONDS < ended_after < LATEST_SECONDS
    stuck_in = []
    for rank, pod in enumerate(pods):
        content = json.loads(pod.termination_log.read_text())
        (failure,), (stack,) = content["failures"], content["stacks"]
        assert (failure["rank"], failure["exitCode"], stack["rank"]) == (rank, 75, rank)
        assert f"stalled: step {len(curve(output)) + 1} has not ended within 3 s" in failure["message"]
        stuck_in.append(stack["stack"])
    assert "pieces (" in stuck_in[1], stuck_in
    assert "pieces (" not in stuck_in[0], stuck_in
    assert "step (" in stuck_in[0], stuck_in
    assert "in pieces" in pods[1].log.read_text(), "the whole stacks of all threads are in the log"
