"""The planner's memory beside the trainer's own: `python -m tests.integration.planned_memory` prints the table.

Shapes are chosen so that each part of the estimate is the largest once, small enough for a few steps on one CPU.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from slipway.api.trainingjob import TrainingJobSpec
from slipway.plan.capacity.fit import needed_bytes
from slipway.plan.capacity.layout import load_of
from slipway.plan.capacity.model import parameters
from slipway.plan.capacity.resolved import resolved
from slipway.plan.capacity.training_memory import CHECKPOINT_BYTES, Memory, memory
from tests.unit.train.support import free_port, recipe_json, write_dataset

STEPS = 2
FILES = 6  # held out and trained on: the figures do not depend on them, the time does
PATIENCE_SECONDS = 240
MIB = 1 << 20

Measure = Literal["torch", "resident"]
Sharing = Literal["ddp", "fsdp", "fsdp gradients"]


@dataclass(frozen=True, slots=True)
class Case:
    """A shape: `model` and `batch` in the API's words. `largest` is the part that it is about."""

    name: str
    largest: str
    model: dict[str, int]
    batch: int
    precision: Literal["fp32", "bf16"] = "fp32"
    measure: Measure = "torch"
    sharing: Sharing = "ddp"

    def spec(self, processes: int) -> TrainingJobSpec:
        return TrainingJobSpec.model_validate(
            {
                "recipe": "pretrain",
                "perNode": processes,
                "precision": self.precision,
                **self.strategy(),
                "model": self.model,
                "dataset": {"uri": "file:///data"},
                "training": {"steps": STEPS, "batchSize": self.batch},
            }
        )

    def strategy(self) -> dict[str, Any]:
        """In the API's words, and the recipe's."""
        name, _, shard = self.sharing.partition(" ")
        return {"strategy": name} | ({"fsdp": {"shard": shard or "full"}} if name == "fsdp" else {})


def shape(vocabulary: int, context: int, hidden: int, layers: int, heads: int, kv_heads: int) -> dict[str, int]:
    names = ("vocabSize", "contextLength", "hiddenSize", "layers", "heads", "kvHeads")
    return dict(zip(names, (vocabulary, context, hidden, layers, heads, kv_heads), strict=True))


ALONE = (
    Case("whole process", "optimizer", shape(512, 32, 512, 6, 8, 8), batch=1, measure="resident"),
    Case("many logits", "logits", shape(2048, 256, 96, 2, 6, 2), batch=4),
    Case("many weights", "optimizer", shape(512, 32, 384, 6, 6, 6), batch=2),
    Case("many layers", "activations", shape(512, 256, 96, 12, 4, 4), batch=4),
    Case("mixed precision", "activations", shape(512, 256, 96, 6, 6, 6), batch=4, precision="bf16"),
)
PAIRED = ALONE[1:3]
IN_PIECES = (
    *(replace(case, sharing="fsdp") for case in ALONE[1:4]),
    replace(ALONE[2], sharing="fsdp gradients"),
)


@dataclass(frozen=True, slots=True)
class Compared:
    case: Case
    processes: int
    predicted_bytes: int
    measured_bytes: int

    @property
    def error_percent(self) -> float:
        """Above zero where the planner asks for more than was needed."""
        return 100 * (self.predicted_bytes / self.measured_bytes - 1)


def compare_all() -> list[Compared]:
    return [*compare(ALONE, processes=1), *compare((*PAIRED, *IN_PIECES), processes=2)]


def compare(cases: tuple[Case, ...], *, processes: int) -> list[Compared]:
    """All cases in one gang, one after the other; rank 0's figures."""
    planned, found = [predicted(case, processes) for case in cases], _measured(cases, processes)
    return [Compared(case, processes, *sizes) for case, *sizes in zip(cases, planned, found, strict=True)]


def estimate(case: Case, processes: int) -> Memory:
    spec = case.spec(processes)
    return memory(resolved(spec), load_of(spec), spec.accelerator)


def predicted(case: Case, processes: int) -> int:
    """Of rank 0. torch's allocator knows nothing of the interpreter, nor of the bytes that a file is checked by."""
    each, load = estimate(case, processes), load_of(case.spec(processes))
    if case.measure == "torch":
        return max(each.total, each.states + CHECKPOINT_BYTES * parameters(load.shape)) - each.overhead
    return needed_bytes(each, resolved(case.spec(processes)), load, "cpu", sharing=1)


def _measured(cases: tuple[Case, ...], processes: int) -> list[int]:
    with tempfile.TemporaryDirectory(prefix="slipway-memory-") as name:
        data = Path(name) / "data"
        data.mkdir()
        write_dataset(data, files=FILES)
        arguments = [part for case in cases for part in (case.measure, json.dumps(_recipe(data, case)))]
        port = free_port()
        ranks = [_start(rank, processes, port, [name, *arguments]) for rank in range(processes)]
        outputs = [rank.communicate(timeout=PATIENCE_SECONDS) for rank in ranks]
    for rank, (_, errors) in zip(ranks, outputs, strict=True):
        assert rank.returncode == 0, errors
    found = [int(line) for line in outputs[0][0].splitlines() if line.isdigit()]  # libraries may print, too
    assert len(found) == len(cases), outputs[0]
    return found


def _recipe(data: Path, case: Case) -> dict[str, Any]:
    training = {"steps": STEPS, "batchSize": case.batch, "seed": 3}
    checkpoint = {"everySteps": STEPS, "mode": "Sync"}  # one that is written beside steps adds to whatever they hold
    shared = {"precision": case.precision, **case.strategy()}
    return recipe_json(data, model=case.model, training=training, checkpoint=checkpoint, **shared)


def _start(rank: int, processes: int, port: int, arguments: list[str]) -> subprocess.Popen[str]:
    world = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(processes),
        "LOCAL_WORLD_SIZE": str(processes),
    }
    environment = {**os.environ, **world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "tests.integration.memory_probe", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def table(rows: list[Compared]) -> str:
    """Markdown, in MiB."""
    lines = [
        "| shape | strategy | about | processes | measured by | predicted MiB | measured MiB | error |",
        "| --- " * 8 + "|",
    ]
    for row in rows:
        sizes = f"{row.predicted_bytes / MIB:.1f} | {row.measured_bytes / MIB:.1f}"
        name = f"{row.case.name} ({', '.join(str(size) for size in row.case.model.values())}; batch {row.case.batch})"
        about = f"{name} | {row.case.sharing} | {row.case.largest} | {row.processes} | {row.case.measure}"
        lines.append(f"| {about} | {sizes} | {row.error_percent:+.1f} % |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(table(compare_all()))
