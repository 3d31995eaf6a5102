"""What this process wrote, remembered until the watch tells it back: so that a late index causes no second write.

`LAG_SECONDS` bounds the trust in our own memory over the index; after it the index is believed, whatever it says.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from ..plan.observed import Ref
from .index import Index
from .keys import Key
from .patience import Patience
from .refusals import Refusals
from .versions import Stamp, older

LAG_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Written:
    """An object as the API server returned it from our write, the hash of what we asked for, and the monotonic time."""

    stamp: Stamp
    intent: str
    at: float


@dataclass(slots=True)
class OwnerMemory:
    """All that is remembered for one custom resource; dropped as a whole when it is gone."""

    uid: str
    applied: dict[Ref, Written] = field(default_factory=dict)
    created: dict[Ref, Written] = field(default_factory=dict)
    refusals: Refusals = field(default_factory=Refusals)
    status: Written | None = None
    failing_since: float | None = None  # monotonic time of the first failure after the last visit that succeeded


class Memory:
    """Per-owner memory. A new uid under an old name starts empty."""

    def __init__(self, chance: Callable[[], float] = random.random) -> None:
        self._owners: dict[Key, OwnerMemory] = {}
        self.patience = Patience(chance)

    def of(self, key: Key, uid: str) -> OwnerMemory:
        known = self._owners.get(key)
        if known is None or known.uid != uid:
            known = self._owners[key] = OwnerMemory(uid)
            self.patience.over(key)
        return known

    def forget(self, key: Key) -> None:
        self._owners.pop(key, None)
        self.patience.over(key)

    def hurry(self) -> None:
        """Ask again, at the next visits, for whatever was refused."""
        self.patience.clear()
        for owner in self._owners.values():
            owner.refusals.hurry()

    def arrived(self, plural: str) -> list[Key]:
        """A kind has been listed, so it is served: whose objects of it were refused because it was not. They are asked
        for again at the next visit."""
        waiting = [key for key, owner in self._owners.items() if owner.refusals.arrived(plural)]
        for key in waiting:
            self.patience.over(key)
        return waiting

    def clear(self) -> None:
        self.patience.clear()
        self._owners.clear()

    def __len__(self) -> int:
        return len(self._owners)


def stands(written: Written | None, intent: str, *, index: Index, target: Ref, now: float) -> bool:
    """Whether the cluster still holds what we wrote with this intent, as far as index and memory together can tell."""
    if written is None or written.intent != intent:
        return False
    fresh, seen = now - written.at < LAG_SECONDS, index.stamp(target)
    if seen is None:  # not told yet, or gone
        return fresh and not index.gone(written.stamp)
    if seen.uid != written.stamp.uid:  # the watch still shows its predecessor, or already its successor
        return fresh and older(seen.resource_version, than=written.stamp.resource_version)
    if seen.digest == written.stamp.digest:
        return True
    return fresh and older(seen.resource_version, than=written.stamp.resource_version)


def untold_seconds(memory: OwnerMemory, index: Index, now: float) -> float | None:
    """Seconds until our own memory of something that the watch has not told is no longer trusted; None when it has told
    all. It may never tell: what is made and deleted while a watch is broken is in no listing and no event."""
    written = {**memory.created, **memory.applied}
    untold = (each.at + LAG_SECONDS - now for target, each in written.items() if _is_untold(each, index.stamp(target)))
    return min((seconds for seconds in untold if seconds > 0), default=None)


def _is_untold(written: Written, seen: Stamp | None) -> bool:
    return seen is None or older(seen.resource_version, than=written.stamp.resource_version)
