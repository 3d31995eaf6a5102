"""A new revision replaces the old one without a gap: while replicas answer, they may not all go at once. None is sent
to sleep before it has answered once; and nobody else's pause keeps a revision from coming.
"""

from typing import TYPE_CHECKING, ClassVar

from slipway.plan.labels import INFERENCE_SERVICE
from slipway.plan.observed import Obj

from ..acts import SERVICES
from ..apiserver import WatchEvent
from ..faults import Partition, Silence
from ..hand import Hand
from .base import Oracle, is_true

if TYPE_CHECKING:
    from ..world import World

DEPLOYMENTS = "deployments.apps"
LAG_SECONDS = 13.0  # the latest that a watch tells in any timing
SCALERS = "scaledobjects.keda.sh"


class Serving(Oracle):
    name: ClassVar[str] = "serving"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._ready: dict[str, tuple[str, float]] = {}  # by the pod's uid: its service, and since when it answers
        self._answered: set[str] = set()  # services of which a replica has answered
        self._templates: dict[str, Obj] = {}  # by the Deployment's uid
        self._deaf = any(isinstance(fault, Silence | Partition) for fault in world.faults)

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource == "pods":
            self._pod(event)
        elif resource == SCALERS and event.type != "DELETED" and self.by_operator():
            self._sleeps(event.object)
        elif resource == DEPLOYMENTS:
            metadata, template = event.object["metadata"], event.object["spec"]["template"]
            before = self._templates.get(metadata["uid"], template)
            self._templates[metadata["uid"]] = template
            if before != template and self.by_operator() and not self._deaf:
                self._rolls(event.object)

    def _pod(self, event: WatchEvent) -> None:
        metadata = event.object["metadata"]
        answers = is_true(event.object, "Ready") and event.type != "DELETED" and "deletionTimestamp" not in metadata
        if not answers:
            self._ready.pop(metadata["uid"], None)
        elif service := (metadata.get("labels") or {}).get(INFERENCE_SERVICE):
            self._ready.setdefault(metadata["uid"], (service, self.world.time()))
            self._answered.add(service)

    def _sleeps(self, scaler: Obj) -> None:
        namespace, name = scaler["metadata"]["namespace"], scaler["metadata"]["name"]
        service = Hand(self.world.api, "oracle").get(SERVICES, namespace, name)
        wanted = service is not None and service["spec"].get("replicas", 1) > 0
        if wanted and scaler["spec"].get("minReplicaCount") == 0 and name not in self._answered:
            self.wrong(f"{name} may be sent to sleep, and has never answered")

    def ends(self) -> None:
        for service in self.world.api.list(SERVICES, None, "")[0]:
            metadata = service["metadata"]
            deployment = Hand(self.world.api, "oracle").get(DEPLOYMENTS, metadata["namespace"], metadata["name"])
            owners = (deployment or {"metadata": {}})["metadata"].get("ownerReferences") or []
            ours = is_true(service, "Accepted") and metadata["uid"] in {owner["uid"] for owner in owners}
            if deployment is not None and ours and deployment["spec"].get("paused"):
                self.wrong(f"Deployment {metadata['name']} is paused, by another hand")

    def _rolls(self, deployment: Obj) -> None:
        name = deployment["metadata"]["name"]
        since = [begun for service, begun in self._ready.values() if service == name]
        rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
        if since and self.world.time() - min(since) > LAG_SECONDS and rolling.get("maxUnavailable") == "100%":
            self.wrong(f"{name} rolls so that all replicas may go at once, though some answer")
