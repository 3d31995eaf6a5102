"""Nothing is written at rest; nor does a restart change anything. (A refused object is sent again now and then.)"""

from typing import TYPE_CHECKING, ClassVar

from ..apiserver import WatchEvent
from .base import Oracle

if TYPE_CHECKING:
    from ..client import Sent
    from ..process import Process


class Rest(Oracle):
    name: ClassVar[str] = "rest"

    def begins(self, process: "Process", sent: "Sent") -> None:
        if self.world.phase == "rest" and sent.write and not sent.lease and not self._refused_before(sent):
            self.wrong(f"{sent.method} {sent.path} is written at rest: {sent.body}")

    def changed(self, resource: str, event: WatchEvent) -> None:
        quiet = resource.startswith(("leases", "endpointslices"))
        if self.world.phase == "restart" and not quiet and self.by_operator():
            self.wrong(f"a restart changes {resource} {event.object['metadata']['name']} ({event.type})")

    def _refused_before(self, sent: "Sent") -> bool:
        same = (s for s in reversed(self.world.network.history) if s is not sent and s.path == sent.path and s.write)
        last = next(same, None)
        return last is not None and last.status is not None and last.status >= 400
