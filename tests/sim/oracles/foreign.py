"""What is not Slipway's is not touched: the operator changes and deletes only what it made, and keeps its claims. A
claim that a user has taken, by its label and its owner, is the user's.

Of what users made it deletes a job that is over, when its time has come.
"""

from typing import TYPE_CHECKING, ClassVar

from slipway.api.common import API_VERSION
from slipway.plan.clock import seconds
from slipway.plan.labels import MANAGED_BY, MANAGER
from slipway.plan.observed import Obj

from ..acts import JOBS, NAMESPACE, SERVICES
from ..apiserver import WatchEvent
from ..hand import path
from .base import CHILD_KINDS, OfWrites, is_true

if TYPE_CHECKING:
    from ..world import World

CLAIMS = "persistentvolumeclaims"
DELETES = frozenset({"pods", "pytorchjobs.kubeflow.org", "scaledobjects.keda.sh"})


class Foreign(OfWrites):
    name: ClassVar[str] = "foreign"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._ours: set[str] = set()  # uids of what was ours once: whatever becomes of its labels, it may be mended
        self._taken: dict[str, float] = {}  # uids of claims that users have taken, and since when
        self._going: set[str] = set()  # uids of what is on its way out, whoever deleted it

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource in (JOBS, SERVICES) and event.type == "DELETED" and self.by_operator():
            self._ended(event.object)
        if resource not in CHILD_KINDS:
            return
        metadata = event.object["metadata"]
        if event.type != "ADDED" and self.by_operator():
            self._judge(resource, event)
        if ours(event.object):
            self._ours.add(metadata["uid"])
            self._taken.pop(metadata["uid"], None)
        elif resource == CLAIMS and metadata["uid"] in self._ours and not metadata.get("ownerReferences"):
            self._taken.setdefault(metadata["uid"], self.world.time())
        if "deletionTimestamp" in metadata:
            self._going.add(metadata["uid"])

    def _ended(self, owner: Obj) -> None:
        ttl, status = owner["spec"].get("ttlSecondsAfterFinished"), owner.get("status") or {}
        if ttl is None or not (is_true(owner, "Complete") or is_true(owner, "Failed")):
            self.wrong(f"{owner['metadata']['name']} is deleted by the operator")
        elif not self.world.jumps and seconds(self.world.now()) < seconds(status["completionTime"]) + ttl:
            self.wrong(f"{owner['metadata']['name']} is deleted before its time")

    def _judge(self, resource: str, event: WatchEvent) -> None:
        metadata = event.object["metadata"]
        if metadata["uid"] not in self._ours:
            self.wrong(f"{resource} {metadata['name']} is not Slipway's, and was {event.type}")
        since = self._taken.get(metadata["uid"], float("inf"))
        # between a look and a write a user may come, which calm weather makes too short to matter
        if self.world.script.timing == "calm" and self.begun(path(resource, NAMESPACE, metadata["name"])) > since:
            self.wrong(f"{resource} {metadata['name']}, which a user has taken, was {event.type}")
        going = event.type == "DELETED" or "deletionTimestamp" in metadata
        if going and metadata["uid"] not in self._going and resource not in DELETES:
            self.wrong(f"{resource} {metadata['name']} is deleted by the operator")


def ours(body: Obj) -> bool:
    metadata = body["metadata"]
    labelled = (metadata.get("labels") or {}).get(MANAGED_BY) == MANAGER
    return labelled or any(o.get("apiVersion") == API_VERSION for o in metadata.get("ownerReferences") or [])
