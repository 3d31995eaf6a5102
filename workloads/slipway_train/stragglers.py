"""The observer that names a slow rank: the one that all others wait for in every step.

Decided here: what is compared is the time that each rank takes for its data and its own computing, averaged over
EVERY_STEPS, against the median of the other ranks. One rank is named at a time, the slowest: when it is mended, the
next one shows. Step times themselves say nothing, for everybody takes as long as the slowest.
"""

import os
import socket
import statistics
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from .compute import ComputeClock
from .gang import Gang
from .logs import event, log
from .loop import StepDone

EVERY_STEPS = 20
RATIO = 1.5
SHARE_OF_STEP = 0.1  # of a step that a rank must cost the others: less is noise, and not worth a person's time
NODE_VARIABLE = "NODE_NAME"


@dataclass(frozen=True, slots=True)
class Slow:
    """`ratio` is how many times as long as the others' median this rank takes before it meets them."""

    rank: int
    ratio: float


class Stragglers:
    """`slow` is what the newest comparison found; `notes` go to the metrics."""

    def __init__(self, gang: Gang, clock: ComputeClock, notes: MutableMapping[str, float | str]) -> None:
        self.slow: Slow | None = None
        self._gang = gang
        self._clock = clock
        self._notes = notes
        self._nodes = gang.gather(os.environ.get(NODE_VARIABLE) or socket.gethostname())
        self._data_seconds = 0.0
        self._step_seconds = 0.0

    @property
    def node(self) -> str | None:
        """Of the slow rank: NODE_NAME where the pod has it, else its host name."""
        return self._nodes[self.slow.rank] if self.slow else None

    def on_step(self, done: StepDone) -> None:
        self._data_seconds += done.data_seconds
        self._step_seconds += done.seconds
        if done.step % EVERY_STEPS == 0:
            self._compare(done.step)

    def close(self) -> None:
        """Nothing is held."""

    def _compare(self, step: int) -> None:
        mine = self._data_seconds + self._clock.take()
        seconds = self._gang.sum([mine if rank == self._gang.rank else 0.0 for rank in range(self._gang.world_size)])
        before, self.slow = self.slow, slowest(seconds, step_seconds=self._step_seconds)
        self._data_seconds = self._step_seconds = 0.0
        if self.slow:
            self._notes.update(slowRank=self.slow.rank, slowNode=self.node or "", slowRatio=self.slow.ratio)
        if self._gang.rank == 0 and (self.slow and self.slow.rank) != (before and before.rank):
            self._tell(step)

    def _tell(self, step: int) -> None:
        if self.slow:
            log.warning(event("straggler", step=step, rank=self.slow.rank, node=self.node, ratio=self.slow.ratio))
        else:
            log.info(event("no_straggler", step=step))


def slowest(seconds: Sequence[float], *, step_seconds: float) -> Slow | None:
    """Of each rank's seconds until it meets the others, in as many steps as took `step_seconds`."""
    rank = max(range(len(seconds)), key=lambda each: seconds[each])
    others = [each for other, each in enumerate(seconds) if other != rank]
    if not others:
        return None
    usual = statistics.median(others)
    lost = seconds[rank] - usual
    if lost <= (RATIO - 1) * usual or lost <= SHARE_OF_STEP * step_seconds:
        return None
    return Slow(rank, seconds[rank] / max(usual, 1e-9))
