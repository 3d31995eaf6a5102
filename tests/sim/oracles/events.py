"""Every Event tells of a turn in the status, and each turn is told once at most."""

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from slipway.plan.observed import Obj

from ..acts import JOBS, SERVICES
from ..apiserver import WatchEvent
from .base import Oracle

if TYPE_CHECKING:
    from ..world import World

EVENTS = "events.events.k8s.io"
OF_FIELDS = {"model": "ModelReplaced", "podTemplateAdditions": "PodTemplateDrift"}  # of the status: Event


class Events(Oracle):
    name: ClassVar[str] = "events"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._before: dict[str, Obj] = {}  # by the owner's uid: its status
        self._turns: Counter[tuple[str, str, str]] = Counter()  # uid, condition, reason

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource in (JOBS, SERVICES) and event.type != "DELETED":
            self._turn(event.object["metadata"]["uid"], event.object.get("status") or {})

    def _turn(self, uid: str, status: Obj) -> None:
        before = self._before.get(uid, {})
        known = {c["type"]: (c["status"], c["reason"]) for c in before.get("conditions") or []}
        for c in status.get("conditions") or []:
            if known.get(c["type"]) != (c["status"], c["reason"]):
                self._turns[uid, c["type"], c["reason"]] += 1
        if status.get("attempt", 0) > before.get("attempt", 0):
            self._turns[uid, "attempt", "Restarting"] += 1
        if _resizes(status) > _resizes(before):
            self._turns[
                uid, "elastic", next(c["reason"] for c in status["conditions"] if c["type"] == "Restarting")
            ] += 1
        for told in ("model", "podTemplateAdditions"):
            if status.get(told) and status.get(told) != before.get(told):
                self._turns[uid, told, OF_FIELDS[told]] += 1
        self._turns[uid, "wedges", "EngineWedged"] += len(_wedges(status) - _wedges(before))
        self._before[uid] = status

    def ends(self) -> None:
        told: Counter[tuple[str, str]] = Counter()
        for event in self.world.api.list(EVENTS, None, "")[0]:
            told[event["regarding"]["uid"], event["reason"]] += (event.get("series") or {}).get("count", 1)
        for (uid, reason), count in told.items():
            turns = max((n for (u, _, r), n in self._turns.items() if (u, r) == (uid, reason)), default=0)
            if count > turns:
                self.wrong(f"{reason} was told {count} times and came {turns} times")


def _wedges(status: Obj) -> set[tuple[str, str]]:
    return {(each["pod"], each["time"]) for each in status.get("wedges") or [] if isinstance(each, dict)}


def _resizes(status: Obj) -> int:
    resizes: int = (status.get("elastic") or {}).get("resizes", 0)
    return resizes
