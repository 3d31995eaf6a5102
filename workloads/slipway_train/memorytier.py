"""Checkpoints in the pod's memory: often and cheap, and rescued to the output when a rank is gone.

Decided here: they lie in a directory of tmpfs that the launcher makes and removes, so they outlive every rank, and cost
no fsync. A gang starts again in new pods, so what is in memory must be on the volume before this pod ends: the launcher
copies the newest that is whole, if it is newer than what the volume has. One that a dying rank left half written, or
whose checksum does not hold, is passed over for the one before, and that is said.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .checkpoint import CheckpointStore
from .files import half_written
from .logs import event, log

MEMORY = Path("/dev/shm")  # noqa: S108 (tmpfs, and in a pod a volume of its own)
MEMORY_KEEP = 2  # the newest, and the one before in case the newest is torn


@dataclass(frozen=True, slots=True)
class Rescue:
    """What became of the checkpoints in memory. `step` is what is on the volume now by this, None for nothing new."""

    step: int | None
    torn: tuple[str, ...]

    def __str__(self) -> str:
        """A sentence for whoever reads why the pod ended; empty where there is nothing to say."""
        saved = f"the checkpoint of step {self.step} in memory was saved to the output" if self.step is not None else ""
        torn = "; ".join(f"{name} in memory was passed over" for name in self.torn)
        return "; ".join(part for part in (saved, torn) if part)


@contextmanager
def memory_directory(parent: Path = MEMORY) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="slipway-", dir=parent) as name:
        yield Path(name)


def rescue(memory: Path, volume: Path, *, keep: int) -> Rescue:
    """Once no rank runs any more. OSError where the volume takes nothing."""
    torn = [f"{name} (half written)" for name in half_written(memory)]
    held = CheckpointStore(memory, keep=MEMORY_KEEP)
    if not held.steps():
        return _told(Rescue(None, tuple(torn)))  # of another rank's pod, perhaps, whose rank 0 may write at this moment
    store = CheckpointStore(volume, keep=keep)
    for step in held.steps():
        if step <= max(store.steps(), default=0):
            break
        if problem := held.damage(step):
            torn.append(f"step {step} ({problem})")
        else:
            store.adopt(step, held.directory_of(step))
            return _told(Rescue(step, tuple(torn)))
    return _told(Rescue(None, tuple(torn)))


def _told(what: Rescue) -> Rescue:
    for name in what.torn:
        log.warning(event("memory_checkpoint_torn", which=name, action="the one before is used"))
    if what.step is not None:
        log.info(event("memory_checkpoint_rescued", step=what.step))
    return what
