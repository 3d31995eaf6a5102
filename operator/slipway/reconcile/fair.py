"""Who is next in a queue that tenants share: one key of each in turn, so that ten thousand of one delay nobody's one.

Turns alone are not enough: visits that take long (a slow webhook in one namespace) would come to hold every place. So
the last quarter of the places is for tenants that hold none. Among the keys of one tenant, first come, first served.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

RESERVED_SHARE = 4  # one place in so many


class FairLine(Generic[K]):
    """Keys that wait, and how many of each tenant's are being served. A key is in it once: the caller sees to that."""

    def __init__(self, tenant: Callable[[K], Hashable], *, places: int) -> None:
        self._tenant, self._places = tenant, places
        self._waiting: OrderedDict[Hashable, deque[K]] = OrderedDict()  # in the order of their turns
        self._held: Counter[Hashable] = Counter()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def push(self, key: K) -> None:
        """The key waits; its tenant, if none of its keys waited, takes its turn after all that wait now."""
        self._waiting.setdefault(self._tenant(key), deque()).append(key)
        self._length += 1

    def take(self) -> K | None:
        """The next key, which holds a place from now on; None when no place is free, or none for those that wait."""
        tenant = self._next_tenant()
        if tenant is None:
            return None
        line = self._waiting[tenant]
        key = line.popleft()
        if line:
            self._waiting.move_to_end(tenant)
        else:
            del self._waiting[tenant]
        self._length -= 1
        self._held[tenant] += 1
        return key

    def done(self, key: K) -> None:
        """The key gives its place back."""
        tenant = self._tenant(key)
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]

    def clear(self) -> None:
        """Nothing waits any more; what is being served still is."""
        self._waiting.clear()
        self._length = 0

    def _next_tenant(self) -> Hashable | None:
        """At most as many tenants are passed over as there are places: only those that hold one are."""
        free = self._places - self._held.total()
        if free <= 0:
            return None
        scarce = free <= self._places // RESERVED_SHARE
        return next((tenant for tenant in self._waiting if not (scarce and self._held[tenant])), None)
