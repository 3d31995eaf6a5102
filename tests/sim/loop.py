"""An asyncio event loop in virtual time: when nothing is ready, the clock jumps to the next timer.

Nothing sleeps, no file descriptor is opened, one thread runs all. What is ready runs first come, first served, and
timers by their time: so a run depends on nothing but its inputs.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Deadlock(RuntimeError):
    """Nothing is ready, and no timer is set: the world would wait for ever."""


class VirtualLoop(asyncio.BaseEventLoop):
    """`time()` is in virtual seconds from 0."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return self._now

    def select(self, timeout: float | None) -> list[Any]:
        """What BaseEventLoop asks of its selector: here, the jump to the next timer."""
        if timeout is None:
            raise Deadlock("nothing is ready and no timer is set")
        if timeout > 0:
            timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
            self._now = max(self._now, timers[0].when()) if timers else self._now + timeout
        return []

    def _process_events(self, events: list[Any]) -> None: ...

    def _write_to_self(self) -> None:  # how another thread would wake this one
        raise RuntimeError("the simulation has one thread")


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` in a virtual loop of its own; whatever still runs when it ends is cancelled."""
    loop = VirtualLoop()
    asyncio.set_event_loop(loop)
    try:
        return loop.run_until_complete(main)
    finally:
        _cancel_all(loop)
        asyncio.set_event_loop(None)
        loop.close()


def _cancel_all(loop: VirtualLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
