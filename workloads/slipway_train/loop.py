"""The training loop: step, metrics line, checkpoint when due, observers, stop.

Decided here: the order of these, for every recipe and strategy. What a step draws at random comes from the seed, the
step and the share of the data alone, so a step is a pure function of the checkpoint before it: that is what makes
resuming exact. The watchdog watches the inside of steps; after a checkpoint the ranks meet before the next one begins,
so that nobody's watchdog takes rank 0's writing for a stall. A step whose loss is not finite ends the run before it
leaves a trace: the newest checkpoint is of a step whose loss was.
"""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
import torch

from .batch import Batch
from .checkpoint import Checkpoint
from .compute import ComputeClock
from .config import Recipe
from .errors import Diverged, Stopped
from .export import Finished
from .gang import Gang
from .metrics import Metrics
from .model import learning_rate
from .output import Output
from .saving import Saving
from .strategies import Sharded, State
from .tiers import Tier
from .utilization import Utilization
from .watchdog import Watchdog


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
    """What observers are told. `loss` is the gang's mean in nats per target; `seconds` are the step's alone, and
    `data_seconds` what the batch took of them.

    `saved_step` is of the newest complete checkpoint on the volume (known to rank 0), `checkpoint_seconds` for how long
    the newest checkpoint, of any tier, has held up the steps. `productive_seconds` (of rank 0) are those of all steps
    that the model is made of so far, over all attempts.
    """

    step: int
    seconds: float
    loss: float
    rate: float
    saved_step: int | None
    last: bool
    data_seconds: float = 0.0
    checkpoint_seconds: float | None = None
    productive_seconds: float | None = None


class Observer(Protocol):
    """Sees every step on this process. All processes have the same observers in the same order.

    So an observer may talk to its peers, after the same steps on all of them, and may end the run by raising on all.
    """

    def on_step(self, done: StepDone) -> None: ...

    def close(self) -> None:
        """After the last step, or when the loop ends by an exception."""


@dataclass(slots=True)
class Run:
    """One attempt, and how far it is. `step` counts finished optimizer steps; rank 0 has the output. Who has `saving`
    saves: rank 0, or all with a shard each.

    `notes` is what the next line of the metrics says besides: whoever has something to say puts it there.
    """

    recipe: Recipe
    gang: Gang
    task: Task
    sharded: Sharded
    output: Output | None
    saving: Saving | None
    watchdog: Watchdog
    clock: ComputeClock
    step: int
    notes: dict[str, float | str] = field(default_factory=dict)
    checkpoint_seconds: float | None = None
    utilization: Utilization | None = None  # of the devices, where their peak is known


def train(run: Run, observers: Sequence[Observer], stop_asked: Callable[[], bool]) -> None:
    """Steps until the last one, or until a rank is told to stop: then all stop after the same step, saved."""
    with ExitStack() as closing:
        for observer in observers:
            closing.callback(observer.close)
        metrics = closing.enter_context(Metrics(run.output.metrics, resume_step=run.step)) if run.output else None
        if run.saving:
            closing.callback(run.saving.leave)  # before the metrics are closed, which a checkpoint syncs
        while run.step < run.recipe.training.steps:
            done, stop = advance(run, metrics, stop_asked)
            for observer in observers:
                observer.on_step(done)
            if stop:
                raise Stopped(f"told to stop; the checkpoint of step {run.step} is saved")


def advance(run: Run, metrics: Metrics | None, stop_asked: Callable[[], bool]) -> tuple[StepDone, bool]:
    """One step and what follows from it; and whether a rank is to stop now."""
    began = time.monotonic()
    rate = learning_rate(run.step, steps=run.recipe.training.steps, spec=run.recipe.training.optimizer)
    with run.watchdog.step(run.step + 1):
        batch = run.task.batch()
        data_seconds = time.monotonic() - began
        loss, stop, tier = _step(run, batch, rate, stop=stop_asked())
    run.step += 1
    seconds = time.monotonic() - began
    if not math.isfinite(loss):  # the gang's mean: so every rank ends here, before rank 0 saves what the step made
        raise Diverged(f"step {run.step}: the loss is {loss}")
    last = run.step == run.recipe.training.steps
    if metrics:
        metrics.write(step=run.step, loss=loss, learningRate=rate, seconds=seconds, **run.notes)
        run.notes.clear()
    if stop or last:
        _save(run, metrics, Tier.VOLUME, flush=True)
    elif tier is not Tier.NONE:
        _save(run, metrics, tier)
    saved_step = run.saving.saved_step if run.saving else None
    productive = metrics.productive_seconds if metrics else None
    done = StepDone(run.step, seconds, loss, rate, saved_step, last, data_seconds, run.checkpoint_seconds, productive)
    return done, stop


def _step(run: Run, batch: Batch, rate: float, *, stop: bool) -> tuple[float, bool, Tier]:
    """One optimizer step on a global batch: its mean loss, is a rank to stop, what does rank 0 want saved."""
    share = batch.share(rank=run.sharded.data_rank, size=run.sharded.data_size)
    _seed(run)
    parts = share.split(run.recipe.training.accumulation_steps)
    mine = run.sharded.step(parts, targets=batch.targets, rate=rate)
    due = run.saving.due(run.step + 1) if run.saving and run.output else Tier.NONE
    loss, stops, tier = run.gang.sum([mine, float(stop), float(due)])
    return loss, stops > 0, Tier(int(tier))


def _seed(run: Run) -> None:
    """The generators begin anew at every step: none has a state that a checkpoint would have to hold."""
    drawn = np.random.SeedSequence([run.recipe.training.seed, run.step, run.sharded.data_rank]).generate_state(1)
    torch.default_generator.manual_seed(int(drawn[0]))
    if run.gang.device.type == "cuda":
        torch.cuda.manual_seed(int(drawn[0]))


def captured(run: Run) -> Checkpoint | None:
    """Whole on rank 0, and nothing on the others; or in shards, of which each process has its own."""
    if run.recipe.checkpoint.layout == "Sharded":
        return replace(run.task.checkpoint(run.step, {}), pieces=run.sharded.pieces())
    state = run.sharded.capture()
    return None if state is None else run.task.checkpoint(run.step, state)


def _no_curve() -> None:
    """Rank 0 has it."""


def _save(run: Run, metrics: Metrics | None, tier: Tier, *, flush: bool = False) -> None:
    """Who writes hands it to their writer; all wait until all have. With `flush` until it is written."""
    began = time.monotonic()
    made = captured(run)
    if run.saving is not None and made is not None:
        run.saving.save(made, tier, curve=metrics.sync if metrics else _no_curve)
        if flush:
            run.saving.flush()
    (stall_seconds,) = run.gang.sum([time.monotonic() - began if run.gang.rank == 0 else 0.0])
    run.checkpoint_seconds = stall_seconds
    run.notes["checkpointStallSeconds"] = stall_seconds
