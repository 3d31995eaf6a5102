"""When to look again at what no watch tells of: a claim that a user names, a quota, a policy, what was refused.

Soon at first, for what a user is about to mend, then after twice as long each time, up to a minute; anew when the
object says something else of itself, or is asked for something else. A quarter is added by chance, so that what was
refused together does not come back together. And of one namespace only so many are looked at in a second, however many
wait: ten thousand jobs that a quota refuses must not keep the operator from everybody else's.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from ..plan.observed import Owner
from ..plan.outcome import Plan
from .keys import Key
from .versions import digest

FIRST_SECONDS, LIMIT_SECONDS = 5.0, 60.0
JITTER = 0.25
LOOKS_PER_SECOND = 50.0  # of the objects of one namespace, on average
EARLY_SECONDS = 0.1  # a timer may come a moment before its time
DOUBLINGS_MAX = 10
NUMBER = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True)
class _Wait:
    about: str
    looks: int  # that found everything as it was
    due: float  # monotonic time of the next one


class Patience:
    """Who waits for what no watch tells, and until when. `chance` is in [0, 1)."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._waits: dict[Key, _Wait] = {}
        self._crowd: Counter[str] = Counter()  # by namespace: how many wait

    def next_seconds(self, key: Key, about: str, now: float) -> float:
        """Seconds until `key`, which has just been looked at and says `about` of itself, is looked at again."""
        known = self._waits.get(key)
        if known is None:
            self._crowd[key.namespace] += 1
        elif known.about == about and now < known.due - EARLY_SECONDS:
            return known.due - now  # an event brought this visit
        looks = known.looks + 1 if known is not None and known.about == about else 0
        pause = self._pause_seconds(key.namespace, looks)
        self._waits[key] = _Wait(about, looks, now + pause)
        return pause

    def over(self, key: Key) -> None:
        """The key waits no more."""
        if self._waits.pop(key, None) is not None:
            self._crowd[key.namespace] -= 1
            if not self._crowd[key.namespace]:
                del self._crowd[key.namespace]

    def clear(self) -> None:
        """Nobody waits; who does begins anew."""
        self._waits.clear()
        self._crowd.clear()

    def __len__(self) -> int:
        return len(self._waits)

    def _pause_seconds(self, namespace: str, looks: int) -> float:
        own = min(FIRST_SECONDS * 2 ** min(looks, DOUBLINGS_MAX), LIMIT_SECONDS)
        in_turn = self._crowd[namespace] / LOOKS_PER_SECOND
        return float(max(own, in_turn) * (1 + JITTER * self._chance()))


def said(owner: Owner, plan: Plan) -> str:
    """What an object says of itself: its conditions, but for the numbers in their words. A quota's refusal counts what
    is used, and every pod of the namespace changes the count."""
    conditions = plan.status.get("conditions") or []
    told = [[c.get(name) for name in ("type", "status", "reason")] for c in conditions]
    return digest([owner.generation, told, [NUMBER.sub("0", str(c.get("message"))) for c in conditions]])
