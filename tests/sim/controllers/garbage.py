"""The garbage collector: dependents of what is gone go too, some time later, and so do theirs."""

from typing import ClassVar

from slipway.kube.kinds import TABLE

from ..apiserver import WatchEvent
from .base import Controller, Key

EVERYTHING: Key = ("", "", "")


class Garbage(Controller):
    name: ClassVar[str] = "generic-garbage-collector"
    watches: ClassVar[tuple[str, ...]] = tuple(
        r.full for r in TABLE.values() if r.kind not in ("Lease", "Event", "EndpointSlice", "TokenReview")
    )

    def changed(self, resource: str, event: WatchEvent) -> None:
        """Only an end makes garbage, or an owner reference to what is gone already."""
        metadata = event.object["metadata"]
        young = event.type == "ADDED" and metadata.get("ownerReferences")
        if resource in self.watches and (young or event.type == "DELETED" or "deletionTimestamp" in metadata):
            self.soon(EVERYTHING)

    def look(self, key: Key) -> None:
        if self.world.api.collect_garbage():
            self.soon(EVERYTHING)
