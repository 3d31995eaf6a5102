"""The garbage collector: dependents of what is gone go too, some time later, and so do theirs."""

from typing import TYPE_CHECKING, ClassVar

from slipway.kube.kinds import TABLE

from ..apiserver import WatchEvent
from .base import Controller, Key

if TYPE_CHECKING:
    from ..world import World

EVERYTHING: Key = ("", "", "")


class Garbage(Controller):
    name: ClassVar[str] = "generic-garbage-collector"
    watches: ClassVar[tuple[str, ...]] = tuple(
        r.full for r in TABLE.values() if r.kind not in ("Lease", "Event", "EndpointSlice", "TokenReview")
    )

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._owners: dict[str, list[str]] = {}  # by uid: the owners that it names

    def changed(self, resource: str, event: WatchEvent) -> None:
        """Only an end makes garbage, or an owner reference, which may be to what is gone already."""
        metadata = event.object["metadata"]
        owners = [reference["uid"] for reference in metadata.get("ownerReferences") or ()]
        owned = owners != self._owners.get(metadata["uid"], [])
        self._owners[metadata["uid"]] = owners
        if resource in self.watches and (owned or event.type == "DELETED" or "deletionTimestamp" in metadata):
            self.soon(EVERYTHING)

    def look(self, key: Key) -> None:
        if self.world.api.collect_garbage():
            self.soon(EVERYTHING)
