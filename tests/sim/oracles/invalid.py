"""A spec that is refused leaves the children that run as they are. (What was sent before may arrive after.)"""

from typing import TYPE_CHECKING, ClassVar

from slipway.plan.labels import INFERENCE_SERVICE

from ..acts import NAMESPACE, SERVICES
from ..apiserver import WatchEvent
from ..hand import Hand, path
from .base import OfWrites, condition

if TYPE_CHECKING:
    from ..world import World

# Not the spec's fault: the children may be changed as soon as the reason is gone, before the status says so.
MENDED_BY_OTHERS = frozenset({"NameConflict", "PodTemplateRefused", "UnknownAccelerator"})
KINDS = frozenset({"deployments.apps", "services", "scaledobjects.keda.sh"})


class Invalid(OfWrites):
    name: ClassVar[str] = "invalid"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._generations: dict[str, int] = {}  # by uid
        self._refused_since: dict[str, float] = {}  # by the service's name

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource == SERVICES:
            self._told(event.object["metadata"]["name"])
        if resource not in KINDS:
            return
        metadata = event.object["metadata"]
        before = self._generations.get(metadata["uid"], metadata.get("generation", 0))
        self._generations[metadata["uid"]] = metadata.get("generation", 0)
        changed = before != metadata.get("generation", 0) or event.type == "DELETED" or "deletionTimestamp" in metadata
        service = (metadata.get("labels") or {}).get(INFERENCE_SERVICE, "")
        begun = self.begun(path(resource, NAMESPACE, metadata["name"]))
        late = begun < self._refused_since.get(service, float("-inf"))
        if changed and not late and self.by_operator() and self._refused(service):
            self.wrong(f"{resource} {metadata['name']} is changed ({event.type}) though the spec is refused")

    def _told(self, name: str) -> None:
        if not self._refused(name):
            self._refused_since.pop(name, None)
        else:
            self._refused_since.setdefault(name, self.world.time())

    def _refused(self, name: str) -> bool:
        """Whether the service's newest spec is refused, and the status says so."""
        service = Hand(self.world.api, "oracle").get(SERVICES, NAMESPACE, name)
        if service is None:
            return False
        accepted = condition(service, "Accepted")
        if accepted.get("reason") in MENDED_BY_OTHERS:
            return False
        seen = accepted.get("observedGeneration") == service["metadata"]["generation"]
        return seen and accepted.get("status") == "False"
