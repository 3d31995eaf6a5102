"""Who is next in a queue that tenants share: one key of each in turn, so that ten thousand of one delay nobody's one.

Turns alone are not enough: visits that take long (a slow webhook in one namespace) would come to hold every place. So
the last quarter of the places is for tenants that hold none. Among the keys of one tenant, first come, first served.

What has just happened to an object goes before what is visited only to be sure: a new leader visits everything, and a
user's new job must not wait for ten thousand that need nothing. So there are two lines; while both have somebody, every
fourth key is from the later one, which a flood of events would otherwise hold up for ever.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

RESERVED_SHARE = 4  # one place in so many
LATER_SHARE = 4  # one key in so many is from the later line


class FairLine(Generic[K]):
    """Keys that wait, and how many of each tenant's are being served. A key is in it once: the caller sees to that."""

    def __init__(self, tenant: Callable[[K], Hashable], *, places: int) -> None:
        self._tenant, self._places = tenant, places
        self._first, self._later = _Turns(tenant), _Turns(tenant)
        self._passed = 0  # keys that were taken before the later line since it had its turn
        self._held: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._first) + len(self._later)

    def push(self, key: K, *, later: bool = False) -> None:
        """The key waits; its tenant, if none of its keys waited, takes its turn after all that wait now."""
        (self._later if later else self._first).push(key)

    def promote(self, key: K) -> None:
        """The key, which waits, waits in the first line from now on."""
        if self._later.remove(key):
            self._first.push(key)

    def take(self) -> K | None:
        """The next key, which holds a place from now on; None when no place is free, or none for those that wait."""
        free = self._places - self._held.total()
        for line in self._in_order() if free > 0 else ():
            tenant = self._next_tenant(line, free)
            if tenant is not None:
                self._passed = self._passed + 1 if line is self._first and len(self._later) else 0
                self._held[tenant] += 1
                return line.take(tenant)
        return None

    def done(self, key: K) -> None:
        """The key gives its place back."""
        tenant = self._tenant(key)
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]

    def clear(self) -> None:
        """Nothing waits any more; what is being served still is."""
        self._first, self._later = _Turns(self._tenant), _Turns(self._tenant)

    def _in_order(self) -> "tuple[_Turns[K], ...]":
        its_turn = self._passed >= LATER_SHARE - 1
        return (self._later, self._first) if its_turn else (self._first, self._later)

    def _next_tenant(self, line: "_Turns[K]", free: int) -> Hashable | None:
        """At most as many tenants are passed over as there are places: only those that hold one are."""
        scarce = free <= self._places // RESERVED_SHARE
        return next((tenant for tenant in line if not (scarce and self._held[tenant])), None)


class _Turns(Generic[K]):
    """One line: tenants in the order of their turns, and the keys of each in the order in which they came."""

    def __init__(self, tenant: Callable[[K], Hashable]) -> None:
        self._tenant = tenant
        self._waiting: OrderedDict[Hashable, OrderedDict[K, None]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Hashable]:
        return iter(self._waiting)

    def push(self, key: K) -> None:
        self._waiting.setdefault(self._tenant(key), OrderedDict())[key] = None
        self._length += 1

    def take(self, tenant: Hashable) -> K:
        """The tenant's oldest key; its next turn comes after everybody's."""
        key, _ = self._waiting[tenant].popitem(last=False)
        self._waiting.move_to_end(tenant)
        self._taken(tenant)
        return key

    def remove(self, key: K) -> bool:
        """Whether the key was here."""
        tenant = self._tenant(key)
        if key not in self._waiting.get(tenant, ()):
            return False
        del self._waiting[tenant][key]
        self._taken(tenant)
        return True

    def _taken(self, tenant: Hashable) -> None:
        self._length -= 1
        if not self._waiting[tenant]:
            del self._waiting[tenant]
