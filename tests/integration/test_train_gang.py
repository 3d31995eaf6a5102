"""Two pods of one process each, as the backend starts them: two launchers with `PET_*` variables, gloo between them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from slipway_train.watchdog import FLOOR_SECONDS
from tests.unit.train.support import free_port, recipe_json, write_dataset

STEPS = 300
PATIENCE_SECONDS = 240  # four processes import torch; on a busy machine that alone takes a minute


@dataclass
class Pod:
    process: subprocess.Popen[bytes]
    termination_log: Path
    log: Path

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)

    def message(self) -> Any:
        return json.loads(self.termination_log.read_text())

    def worker_pid(self) -> int:
        """The launcher's child that runs the recipe."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            fields = _read(stat).rpartition(")")[2].split()
            if (
                fields
                and int(fields[1]) == self.process.pid
                and "slipway_train.worker" in _read(stat.parent / "cmdline")
            ):
                return int(stat.parent.name)
        raise AssertionError(f"no worker under {self.process.pid}: {self.log.read_text()}")


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process ended meanwhile
        return ""


def start(recipe: dict[str, Any] | list[dict[str, Any]], output: Path, scratch: Path) -> list[Pod]:
    """`recipe` is the same for two pods, or one for each of as many as there are."""
    scratch.mkdir()
    port = str(free_port())
    recipes = recipe if isinstance(recipe, list) else [recipe, recipe]
    pet = {"PET_NNODES": str(len(recipes)), "PET_NPROC_PER_NODE": "1", "PET_MASTER_PORT": port}
    return [_start_pod(each, output if rank == 0 else None, scratch, rank, pet) for rank, each in enumerate(recipes)]


def _start_pod(recipe: dict[str, Any], output: Path | None, scratch: Path, rank: int, pet: dict[str, str]) -> Pod:
    variables = pet | {"PET_NODE_RANK": str(rank)}
    return launch(recipe, scratch, variables | ({"SLIPWAY_OUTPUT_DIR": str(output)} if output is not None else {}))


def launch(recipe: dict[str, Any], scratch: Path, variables: dict[str, str]) -> Pod:
    """A pod's launcher. `variables` say which pod of the gang it is."""
    rank = variables["PET_NODE_RANK"]
    termination_log, log = scratch / f"termination-{rank}", scratch / f"log-{rank}"
    rest = {
        "PET_MASTER_ADDR": "127.0.0.1",
        "OMP_NUM_THREADS": "1",
        "SLIPWAY_RECIPE": json.dumps(recipe),
        "SLIPWAY_TERMINATION_LOG": str(termination_log),
    }
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "slipway_train.launch"], env=os.environ | variables | rest, stdout=file, stderr=file
        )
    return Pod(process, termination_log, log)


def curve(output: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


def wait_for(condition: Callable[[], bool], pods: list[Pod], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > end or any(pod.process.poll() is not None for pod in pods):
            raise AssertionError(f"{what} never came:\n" + "\n".join(pod.log.read_text() for pod in pods))
        time.sleep(0.005)


def reached(output: Path, step: int) -> Callable[[], bool]:
    return lambda: (
        (output / "metrics.jsonl").exists() and len((output / "metrics.jsonl").read_text().splitlines()) > step
    )


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    root = tmp_path / "dataset"
    root.mkdir()
    write_dataset(root)
    return root


@pytest.fixture
def gang_recipe(dataset: Path) -> dict[str, Any]:
    return recipe_json(
        dataset,
        training={"steps": STEPS, "batchSize": 4, "optimizer": {"warmupSteps": 5}},
        checkpoint={"everySteps": 20, "keep": 2},
    )


def test_a_killed_and_a_stopped_gang_go_on_bit_for_bit(gang_recipe: dict[str, Any], tmp_path: Path) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed", tmp_path / "disturbed"
    undisturbed.mkdir()
    disturbed.mkdir()

    pods = start(gang_recipe, undisturbed, tmp_path / "run-0")
    assert [pod.wait() for pod in pods] == [0, 0], pods[0].log.read_text()
    expected = pods[0].message()
    assert expected["step"] == STEPS
    assert float(expected["evaluation"]["bitsPerByte"]) < float(expected["evaluation"]["unigramBitsPerByte"]) - 1
    assert not pods[1].termination_log.exists(), "only rank 0's pod says how it went"

    # one rank is killed: its pod tells the signal, the other pod ends too and does not hang
    pods = start(gang_recipe, disturbed, tmp_path / "run-1")
    wait_for(reached(disturbed, 50), pods, "step 50")
    os.kill(pods[1].worker_pid(), signal.SIGKILL)
    killed = time.monotonic()
    assert pods[1].wait() == 137
    (failure,) = pods[1].message()["failures"]
    assert (failure["rank"], failure["exitCode"], failure["signal"]) == (1, -9, "SIGKILL")
    assert pods[0].wait() == 1
    assert time.monotonic() - killed < FLOOR_SECONDS, "the peer saw it, no time-out had to pass"
    (failure,) = pods[0].message()["failures"]
    assert (failure["rank"], failure["exitCode"]) == (0, 1)
    assert "Error" in failure["message"], "the last lines, with what the process group said"

    # one pod is told to stop: both stop after the same step, with a checkpoint of it
    pods = start(gang_recipe, disturbed, tmp_path / "run-2")
    wait_for(reached(disturbed, 110), pods, "step 110")
    pods[1].process.send_signal(signal.SIGTERM)
    assert [pod.wait() for pod in pods] == [143, 143]
    for rank, pod in enumerate(pods):
        (failure,) = pod.message()["failures"]
        assert (failure["rank"], failure["exitCode"]) == (rank, 143)
        assert "is saved" in failure["message"]
    stopped_at = len(curve(disturbed))
    assert (disturbed / "checkpoints" / f"step-{stopped_at:09d}").is_dir()
    assert not (disturbed / "model").exists()

    pods = start(gang_recipe, disturbed, tmp_path / "run-3")
    assert [pod.wait() for pod in pods] == [0, 0], pods[0].log.read_text()
    assert f"event=resume step={stopped_at}" in pods[0].log.read_text()
    assert curve(disturbed) == curve(undisturbed)
    assert pods[0].message() == expected
    weights = [(output / "model" / "model.safetensors").read_bytes() for output in (undisturbed, disturbed)]
    assert weights[0] == weights[1]


def test_a_wrong_recipe_ends_before_anything_starts(gang_recipe: dict[str, Any], tmp_path: Path) -> None:
    gang_recipe["model"]["kvHeads"] = 3
    pods = start(gang_recipe, tmp_path, tmp_path / "run")
    assert [pod.wait() for pod in pods] == [2, 2]
    (failure,) = pods[1].message()["failures"]
    assert failure == {
        "rank": 1,
        "exitCode": 2,
        "message": "model.kvHeads: model.heads, 2, is not a multiple of 3",
    }
