"""The quota controller: it copies a quota's limits to its status, where admission reads them, and counts anew when
something that is counted goes or ends. Admission itself charges what comes (apiserver/quota.py).
"""

from typing import ClassVar

from slipway.kube.kinds import CHILDREN
from slipway.plan.observed import Obj

from ..apiserver import WatchEvent
from ..apiserver.quota import QUOTAS, counted_as
from .base import Controller, Key

COUNTED = {name: resource.full for resource in CHILDREN for name in counted_as(resource.full)}
ENDED = ("Succeeded", "Failed")


class QuotaController(Controller):
    name: ClassVar[str] = "resourcequota-controller"
    watches: ClassVar[tuple[str, ...]] = (QUOTAS, *COUNTED.values())

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource == QUOTAS and event.type != "DELETED":
            super().changed(resource, event)
        elif resource in self.watches and (event.type == "DELETED" or _ended(event.object)):
            for quota in self.hand.list(QUOTAS, event.object["metadata"]["namespace"]):
                super().changed(QUOTAS, WatchEvent("MODIFIED", quota, event.version))

    def look(self, key: Key) -> None:
        quota = self.hand.get(*key)
        if quota is None:
            return
        hard = quota["spec"].get("hard") or {}
        used = {name: str(self._count(name, key[1])) for name in hard}
        status = {"hard": hard, "used": used}
        if status != quota.get("status"):
            self.hand.replace(QUOTAS, {**quota, "status": status}, "status")

    def _count(self, name: str, namespace: str) -> int:
        """`pods` are those that have not ended, `count/pods` all of them."""
        found = self.hand.list(COUNTED[name], namespace)
        return sum(not _ended(body) for body in found) if name == "pods" else len(found)


def _ended(body: Obj) -> bool:
    return body["kind"] == "Pod" and (body.get("status") or {}).get("phase") in ENDED
