"""Whether a layout's processes fit, and in what words they do not.

Decided here: how sure one must be. The estimate is within ERROR_PERCENT of what was measured (tests/integration/
test_training_memory.py asserts that bound), so what needs less than the room less that much `fits`, what needs more
than the room and that much does `not` and is refused, and what lies between is `tight`: it may go wrong, and it may
be tried.
"""

from dataclasses import dataclass
from typing import Literal

from ...api.common import Accelerator
from .devices import GIB
from .layout import Layout, Load
from .model import parameters
from .room import Room
from .training_memory import CHECKPOINT_BYTES, Memory, memory

ERROR_PERCENT = 15

Verdict = Literal["fits", "tight", "not", "unknown"]


@dataclass(frozen=True, slots=True)
class Fit:
    """`needed_bytes` of what the room is for: one process on a GPU, a pod's processes together on CPUs."""

    memory: Memory
    needed_bytes: int
    verdict: Verdict


def fit(layout: Layout, load: Load, room: Room | None, accelerator: Accelerator) -> Fit:
    each = memory(layout, load, accelerator)
    needed = needed_bytes(each, layout, load, accelerator, sharing=room.sharing if room else 1)
    return Fit(each, needed, _verdict(needed, room))


def needed_bytes(each: Memory, layout: Layout, load: Load, accelerator: Accelerator, *, sharing: int) -> int:
    """On a CPU rank 0's copy of weights and optimizer, which a checkpoint is written from, is in the same memory (with
    shards each process's copy of its piece): at another moment than the activations. On a GPU it is in the host's,
    which is not counted."""
    step = each.total * sharing
    if accelerator == "nvidia":
        return step
    copied = CHECKPOINT_BYTES * parameters(load.shape)
    here = copied * sharing // max(sharing, layout.pieces) if load.shards else copied
    return max(step, each.states * sharing + here)


def _verdict(needed: int, room: Room | None) -> Verdict:
    if room is None:
        return "unknown"
    if needed * (100 + ERROR_PERCENT) <= room.memory_bytes * 100:
        return "fits"
    return "tight" if needed * 100 <= room.memory_bytes * (100 + ERROR_PERCENT) else "not"


def gib(count: int) -> str:
    """Bytes as GiB for a person: three digits for small models, whose parts would all be 0.0."""
    return f"{count / GIB:.1f}" if count >= GIB else f"{count / GIB:.3f}"
