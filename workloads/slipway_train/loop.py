"""The training loop: step, metrics line, checkpoint when due, observers, stop.

Decided here: the order of these, for every recipe and strategy. One step takes no random number, so a step is a pure
function of the checkpoint before it: that is what makes resuming exact.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import torch

from .batch import Batch
from .checkpoint import Checkpoint
from .config import Recipe
from .errors import Stopped
from .export import Finished
from .gang import Gang
from .logs import event, log
from .metrics import Metrics
from .model import learning_rate
from .output import Output
from .strategies import Sharded, State

_RNG = "rng.cpu"


class Task(Protocol):
    """What a recipe gives the loop, on every process."""

    model: torch.nn.Module  # whole, float32, on the CPU: for a strategy to take

    @property
    def bad_rows(self) -> int:
        """Rows of the dataset that could not be used, as far as it has been read."""

    def batch(self) -> Batch:
        """The next global batch, the same on every process."""

    def checkpoint(self, step: int, tensors: State) -> Checkpoint:
        """After `step` steps, with the position of the next batch: what makes this task again."""

    def finish(self, step: int, sharded: Sharded, output: Output | None) -> Finished:
        """After the last step, on all processes: evaluates together; rank 0, which has the output, exports."""


@dataclass(frozen=True, slots=True)
class StepDone:
    """What observers are told. `loss` is the gang's mean in nats per target; `seconds` are the step's alone."""

    step: int
    seconds: float
    loss: float
    rate: float
    saved_step: int | None
    last: bool


class Observer(Protocol):
    """Sees every step on this process; must neither block nor raise."""

    def on_step(self, done: StepDone) -> None: ...

    def close(self) -> None:
        """After the last step, or when the loop ends by an exception."""


@dataclass(slots=True)
class Run:
    """One attempt, and how far it is. `step` counts finished optimizer steps."""

    recipe: Recipe
    gang: Gang
    task: Task
    sharded: Sharded
    output: Output | None
    step: int
    saved_step: int | None


def restore(run: Run, checkpoint: Checkpoint | None) -> None:
    """Puts rank 0's checkpoint into every process; the others pass None."""
    tensors = dict(checkpoint.tensors) if checkpoint else None
    torch.set_rng_state(run.gang.broadcast(tensors.pop(_RNG) if tensors is not None else None))
    run.sharded.restore(tensors)


def train(run: Run, observers: Sequence[Observer], stop_asked: Callable[[], bool]) -> None:
    """Steps until the last one, or until a rank is told to stop: then all stop after the same step, saved."""
    with ExitStack() as closing:
        for observer in observers:
            closing.callback(observer.close)
        metrics = closing.enter_context(Metrics(run.output.metrics, resume_step=run.step)) if run.output else None
        while run.step < run.recipe.training.steps:
            began = time.monotonic()
            rate = learning_rate(run.step, steps=run.recipe.training.steps, spec=run.recipe.training.optimizer)
            loss, stop = _step(run, rate, stop=stop_asked())
            run.step += 1
            seconds = time.monotonic() - began
            last = run.step == run.recipe.training.steps
            if metrics:
                metrics.write(step=run.step, loss=loss, learningRate=rate)
            if stop or last or run.step % run.recipe.checkpoint.every_steps == 0:
                _save(run)
            for observer in observers:
                observer.on_step(StepDone(run.step, seconds, loss, rate, run.saved_step, last))
            if stop:
                raise Stopped(f"told to stop; the checkpoint of step {run.step} is saved")


def _step(run: Run, rate: float, *, stop: bool) -> tuple[float, bool]:
    """One optimizer step on the next global batch: its mean loss in nats per target, and whether a rank is to stop."""
    batch = run.task.batch()
    share = batch.share(rank=run.sharded.data_rank, size=run.sharded.data_size)
    parts = share.split(run.recipe.training.accumulation_steps)
    mine = run.sharded.step(parts, targets=batch.targets, rate=rate)
    loss, stops = run.gang.sum([mine, float(stop)])
    return loss, stops > 0


def _save(run: Run) -> None:
    """Rank 0 writes; the others only remember that it did. Nothing is written twice for one step."""
    if run.saved_step == run.step:
        return
    state = run.sharded.capture()
    if run.output is not None and state is not None:
        began = time.monotonic()
        run.output.checkpoints.save(run.task.checkpoint(run.step, {**state, _RNG: torch.get_rng_state()}))
        log.info(event("checkpoint", step=run.step, seconds=time.monotonic() - began))
    run.saved_step = run.step
