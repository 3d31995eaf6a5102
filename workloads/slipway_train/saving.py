"""Checkpoints while it trains: what is due goes to its tier, by the writer. Rank 0 has one of these, and where each
process writes a shard all have.

Decided here: the curve is on the disk before the checkpoint that goes on from it, or a node that dies between the two
would leave a hole in it. Memory that cannot hold what was asked for is the recipe's mistake: no restart mends it.
"""

import time
from collections.abc import Callable

from slipway.api.trainingjob import CheckpointSpec

from .checkpoint import Checkpoint, CheckpointStore
from .errors import RecipeError
from .logs import event, log
from .shardstore import Store
from .tiers import Schedule, Tier
from .writer import Writer


class Saving:
    """`memory` is None where nothing is to be kept there. `saved_step` is of the newest complete one on the volume."""

    def __init__(
        self, spec: CheckpointSpec, volume: Store, memory: CheckpointStore | None, *, saved_step: int | None
    ) -> None:
        self.saved_step = saved_step
        self._volume = volume
        self._memory = memory
        self._schedule = Schedule(spec)
        self._writer = Writer(background=spec.mode == "Async")

    def due(self, step: int) -> Tier:
        return self._schedule.due(step, writing=self._writer.writing)

    def save(self, checkpoint: Checkpoint, tier: Tier, *, curve: Callable[[], None]) -> None:
        """Hands `checkpoint` over. Raises what went wrong with the one before. `curve` puts the metrics on the disk."""
        if tier is Tier.MEMORY:
            self._writer.submit(lambda: self._to_memory(checkpoint))
        else:
            self._writer.submit(lambda: self._to_volume(checkpoint, curve))
            self._schedule.saved()

    def flush(self) -> None:
        """Returns once all that was handed over is written. Raises what went wrong."""
        self._writer.flush()

    def leave(self) -> None:
        """The run ends, well or not: nothing is raised any more."""
        self._writer.leave()

    def _to_volume(self, checkpoint: Checkpoint, curve: Callable[[], None]) -> None:
        began = time.monotonic()
        curve()
        self._volume.save(checkpoint)
        self.saved_step = checkpoint.step
        log.info(event("checkpoint", step=checkpoint.step, seconds=time.monotonic() - began))

    def _to_memory(self, checkpoint: Checkpoint) -> None:
        if self._memory is None:
            return
        try:
            self._memory.save(checkpoint)
        except OSError as error:
            raise RecipeError(
                f"checkpoint.memoryEvery: the checkpoint of step {checkpoint.step} does not fit in the pod's memory"
                f" ({error.strerror}): give rank 0's pod more, or leave memoryEvery out"
            ) from error
        log.debug(event("memory_checkpoint", step=checkpoint.step))
