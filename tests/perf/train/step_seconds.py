"""`python -m tests.perf.train.step_seconds`: what a training step costs, as ratios within one run.

1. Our loop against a plain torch loop: the same model, optimizer, DDP, rows and one process. The plain one takes
   batches, steps, and reads the loss; ours also splits the batch, adds up the loss and the wish to stop over the gang,
   writes metrics and tells observers.
2. Every strategy against DDP: the same model and rows, in the same two processes.

Rounds of what is compared alternate, and each figure is a median over rounds of a round's ratio: what else the machine
does falls on both. Of the loops, the process's CPU time is compared too, on which the rest of the machine hardly tells.
Takes about two minutes on two quiet cores.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.strategybed import run
from tests.unit.train.support import recipe_json, write_dataset

if TYPE_CHECKING:
    from slipway_train.gang import Gang
    from slipway_train.loop import StepDone

MODEL = {"vocabSize": 2048, "contextLength": 128, "hiddenSize": 192, "layers": 4, "heads": 6, "kvHeads": 2}
BATCH = 4
LOOP_ROUNDS = 24
STRATEGY_ROUNDS = 6
STEPS = 6  # of a round
GOAL_PERCENT = 2.0
BASE = "ddp"
STRATEGIES: dict[str, dict[str, Any]] = {
    BASE: {"strategy": "ddp"},
    "fsdp full": {"strategy": "fsdp", "fsdp": {"shard": "full"}},
    "fsdp gradients": {"strategy": "fsdp", "fsdp": {"shard": "gradients"}},
    "deepspeed 1": {"strategy": "deepspeed", "deepspeed": {"stage": 1}},
    "deepspeed 2": {"strategy": "deepspeed", "deepspeed": {"stage": 2}},
    "deepspeed 3": {"strategy": "deepspeed", "deepspeed": {"stage": 3}},
    "tensor": {"strategy": "parallel", "parallel": {"tensor": 2}},
    "context": {"strategy": "parallel", "parallel": {"context": 2}},
    "pipeline": {"strategy": "parallel", "parallel": {"pipeline": 2}, "accumulate": 2},
}


def recipe(dataset: Path, *, accumulate: int = 1, **changes: Any) -> dict[str, Any]:
    training = {"steps": 1_000_000, "batchSize": BATCH, "accumulationSteps": accumulate}
    checkpoint = {"everySteps": 1_000_000}
    return recipe_json(dataset, model=MODEL, training=training, checkpoint=checkpoint, **changes)


class Enough(Exception):
    """A round of the loop is over."""


class Rounds:
    """An observer that ends the loop after so many steps."""

    def __init__(self) -> None:
        self._left = STEPS

    def on_step(self, done: "StepDone") -> None:
        self._left -= 1
        if not self._left:
            raise Enough

    def close(self) -> None: ...


def compare_loops(gang: "Gang", what: dict[str, Any], output: Path, _stop_at: int | None) -> None:
    """Writes the times of each round: ours, plain."""
    from slipway_train.compute import ComputeClock
    from slipway_train.config import Recipe
    from slipway_train.loop import Run, train
    from slipway_train.output import open_output
    from slipway_train.pace import Pace
    from slipway_train.recipes import make_task
    from slipway_train.stragglers import Stragglers
    from slipway_train.strategies.choose import shard
    from slipway_train.watchdog import Watchdog

    read = Recipe.model_validate_json(json.dumps(what))
    task, theirs = (make_task(read, gang, None) for _ in range(2))
    clock = ComputeClock(task.model, gang.device)
    sharded = shard(task.model, read, gang)
    watchdog = Watchdog.of(read.stall, sys.exit)
    ours = Run(read, gang, task, sharded, open_output(output / "job", read), None, watchdog, clock, step=0)
    stragglers = Stragglers(gang, clock, ours.notes)
    plain = plain_loop(theirs, read)

    def one_round() -> None:
        try:
            pace = Pace(read, None, stragglers, step=ours.step, bad_rows=lambda: 0)
            train(ours, [stragglers, pace, Rounds()], lambda: False)
        except Enough:
            return

    found = [(times(one_round), times(plain)) for _ in range(1 + LOOP_ROUNDS)][1:]  # the first is warm-up
    (output / "rounds.json").write_text(json.dumps(found))


def plain_loop(task: Any, read: Any) -> Callable[[], None]:
    """What one would write by hand."""
    import torch
    from torch.nn.parallel import DistributedDataParallel

    from slipway_train.model import build_optimizer

    model = DistributedDataParallel(
        task.model, gradient_as_bucket_view=True, static_graph=True, forward_sync_buffers=False
    )
    optimizer = build_optimizer(task.model, read.training.optimizer)

    def one_round() -> None:
        for _ in range(STEPS):
            batch = task.batch()
            logits = model(input_ids=batch.tokens, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), batch.labels.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
            loss.item()

    return one_round


def compare_strategies(gang: "Gang", what: dict[str, Any], output: Path, _stop_at: int | None) -> None:
    """Writes, per strategy, the seconds of each round."""
    from slipway_train.config import Recipe
    from slipway_train.recipes import make_task
    from slipway_train.strategies.choose import shard

    dataset = Path(what["dataset"]["path"])
    steps: dict[str, Callable[[], None]] = {}
    for name, changes in STRATEGIES.items():
        read = Recipe.model_validate_json(json.dumps(recipe(dataset, **changes)))
        task = make_task(read, gang, None)
        steps[name] = stepping(shard(task.model, read, gang), task.batch(), read.training.accumulation_steps, gang)
    found: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(1 + STRATEGY_ROUNDS):
        for name, one_round in steps.items():
            gang.sum([0.0])  # together
            took = seconds(one_round)
            if number:
                found[name].append(took)
    if gang.rank == 0:
        (output / "strategies.json").write_text(json.dumps(found))


def stepping(sharded: Any, batch: Any, parts: int, gang: "Gang") -> Callable[[], None]:
    share = batch.share(rank=sharded.data_rank, size=sharded.data_size).split(parts)

    def one_round() -> None:
        for _ in range(STEPS):
            gang.sum([sharded.step(share, targets=batch.targets, rate=1e-3)])

    return one_round


def seconds(work: Callable[[], None]) -> float:
    return times(work)[0]


def times(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds, and seconds of CPU in all threads of this process."""
    began = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began[0], time.process_time() - began[1]


def overhead_percent(rounds: list[list[list[float]]], which: int) -> float:
    return round((statistics.median(ours[which] / plain[which] for ours, plain in rounds) - 1) * 100, 2)


def figures(scratch: Path) -> dict[str, Any]:
    dataset = scratch / "dataset"
    dataset.mkdir()
    write_dataset(dataset)
    what = recipe(dataset, strategy="ddp")
    run(compare_loops, what, scratch, processes=1)
    rounds = json.loads((scratch / "rounds.json").read_text())
    run(compare_strategies, what, scratch, processes=2)
    found = json.loads((scratch / "strategies.json").read_text())
    return {
        "stepMilliseconds": round(statistics.median(plain for _, (plain, _) in rounds) / STEPS * 1000, 2),
        "loopOverheadPercent": overhead_percent(rounds, 0),
        "loopCpuOverheadPercent": overhead_percent(rounds, 1),
        "ratioToDdp": {
            name: round(statistics.median(a / b for a, b in zip(each, found[BASE], strict=True)), 3)
            for name, each in found.items()
        },
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = figures(Path(scratch))
    text = json.dumps(found, indent=2)
    sys.stdout.write(text + "\n")
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text + "\n")
    return 0 if found["loopOverheadPercent"] < GOAL_PERCENT else 1


if __name__ == "__main__":
    sys.exit(main())
