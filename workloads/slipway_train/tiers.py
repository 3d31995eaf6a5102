"""When a checkpoint is due, and on which tier: the output volume or the memory of rank 0's pod.

Decided here: rank 0 alone says what is due after a step, since it knows the clock and what its writer is doing; the
others hear of it with the step's loss. A memory checkpoint is left out while a writer is at work: it would have to wait
for it, and memory is there to cost nothing.
"""

import time
from collections.abc import Callable
from enum import IntEnum

from slipway.api.trainingjob import CheckpointSpec


class Tier(IntEnum):
    """What is due after a step. Numbers, because they travel in a sum."""

    NONE = 0
    MEMORY = 1
    VOLUME = 2


class Schedule:
    """Rank 0's. Seconds are counted from the start and from the last checkpoint on the volume."""

    def __init__(self, spec: CheckpointSpec, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._spec = spec
        self._clock = clock
        self._since = clock()

    def due(self, step: int, *, writing: bool) -> Tier:
        """After finished step `step`."""
        if self._volume_is_due(step):
            return Tier.VOLUME
        if self._spec.memory_every and step % self._spec.memory_every == 0 and not writing:
            return Tier.MEMORY
        return Tier.NONE

    def saved(self) -> None:
        """A checkpoint has gone to the volume."""
        self._since = self._clock()

    def _volume_is_due(self, step: int) -> bool:
        if self._spec.every_seconds:
            return self._clock() - self._since >= self._spec.every_seconds
        return step % (self._spec.steps_between or 1) == 0
