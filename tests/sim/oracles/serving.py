"""A new revision replaces the old one without a gap: while replicas answer, they may not all go at once."""

from typing import TYPE_CHECKING, ClassVar

from slipway.plan.labels import INFERENCE_SERVICE
from slipway.plan.observed import Obj

from ..apiserver import WatchEvent
from ..faults import Partition, Silence
from .base import Oracle, is_true

if TYPE_CHECKING:
    from ..world import World

DEPLOYMENTS = "deployments.apps"
LAG_SECONDS = 13.0  # the latest that a watch tells in any timing


class Serving(Oracle):
    name: ClassVar[str] = "serving"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._ready: dict[str, tuple[str, float]] = {}  # by the pod's uid: its service, and since when it answers
        self._templates: dict[str, Obj] = {}  # by the Deployment's uid
        self._deaf = any(isinstance(fault, Silence | Partition) for fault in world.faults)

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource == "pods":
            self._pod(event)
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

    def _rolls(self, deployment: Obj) -> None:
        name = deployment["metadata"]["name"]
        since = [begun for service, begun in self._ready.values() if service == name]
        rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
        if since and self.world.time() - min(since) > LAG_SECONDS and rolling.get("maxUnavailable") == "100%":
            self.wrong(f"{name} rolls so that all replicas may go at once, though some answer")
