"""Nothing is written at rest, and little is read; nor does a restart change anything. (A refused object is sent again
now and then, and what no watch tells of is read: ever more seldom, as long as all is as it was.)
"""

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from ..acts import JOBS, SERVICES
from ..apiserver import WatchEvent
from .base import Oracle

if TYPE_CHECKING:
    from ..client import Sent
    from ..process import Process
    from ..world import World

READS_MAX = 4  # of one object, for each resource that may ask for it, while the world rests


class Rest(Oracle):
    name: ClassVar[str] = "rest"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._reads: Counter[str] = Counter()  # by path

    def begins(self, process: "Process", sent: "Sent") -> None:
        of_object = "/namespaces/" in sent.path and not sent.lease  # which kinds there are is asked by whoever begins
        if self.world.phase == "rest" and sent.method == "GET" and of_object:
            self._read(sent.path)
        quiet = self.world.phase != "busy"
        if quiet and sent.write and not _of_the_leader(sent) and not self._refused_before(sent):
            when = "at rest" if self.world.phase == "rest" else "after a restart that changed nothing"
            self.wrong(f"{sent.method} {sent.path} is written {when}: {sent.body}")

    def _read(self, path: str) -> None:
        self._reads[path] += 1
        owners = sum(len(self.world.api.list(kind, None, "")[0]) for kind in (JOBS, SERVICES))
        if self._reads[path] == READS_MAX * max(1, owners) + 1:
            self.wrong(f"{path} is read again and again at rest")

    def changed(self, resource: str, event: WatchEvent) -> None:
        leads = resource.startswith(("leases", "endpointslices"))
        if self.world.phase == "restart" and not leads and self.by_operator():
            self.wrong(f"a restart changes {resource} {event.object['metadata']['name']} ({event.type})")

    def _refused_before(self, sent: "Sent") -> bool:
        """By the last answer that anybody got."""
        history = reversed(self.world.network.history)
        same = (s.status for s in history if s.path == sent.path and s.write and s.status is not None)
        return next(same, 0) >= 400


def _of_the_leader(sent: "Sent") -> bool:
    """Who leads, and where: perhaps another after a restart."""
    return sent.lease or "/endpointslices/" in sent.path
