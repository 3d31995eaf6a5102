"""No write begins without the Lease, and no two operators may write at once.

The expiry is reckoned here from the requests alone, without a look at the operator's own reckoning: the last renewal
that this process was told to have succeeded, counted from when it was sent.
"""

from typing import TYPE_CHECKING, ClassVar

from .base import Oracle

if TYPE_CHECKING:
    from ..client import Sent
    from ..process import Process
    from ..world import World


class Leader(Oracle):
    name: ClassVar[str] = "leader"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._renewals: dict[Process, list[Sent]] = {}

    def begins(self, process: "Process", sent: "Sent") -> None:
        if sent.lease:
            if sent.write:
                self._renewals.setdefault(process, []).append(sent)
            return
        if not sent.write:
            return
        if sent.at >= self._expiry(process):
            self.wrong(f"operator {process.number} begins {sent.method} {sent.path} without the lease")
        others = [other for other in self.world.processes if other is not process and sent.at < self._expiry(other)]
        if others:
            self.wrong(f"operators {process.number} and {others[0].number} may both write")

    def _expiry(self, process: "Process") -> float:
        """When the process must stop; -inf when it never held the lease, or has given it up."""
        held = float("-inf")
        for sent in self._renewals.get(process, ()):
            holder = ((sent.body or {}).get("spec") or {}).get("holderIdentity")
            if not holder:
                held = float("-inf")
            elif sent.status in (200, 201):
                held = max(held, sent.at + process.app.settings.lease.renew_deadline_seconds)
        return held
