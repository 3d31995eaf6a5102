"""What the API server refused for one custom resource, and when it is worth asking again.

The same object is not sent again before its pause is over, however many events bring a visit: 5 s at first, for what a
user is about to mend, then doubling to a minute. A changed object is sent at once. What brings the visit that sends it
again is patience.py.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from ..plan.observed import NO_SUCH_KIND, Ref
from .patience import EARLY_SECONDS, FIRST_SECONDS, LIMIT_SECONDS


@dataclass(frozen=True, slots=True)
class Refusal:
    message: str  # the API server's
    intent: str  # hash of the object that was refused
    count: int
    due: float  # monotonic time from which it is asked again


@dataclass(slots=True)
class Refusals:
    _by_ref: dict[Ref, Refusal] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._by_ref)

    def messages(self) -> dict[Ref, str]:
        return {target: refusal.message for target, refusal in self._by_ref.items()}

    def holds(self, target: Ref, intent: str, now: float) -> bool:
        """Whether this very object was refused and it is too early to ask again."""
        known = self._by_ref.get(target)
        return known is not None and known.intent == intent and now < known.due - EARLY_SECONDS

    def note(self, target: Ref, intent: str, message: str, now: float) -> None:
        known = self._by_ref.get(target)
        count = known.count + 1 if known is not None and known.intent == intent else 1
        pause = min(FIRST_SECONDS * 2 ** min(count - 1, 10), LIMIT_SECONDS)
        self._by_ref[target] = Refusal(message, intent, count, now + pause)

    def clear(self, target: Ref) -> None:
        self._by_ref.pop(target, None)

    def keep_only(self, targets: Collection[Ref]) -> None:
        """Forget what is no longer planned."""
        for target in [t for t in self._by_ref if t not in targets]:
            del self._by_ref[target]

    def hurry(self) -> None:
        """Ask for everything again at the next visit: the world has changed, as when a CRD arrived."""
        for target in self._by_ref:
            self._hurry(target)

    def arrived(self, plural: str) -> bool:
        """A kind is served: ask again, at the next visit, for what was refused because it was not. Returns whether
        there is any."""
        waiting = [t for t, known in self._by_ref.items() if t.plural == plural and known.message == NO_SUCH_KIND]
        for target in waiting:
            self._hurry(target)
        return bool(waiting)

    def _hurry(self, target: Ref) -> None:
        self._by_ref[target] = replace(self._by_ref[target], due=float("-inf"))
