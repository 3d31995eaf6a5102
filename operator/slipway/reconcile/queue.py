"""The keyed queue: each key at most once in it, at most one visit per key at a time, a key added during its own visit
visited again, errors repeated with growing, jittered delay; keys of different tenants in turn, and what has just
happened before what is only looked after (fair.py). A visit that comes back comes back in the line in which it came.

Time comes from the event loop alone (`loop.time`, `loop.call_later`) and chance from an injected function, so that a
simulation in virtual time runs this very code. While paused (a standby), nothing is kept: becoming leader means a
resync, which adds every key.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..telemetry.metrics import Metrics
from .fair import FairLine

K = TypeVar("K", bound=Hashable)

BASE_SECONDS = 0.2
LIMIT_SECONDS = 120.0
EXPONENT_LIMIT = 20

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Again:
    """How a visit ended. `after_seconds`: come back without being called; None: only when something happens."""

    after_seconds: float | None = None


class RetryLater(Exception):
    """Raised by a visit that failed and knows how long to wait at least."""

    def __init__(self, after_seconds: float) -> None:
        super().__init__(f"retry after {after_seconds:.1f} s")
        self.after_seconds = after_seconds


Visit = Callable[[K], Awaitable[Again]]


def _one_tenant(_: Hashable) -> str:
    return ""


class KeyedQueue(Generic[K]):
    """`visit(key)` is run for each added key, `concurrency` at once. Starts paused; `resume()` begins.

    `tenant` says who a key is for: tenants take turns.
    """

    def __init__(
        self,
        visit: Visit[K],
        *,
        concurrency: int,
        metrics: Metrics,
        name: str = "slipway",
        chance: Callable[[], float] = random.random,
        base_seconds: float = BASE_SECONDS,
        limit_seconds: float = LIMIT_SECONDS,
        tenant: Callable[[K], Hashable] = _one_tenant,
    ) -> None:
        self._visit, self._chance = visit, chance
        self._base_seconds, self._limit_seconds = base_seconds, limit_seconds
        self._metrics, self._name = metrics, name
        self._waiting = FairLine(tenant, places=concurrency)
        self._since: dict[K, float] = {}  # members of _waiting, with the time they were added
        self._running: dict[K, asyncio.Task[None]] = {}
        self._later: set[K] = set()  # of those that wait or run: visited only to be sure
        self._again: dict[K, bool] = {}  # added during their own visit, and whether to be visited later
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._paused = True
        self._idle = asyncio.Event()
        self._idle.set()
        self._loop: asyncio.AbstractEventLoop | None = None  # the one that keys are added in
        metrics.queue_oldest.labels(name).set_function(self.oldest_seconds)

    # ------------------------------------------------------------------ adding

    def add(self, key: K, *, later: bool = False) -> None:
        """Visit `key` as soon as possible; `later`: nothing has happened to it, and what something has goes before."""
        if self._paused:
            return
        self._metrics.queue_adds.labels(self._name).inc()
        if key in self._running:
            self._again[key] = later and self._again.get(key, True)
        elif key not in self._since:
            self._wait(key, later=later)
        elif not later:
            self._later.discard(key)
            self._waiting.promote(key)

    def _wait(self, key: K, *, later: bool) -> None:
        self._loop = asyncio.get_running_loop()
        self._since[key] = self._loop.time()
        self._waiting.push(key, later=later)
        if later:
            self._later.add(key)
        self._idle.clear()
        self._metrics.queue_depth.labels(self._name).set(len(self._waiting))
        self._start()

    def add_after(self, key: K, seconds: float, *, later: bool = False) -> None:
        """Visit `key` in `seconds`; of several such wishes the earliest holds."""
        if self._paused:
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        self._cancel_timer(key)
        self._timers[key] = loop.call_later(max(seconds, 0.0), self._fire, key, later)

    def forget(self, key: K) -> None:
        """The key is no more: no memory of failures, no timer."""
        self._failures.pop(key, None)
        self._cancel_timer(key)

    # ------------------------------------------------------------------ running

    def resume(self) -> None:
        self._paused = False

    def pause(self) -> None:
        """Take no more keys and forget those that wait; visits that run go on (`drain` waits for them)."""
        self._paused = True
        self._waiting.clear()
        self._later.intersection_update(self._running)
        self._since.clear()
        self._failures.clear()
        for key in list(self._timers):
            self._cancel_timer(key)
        self._metrics.queue_depth.labels(self._name).set(0)
        self._settle()

    async def drain(self, seconds: float) -> None:
        """Wait for running visits, then cancel those that take longer."""
        tasks = list(self._running.values())
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def idle(self) -> None:
        """Wait until nothing runs or waits; timers may be pending."""
        while self._running or self._waiting:  # a key may come between the event and its waiter
            await self._idle.wait()

    def oldest_seconds(self) -> float:
        """How long the key that came first has been waiting; 0 while none waits."""
        since = next(iter(self._since.values()), None)  # in the order in which they came
        return 0.0 if since is None or self._loop is None else self._loop.time() - since

    @property
    def next_timer(self) -> float | None:
        """Loop time of the earliest pending timer."""
        return min((t.when() for t in self._timers.values()), default=None)

    def _fire(self, key: K, later: bool) -> None:
        self._timers.pop(key, None)
        self.add(key, later=later)

    def _cancel_timer(self, key: K) -> None:
        if timer := self._timers.pop(key, None):
            timer.cancel()

    def _start(self) -> None:
        while (key := self._waiting.take()) is not None:
            waited = asyncio.get_running_loop().time() - self._since.pop(key)
            self._metrics.queue_duration.labels(self._name).observe(waited)
            self._metrics.queue_depth.labels(self._name).set(len(self._waiting))
            self._running[key] = asyncio.create_task(self._run(key), name=f"visit {key}")

    async def _run(self, key: K) -> None:
        begun = asyncio.get_running_loop().time()
        # Whatever wished for a later visit before this one is answered by this one.
        self._cancel_timer(key)
        try:
            again = await self._visit(key)
        except Exception as error:  # a visit must not end the operator: the next one may succeed
            self._failed(key, error)
        else:
            self._failures.pop(key, None)
            if again.after_seconds is not None:
                self.add_after(key, again.after_seconds, later=key in self._later)
        finally:
            self._metrics.work_duration.labels(self._name).observe(asyncio.get_running_loop().time() - begun)
            self._finish(key)

    def _finish(self, key: K) -> None:
        del self._running[key]
        self._later.discard(key)
        self._waiting.done(key)
        if (later := self._again.pop(key, None)) is not None:
            self.add(key, later=later)
        self._start()
        self._settle()

    def _settle(self) -> None:
        if not self._running and not self._waiting:
            self._idle.set()

    def _failed(self, key: K, error: Exception) -> None:
        if self._paused:
            return
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = self.backoff_seconds(failures)
        if isinstance(error, RetryLater):
            delay = max(delay, error.after_seconds)
        self._metrics.queue_retries.labels(self._name).inc()
        log.info("the visit is repeated in %.1f s: %s", delay, error, extra={"key": str(key), "failures": failures})
        self.add_after(key, delay, later=key in self._later)

    def backoff_seconds(self, failures: int) -> float:
        """Doubles per failure up to the limit, then between half and all of it by chance."""
        full = min(self._base_seconds * 2 ** min(failures - 1, EXPONENT_LIMIT), self._limit_seconds)
        return float(full * (0.5 + 0.5 * self._chance()))
