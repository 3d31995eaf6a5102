"""Some steps of a recipe under torch's profiler, on each rank of a gang: shares of the step's time, traces, memory.

Decided here: steps are timed before the profiler is on, since it slows them, and shares come from the trace; a
checkpoint is taken once, after the steps, and its stall is spread over as many as the recipe has between two.
"""

import statistics
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from .batch import Batch
from .breakdown import DATA, FORWARD, Shares, Span, step_shares
from .checkpoint import CheckpointStore
from .compute import ComputeClock
from .config import Recipe
from .gang import Gang
from .logs import log
from .loop import Run, Task, advance, captured
from .memory import Memory, measured, recorded
from .recipes import make_task
from .roofline import asked, best, is_operation
from .saving import Saving
from .shardstore import OwnShard
from .strategies.choose import shard
from .tiers import Tier
from .watchdog import Watchdog

WARM_UP_STEPS = 5
_ADAMW_BYTES = 28  # per trained parameter and step: weight, gradient and two moments read, all but the gradient written


@dataclass(frozen=True, slots=True)
class Profile:
    """Of one rank. Seconds are of a step without the profiler, and for which a checkpoint holds up the steps."""

    step_seconds: float
    checkpoint_stall_seconds: float
    checkpoint_write_seconds: float
    shares: Shares
    memory: Memory

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"shares": self.shares.to_json()}


class Marked:
    """A task whose batches and forward passes have names in the trace."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.model = task.model
        self._open: list[AbstractContextManager[object]] = []
        self.model.register_forward_pre_hook(self._enter)
        self.model.register_forward_hook(self._leave, always_call=True)

    def batch(self) -> Batch:
        with record_function(DATA):
            return self._task.batch()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 (the rest of the task as it is)
        return getattr(self._task, name)

    def _enter(self, *_: object) -> None:
        self._open.append(record_function(FORWARD))
        self._open[-1].__enter__()

    def _leave(self, *_: object) -> None:
        self._open.pop().__exit__(None, None, None)


def profiled(recipe: Recipe, gang: Gang, directory: Path, *, steps: int) -> Profile:
    """On every rank, each with a trace of its own in `directory`."""
    run = _prepared(recipe, gang, steps=WARM_UP_STEPS + 2 * steps + 1)  # one more: after a recipe's last it is saved
    usual = [_step(run) for _ in range(WARM_UP_STEPS + steps)][WARM_UP_STEPS:]
    with recorded(gang.device, directory / f"memory-rank-{gang.rank}.pickle"), _profiler(gang.device) as trace:
        seconds = sum(_step(run) for _ in range(steps))
    trace.export_chrome_trace(str(directory / f"trace-rank-{gang.rank}.json"))
    stall, write = _checkpoint(run, directory)
    step_seconds = statistics.median(usual)
    slower = seconds / steps / step_seconds  # a step with the profiler
    cost = steps * _per_step(recipe, stall, step_seconds) * slower
    shares = _with_roofs(
        step_shares(_spans(trace), seconds=seconds, checkpoint_seconds=cost), run, trace, steps, seconds
    )
    memory = measured(run.task.model, trace.events(), gang.device)
    return Profile(step_seconds, stall, write, shares, memory)


def _prepared(recipe: Recipe, gang: Gang, *, steps: int) -> Run:
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"steps": steps})})
    task = Marked(make_task(recipe, gang, None))
    clock = ComputeClock(task.model, gang.device)
    sharded = shard(task.model, recipe, gang)
    return Run(recipe, gang, task, sharded, None, None, Watchdog.of(recipe.stall, log.error), clock, step=0)


def _step(run: Run) -> float:
    began = time.perf_counter()
    advance(run, None, lambda: False)
    return time.perf_counter() - began


def _profiler(device: torch.device) -> profile:
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    return profile(activities=activities, record_shapes=True, profile_memory=True, with_flops=True)


def _checkpoint(run: Run, directory: Path) -> tuple[float, float]:
    """How long a checkpoint as the recipe has it holds up the steps, and how long it takes in all."""
    with tempfile.TemporaryDirectory(dir=directory) as name:
        sharded = run.recipe.checkpoint.layout == "Sharded"
        store = OwnShard(Path(name)) if sharded else CheckpointStore(Path(name), keep=1)
        saving = Saving(run.recipe.checkpoint, store, None, saved_step=None)
        began = time.perf_counter()
        made = captured(run)
        if made is not None:
            saving.save(made, Tier.VOLUME, curve=lambda: None)
        stall = time.perf_counter() - began
        saving.flush()
        return stall, time.perf_counter() - began


def _per_step(recipe: Recipe, stall_seconds: float, step_seconds: float) -> float:
    """What checkpoints cost each step, when they come as often as the recipe says."""
    between = recipe.checkpoint.steps_between or (recipe.checkpoint.every_seconds or 1) / step_seconds
    return stall_seconds / max(between, 1)


def _spans(trace: profile) -> list[Span]:
    return [
        Span(e.name, e.time_range.start / 1e6, e.time_range.end / 1e6, computes=_computes(e)) for e in trace.events()
    ]


def _computes(event: Any) -> bool:  # noqa: ANN401 (torch is not typed)
    on_gpu = event.device_type == torch.autograd.DeviceType.CUDA
    return (on_gpu and not event.name.startswith("nccl")) or is_operation(event)


def _with_roofs(shares: Shares, run: Run, trace: profile, steps: int, seconds: float) -> Shares:
    computing_seconds = (shares.forward + shares.backward + shares.optimizer) * seconds
    trained = sum(each.numel() for each in run.task.model.parameters() if each.requires_grad)
    work, peak = asked(trace.events()), best(run.gang.device, bf16=run.recipe.bf16)
    traffic = work.bytes + _ADAMW_BYTES * trained * steps
    return replace(
        shares,
        arithmetic=min(1.0, work.flops / peak.flops / computing_seconds),
        memory=min(1.0, traffic / peak.bytes / computing_seconds),
    )
