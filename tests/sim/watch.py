"""A watch as the operator gets it through kopf: a listing, then events, which may be late, repeated, or lost in a break
that ends with another listing.

A kind that the cluster does not have is not watched; when it comes, kopf lists it. What was told last of a kind that
went is told, or lost.

The objects of a listing are told twice (kopf's events would repeat what `listings.taken` has told), and the events of
different objects may overtake each other, those of one object may not (unless the timing says disorder).
"""

import asyncio
import random
from typing import TYPE_CHECKING

from slipway.kube.kinds import CHILDREN, WATCHED, Resource
from slipway.plan.labels import SELECTOR
from slipway.plan.observed import Obj

from .apiserver import Expired, selectors
from .faults import Overlook, Silence

if TYPE_CHECKING:
    from .process import Process
    from .world import World

RECONNECT_SECONDS = 0.1


def watches(world: "World", process: "Process") -> list["Watch"]:
    return [Watch(world, process, resource) for resource in WATCHED]


class Watch:
    def __init__(self, world: "World", process: "Process", resource: Resource) -> None:
        self._world, self._process, self.resource = world, process, resource
        self._selector = SELECTOR if resource in CHILDREN else ""
        self._parsed = selectors.parsed(self._selector)
        self._chance: random.Random = world.chance(f"watch {process.number} {resource.full}")
        self._silences = [fault for fault in world.faults if isinstance(fault, Silence) and self._hears(fault)]
        self._overlooks = process.life <= world.script.operators and Overlook(resource.full) in world.faults
        self._version: int | None = None  # None: a listing is due
        self._pumping = False
        self._pending = 0  # events on their way
        self._latest: dict[str, float] = {}  # by uid: when its last event comes

    @property
    def at_rest(self) -> bool:
        told = self._version is not None or not self._served
        return told and not self._pumping and not self._pending

    @property
    def _served(self) -> bool:
        return self._world.api.serves(self.resource.full)

    def _hears(self, silence: Silence) -> bool:
        return silence.resource in ("", self.resource.full) and silence.operator in (None, self._process.number)

    def start(self) -> None:
        self._pump_in(self._delay())
        for silence in self._silences:
            self._process.later(max(0.0, silence.at - asyncio.get_running_loop().time()), self._pump_in, 0.0)

    def changed(self) -> None:
        """Something of this kind changed: tell of it after a while."""
        if self._version is not None:
            self._pump_in(0.0)

    def kinds_changed(self) -> None:
        """A kind has come, or gone: perhaps this one."""
        if self._served == (self._version is None) and not self._overlooks:
            self._pump_in(self._delay())

    def _delay(self) -> float:
        return self._chance.uniform(*self._world.timing.watch)

    def _pump_in(self, seconds: float) -> None:
        if not self._pumping and not self._process.dead:
            self._pumping = True
            self._process.later(seconds, self._pump)

    def _pump(self) -> None:
        self._pumping = False
        if broken := self._broken():
            if broken.expired:
                self._version = None
            until = broken.at + broken.seconds - asyncio.get_running_loop().time()
            self._pump_in(max(until, 0.0) + RECONNECT_SECONDS)
        elif not self._served:
            self._lose()
        elif self._version is None:
            self._list()
        else:
            self._follow(self._version)

    def _broken(self) -> Silence | None:
        now = asyncio.get_running_loop().time()
        if cut := self._world.network.cut(self._process):
            return Silence("", cut.at, cut.seconds, expired=False)
        return next((s for s in self._silences if s.at <= now < s.at + s.seconds), None)

    def _list(self) -> None:
        objects, self._version = self._world.api.list(self.resource.full, None, self._selector)
        uids = {body["metadata"]["uid"] for body in objects}
        for body in objects:
            self._process.app.recorded(self.resource, None, body)
        self._process.app.listed(self.resource, None, uids, str(self._version))
        for body in objects:
            self._tell(None, body)

    def _lose(self) -> None:
        """The kind is gone; kopf ends the watch, sometimes before its last events."""
        since, self._version = self._version, None
        if since is not None and self._chance.random() < 0.5:
            for resource, event in self._world.api.history(since):
                if resource == self.resource.full and selectors.matches(self._parsed, event.object):
                    self._tell(event.type, event.object)

    def _follow(self, since: int) -> None:
        try:
            events = self._world.api.events_since(self.resource.full, None, self._selector, since)
        except Expired:
            self._version = None
            self._pump_in(RECONNECT_SECONDS)
            return
        for event in events:
            self._version = event.version
            self._tell(event.type, event.object)

    def _tell(self, kind: str | None, body: Obj) -> None:
        timing, uid, now = self._world.timing, body["metadata"]["uid"], asyncio.get_running_loop().time()
        due = now + self._delay()
        if not timing.disorder:
            due = max(due, self._latest.get(uid, 0.0) + 1e-6)
            self._latest[uid] = due
        self._send(due - now, kind, body)
        if timing.duplicates and self._chance.random() * 100 < timing.duplicates:
            self._send(due - now + self._delay() * timing.disorder, kind, body)

    def _send(self, seconds: float, kind: str | None, body: Obj) -> None:
        self._pending += 1
        self._process.later(seconds, self._arrive, kind, body)

    def _arrive(self, kind: str | None, body: Obj) -> None:
        self._pending -= 1
        self._process.app.recorded(self.resource, kind, body)
