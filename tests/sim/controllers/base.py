"""What the models share: a change leads, after a while, to one look at the object that it concerns."""

import asyncio
import random
from typing import TYPE_CHECKING, Any, ClassVar

from slipway.plan.observed import Obj

from ..apiserver import WatchEvent
from ..hand import Hand, Refused

if TYPE_CHECKING:
    from ..world import World

Key = tuple[str, str, str]  # resource, namespace, name
RETRY_SECONDS, RETRY_MAX_SECONDS = 1.0, 40.0
IN_THE_WAY = ("exceeded quota", "status unknown for quota", "denied request", "failed calling webhook")


class Controller:
    """`look(key)` brings one object nearer to what it should be; it is called again after every change."""

    name: ClassVar[str] = ""
    watches: ClassVar[tuple[str, ...]] = ()  # the resources whose changes concern it

    def __init__(self, world: "World") -> None:
        self.world = world
        self.hand = Hand(world.api, self.name)
        self.chance: random.Random = world.chance(self.name)
        self._due: dict[Key, asyncio.TimerHandle] = {}
        self._refused: dict[Key, int] = {}  # how often in a row

    @property
    def busy(self) -> bool:
        return bool(self._due.keys() - self._refused.keys())

    @property
    def next_look(self) -> float:
        """Loop time of the last look at what was refused."""
        return max((self._due[key].when() for key in self._refused if key in self._due), default=0.0)

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource in self.watches and (key := self.concerns(resource, event.object)) is not None:
            self.soon(key)

    def concerns(self, resource: str, body: Obj) -> Key | None:
        """The object to look at when `body` has changed."""
        return resource, body["metadata"]["namespace"], body["metadata"]["name"]

    def look(self, key: Key) -> None:
        raise NotImplementedError

    def soon(self, key: Key, seconds: float | None = None) -> None:
        """Look at `key` after `seconds`, or after the usual while; of several wishes the earliest holds."""
        loop = asyncio.get_running_loop()
        due = loop.time() + (self.delay() if seconds is None else seconds)
        known = self._due.get(key)
        if known is not None:
            if known.when() <= due:
                return
            known.cancel()
        self._due[key] = loop.call_at(due, self._look, key)

    def delay(self) -> float:
        return self.chance.uniform(*self.world.timing.controller)

    def _look(self, key: Key) -> None:
        del self._due[key]
        try:
            self.look(key)
            self._refused.pop(key, None)
        except Refused as refused:
            if refused.status in (404, 409):  # a conflict with somebody else's write: look again, as the real ones do
                self.soon(key)
            elif any(words in refused.message for words in IN_THE_WAY):
                self._wait(key)
            else:
                raise

    def _wait(self, key: Key) -> None:
        """Try again what was refused, after ever longer pauses."""
        count = self._refused[key] = self._refused.get(key, 0) + 1
        self.soon(key, min(RETRY_SECONDS * 2 ** min(count - 1, 10), RETRY_MAX_SECONDS))


def controlled_by(body: Obj, uid: str) -> bool:
    return any(o.get("uid") == uid and o.get("controller") for o in body["metadata"].get("ownerReferences") or [])


def going(body: Obj) -> bool:
    return "deletionTimestamp" in body["metadata"]


def set_condition(conditions: list[Obj], kind: str, status: str, now: str, **more: Any) -> list[Obj]:
    """The list with this condition in it; its transition time changes with its status only."""
    before = next((c for c in conditions if c["type"] == kind), None)
    kept = before["lastTransitionTime"] if before and before["status"] == status else now
    made = {"type": kind, "status": status, "lastTransitionTime": kept, **more}
    return [made if c is before else c for c in conditions] if before else [*conditions, made]
