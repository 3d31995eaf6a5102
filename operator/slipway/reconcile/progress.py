"""What rank 0 of each job reported last, and how often it may show: at most one status write per job in 30 s.

The planner sees a snapshot, not the latest: otherwise any pod event would carry fresh numbers into the status, and the
bound would not hold.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from ..plan.observed import Reported
from .keys import Key


@dataclass(slots=True)
class _Job:
    uid: str
    latest: Reported
    shown: Reported
    shown_at: float  # loop time
    timer: asyncio.TimerHandle | None = None


class ProgressStore:
    """In memory, bounded by the number of jobs. `add` is the queue's."""

    def __init__(self, add: Callable[[Key], None], *, interval_seconds: float = 30.0) -> None:
        self._add, self._interval_seconds = add, interval_seconds
        self._jobs: dict[Key, _Job] = {}

    def report(self, key: Key, uid: str, reported: Reported) -> None:
        """Keep the newest report of a job; it shows now, or when the interval is over."""
        loop, job = asyncio.get_running_loop(), self._jobs.get(key)
        if job is None or job.uid != uid:
            self.forget(key)
            self._jobs[key] = _Job(uid, reported, reported, loop.time())
            self._add(key)
            return
        if reported.received < job.latest.received:
            return
        job.latest = reported
        if job.timer is None:
            due = max(0.0, job.shown_at + self._interval_seconds - loop.time())
            job.timer = loop.call_later(due, self._show, key)

    def _show(self, key: Key) -> None:
        job = self._jobs[key]
        job.timer, job.shown, job.shown_at = None, job.latest, asyncio.get_running_loop().time()
        self._add(key)

    def shown(self, key: Key, uid: str) -> Reported | None:
        """What the status of this very job may say."""
        job = self._jobs.get(key)
        return job.shown if job is not None and job.uid == uid else None

    def forget(self, key: Key) -> None:
        job = self._jobs.pop(key, None)
        if job is not None and job.timer is not None:
            job.timer.cancel()

    def clear(self) -> None:
        for key in list(self._jobs):
            self.forget(key)
