"""Token buckets by the caller's name, for the most recent callers: nobody can fill the memory with names."""

from collections import OrderedDict
from collections.abc import Callable

BUCKETS = 10_000


class Limiter:
    def __init__(self, clock: Callable[[], float], *, per_second: float, burst: float) -> None:
        self._clock, self._per_second, self._burst = clock, per_second, burst
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> bool:
        """Whether `name` may once more."""
        tokens = self._tokens(name)
        self._keep(name, tokens - 1.0 if tokens >= 1.0 else tokens)
        return tokens >= 1.0

    def give_back(self, name: str) -> None:
        """What was taken counts for nothing."""
        self._keep(name, min(self._burst, self._tokens(name) + 1.0))

    def _tokens(self, name: str) -> float:
        now = self._clock()
        tokens, as_of = self._buckets.get(name, (self._burst, now))
        return min(self._burst, tokens + (now - as_of) * self._per_second)

    def _keep(self, name: str, tokens: float) -> None:
        self._buckets[name] = (tokens, self._clock())
        self._buckets.move_to_end(name)
        if len(self._buckets) > BUCKETS:
            self._buckets.popitem(last=False)
