"""The gate that every write of the loop passes: a token bucket first, then the lease, and nothing in between.

The order matters: a write that waited for its token must not begin on a lease that ran out meanwhile.
"""

import asyncio
from collections.abc import Callable

from ..kube.errors import NotLeader
from ..telemetry.metrics import Metrics

WRITE_SECONDS = 30.0


class Gate:
    """`remaining` tells for how many seconds writes may still begin. `rate` is writes per second, `burst` writes."""

    def __init__(self, remaining: Callable[[], float], *, rate: float, burst: int, metrics: Metrics) -> None:
        self._remaining, self._rate, self._burst, self._metrics = remaining, rate, float(burst), metrics
        self._tokens = float(burst)
        self._as_of: float | None = None

    async def admit(self, operation: str, plural: str) -> float:
        """Wait for a token. Returns the seconds within which the write must be over: the lease bounds even one that
        waits for a connection. Raises NotLeader when writes may not begin."""
        if (delay := self._reserve()) > 0:
            self._metrics.throttled.inc(delay)
            await asyncio.sleep(delay)
        remaining = self._remaining()
        if remaining <= 0:
            raise NotLeader("the lease is not held: nothing is written")
        self._metrics.writes.labels(operation, plural).inc()
        return min(WRITE_SECONDS, remaining)

    def _reserve(self) -> float:
        """Take a token, on credit if need be; returns the seconds until it is there. First come, first served."""
        now = asyncio.get_running_loop().time()
        if self._as_of is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._as_of) * self._rate)
        self._as_of = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)
