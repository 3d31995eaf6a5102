"""A rank of a gang in a process that is forked from one which has imported torch already, and the faults that end it.

The faults are the tests' own: an audit hook sees every file operation of Python's before it happens, and two methods
that every step calls are wrapped. A fault is SIGKILL from the process to itself, so nothing of the trainer's runs after
it, in no thread; what it was doing is noted before.
"""

import hashlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from slipway_train import course, worker
from slipway_train.batch import Batch
from slipway_train.config import Recipe
from slipway_train.gang import Gang
from slipway_train.strategies import Sharded

SLOW_SECONDS = 0.08
NUDGED = "model.layers.0.mlp.up_proj.weight"
FILE_EVENTS = {"open", "os.rename", "os.mkdir", "os.chmod", "os.remove", "os.rmdir", "shutil.rmtree"}


@dataclass(frozen=True)
class Fault:
    """The `number`th time, counted from 1, that this happens in the process:

    file: a file operation on a checkpoint is about to happen; rename: a checkpoint is about to appear or to go by its
    rename; renamed: the first file operation after such a rename; batch: a step has its batch; loss: the loss is about
    to be summed; summed: it has been.

    Two more do not end the process: with slow, everything from the `number`th batch on takes this process longer; with
    nudge, one weight of its model moves then.
    """

    kind: str
    number: int
    signal: int = signal.SIGKILL


@dataclass(frozen=True)
class Order:
    """What one rank is told."""

    environment: dict[str, str]
    log: Path
    tiers: tuple[str, ...]  # under which files are a checkpoint's
    fault: Fault | None = None
    batches: Path | None = None  # where to write a hash of each global batch


def run_rank(order: Order) -> None:
    """The forked process: the worker, as the launcher's agent starts it."""
    descriptor = os.open(order.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 (for the life of the process)
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    os.environ.update(order.environment)
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))  # which torch read when the parent imported it
    if order.batches is not None:
        _note_batches(order.batches)
    if order.fault is not None:
        _install(order.fault, order.log.with_suffix(".fault"), order.tiers)
    sys.exit(worker.main())


def _note_batches(path: Path) -> None:
    share = Batch.share

    def noted(batch: Batch, *, rank: int, size: int) -> Batch:
        with path.open("a") as file:
            file.write(hashlib.sha256(batch.tokens.numpy().tobytes()).hexdigest() + "\n")
        return share(batch, rank=rank, size=size)

    Batch.share = noted  # type: ignore[assignment, method-assign]


def _install(fault: Fault, note: Path, tiers: tuple[str, ...]) -> None:
    if fault.kind in ("slow", "nudge"):
        _disturb(fault)
        return
    strike = _striker(fault, note)
    if fault.kind in ("file", "rename", "renamed"):
        sys.addaudithook(_on_file(fault.kind, tiers, strike))
    elif fault.kind == "batch":
        _before(Batch, "share", strike)
    else:
        (_before if fault.kind == "loss" else _after)(Gang, "sum", strike)


def _disturb(fault: Fault) -> None:
    """From the `number`th batch on, by a hook on what the loop watches too: a part of a layer."""
    models: list[torch.nn.Module] = []
    shard = course.shard  # type: ignore[attr-defined]

    def noted(model: torch.nn.Module, recipe: Recipe, gang: Gang) -> Sharded:
        models.append(model)
        return shard(model, recipe, gang)

    course.shard = noted  # type: ignore[attr-defined]
    seen = 0

    def at_batch(_: str) -> None:
        nonlocal seen
        seen += 1
        if seen == fault.number:
            (_slow_down if fault.kind == "slow" else _nudge)(models[0])

    _before(Batch, "share", at_batch)


def _slow_down(model: torch.nn.Module) -> None:
    part = next(each for name, each in model.named_modules() if name.endswith("self_attn"))
    forward = part.forward

    def slow(*arguments: Any, **keywords: Any) -> Any:
        time.sleep(SLOW_SECONDS)
        return forward(*arguments, **keywords)

    part.forward = slow


@torch.no_grad()  # type: ignore[untyped-decorator]
def _nudge(model: torch.nn.Module) -> None:
    dict(model.named_parameters())[NUDGED].view(-1)[5] += 1e-3


def _striker(fault: Fault, note: Path) -> Callable[[str], None]:
    seen = 0

    def strike(what: str) -> None:
        nonlocal seen
        seen += 1
        if seen == fault.number:
            descriptor = os.open(note, os.O_WRONLY | os.O_CREAT)
            os.write(descriptor, f"{threading.current_thread().name}: {what}".encode())
            os.kill(os.getpid(), fault.signal)

    return strike


def _on_file(
    kind: str, tiers: tuple[str, ...], strike: Callable[[str], None]
) -> Callable[[str, tuple[Any, ...]], None]:
    renamed = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal renamed
        if event not in FILE_EVENTS or not (path := str(arguments[0])).startswith(tiers) or "metrics" in path:
            return
        was_renamed, renamed = renamed, event == "os.rename"
        if kind == "file" or (was_renamed if kind == "renamed" else renamed):
            strike(f"{event} {path}")

    return hook


def _before(owner: type, name: str, strike: Callable[[str], None]) -> None:
    method = getattr(owner, name)

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        strike(f"before {name}")
        return method(*arguments, **keywords)

    setattr(owner, name, wrapped)


def _after(owner: type, name: str, strike: Callable[[str], None]) -> None:
    method = getattr(owner, name)

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        result = method(*arguments, **keywords)
        strike(f"after {name}")
        return result

    setattr(owner, name, wrapped)
