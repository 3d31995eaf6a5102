"""The thread that notices that a step does not end.

Decided here: the bound is `factor` times the median of the newest steps, but at least a floor; the first steps, which
compile and connect, do not count, and until there is a median WARM_UP_SECONDS is the bound. Only the inside of a
step is watched, so evaluation, export and checkpoints are never taken for a stall. Every rank has one: a rank that
hangs makes its peers wait in a collective, so all notice at about the same time, and each waits LINGER_SECONDS for the
others before it leaves, because leaving breaks their connections and hides what they were doing.
"""

import math
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from slipway.api.gang import StallSpec

from .errors import Stalled

FLOOR_SECONDS = 60.0
WARM_UP_STEPS = 2
WARM_UP_SECONDS = 900.0
LINGER_SECONDS = 3.0
_RECENT_STEPS = 64


class Watchdog:
    """A context: `step` inside it is watched. `on_stall` is called once, from the thread, with what there is to say."""

    def __init__(
        self,
        factor: int | None,
        on_stall: Callable[[str], None],
        *,
        floor_seconds: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._factor = factor
        self._floor_seconds = FLOOR_SECONDS if floor_seconds is None else floor_seconds
        self._on_stall = on_stall
        self._clock = clock
        self._recent: deque[float] = deque(maxlen=_RECENT_STEPS)
        self._skip = WARM_UP_STEPS
        self._under_way: tuple[int, float] | None = None  # the step's number and when it began
        self._stalled = ""
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    @classmethod
    def of(cls, stall: StallSpec | None, on_stall: Callable[[str], None]) -> "Watchdog":
        """As a recipe has it; without `stall` nothing is one."""
        if stall is None:
            return cls(None, on_stall)
        return cls(stall.factor, on_stall, floor_seconds=stall.floor_seconds)

    def __enter__(self) -> "Watchdog":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closed.set()
        self._thread.join()

    @contextmanager
    def step(self, number: int) -> Iterator[None]:
        """Around one step. What a stalled step raises when its peers leave is raised as Stalled."""
        began = self._clock()
        self._under_way = (number, began)
        try:
            yield
        except Exception as error:
            if self._stalled:
                raise Stalled(self._stalled) from error
            raise
        finally:
            self._under_way = None
        if self._skip:
            self._skip -= 1
        else:
            self._recent.append(self._clock() - began)

    def bound_seconds(self) -> float:
        if self._factor is None:
            return math.inf
        recent = tuple(self._recent)
        if not recent:
            return max(WARM_UP_SECONDS, self._floor_seconds)
        return max(self._floor_seconds, self._factor * statistics.median(recent))

    def _watch(self) -> None:
        while not self._closed.wait(
            min(self._seconds_left(), self._floor_seconds)
        ):  # the bound may have come down meanwhile
            if self._seconds_left() <= 0:
                self._stalled = self._words()
                self._on_stall(self._stalled)
                return

    def _seconds_left(self) -> float:
        """Until the step under way is late. Between steps: until one that began now would be."""
        under_way = self._under_way
        began = under_way[1] if under_way else self._clock()
        return max(0.0, began + self.bound_seconds() - self._clock())

    def _words(self) -> str:
        number = self._under_way[0] if self._under_way else 0
        recent = tuple(self._recent)
        usual = f"{self._factor} x the median step of {statistics.median(recent):.3g} s" if recent else "warm-up"
        return f"stalled: step {number} has not ended within {self.bound_seconds():.3g} s ({usual})"
