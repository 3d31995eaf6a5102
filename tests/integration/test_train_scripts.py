"""A TrainingJob without a cluster: as a Slurm job over two nodes, which a stand-in makes, and on this machine."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakeslurm import programs
from tests.fakeslurm.__main__ import STATE
from tests.unit.api.scriptbed import script_of
from tests.unit.train.support import write_dataset

pytestmark = [pytest.mark.level(2), pytest.mark.feature("training")]

PATIENCE_SECONDS = 240


def job(data: Path) -> str:
    spec = {
        "recipe": "pretrain",
        "nodes": 2,
        "model": {"vocabSize": 512, "contextLength": 32, "hiddenSize": 32, "layers": 1, "heads": 2, "kvHeads": 1},
        "dataset": {"uri": f"file://{data}", "include": ["**/*.py"], "heldOutPercent": 20},
        "training": {"steps": 2, "batchSize": 4, "seed": 3},
    }
    body = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "tiny"}, "spec": spec}
    return yaml.safe_dump(body)


def trained(where: Path) -> list[dict[str, Any]]:
    """The curve, without how long its steps took, once what a job leaves behind is there."""
    output = where / "slipway-output"
    assert (output / "tiny" / "model" / "config.json").exists()
    assert (output / "tiny" / "checkpoints" / "step-000000002").is_dir()
    assert json.loads((output / "tiny-0.json").read_text())["step"] == 2
    points = [json.loads(line) for line in (output / "tiny" / "metrics.jsonl").read_text().splitlines()]
    return [{name: value for name, value in point.items() if name != "seconds"} for point in points]


def run(command: list[str], where: Path, **more: str) -> None:
    path = f"{where / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **more}
    ended = subprocess.run(
        command, cwd=where, env=environment, timeout=PATIENCE_SECONDS, capture_output=True, check=False
    )
    logs = "".join(log.read_text() for log in where.glob("slurm-*.out"))
    assert ended.returncode == 0, logs + ended.stderr.decode()


def test_slurm_and_this_machine_train_alike(tmp_path: Path) -> None:
    data, slurm, here = (tmp_path / name for name in ("data", "slurm", "here"))
    for directory in (data, slurm, here, slurm / "bin", slurm / "state"):
        directory.mkdir()
    write_dataset(data)

    programs(slurm / "bin")
    (slurm / "job.sh").write_text(script_of("slurm", job(data)))
    run(["sbatch", "job.sh"], slurm, **{STATE: str(slurm / "state")})

    (here / "job.yaml").write_text(job(data))
    run([sys.executable, "-m", "slipway", "render", "--target", "torchrun", "--run", "-f", "job.yaml"], here)

    curve = trained(here)
    assert [point["step"] for point in curve] == [1, 2]
    assert trained(slurm) == curve, "two processes on two nodes, or on one: the same shares of the same batches"
