"""What an oracle sees: every request as it begins, every change as it happens, and the end."""

from typing import TYPE_CHECKING, ClassVar

from slipway.kube.kinds import CHILDREN
from slipway.plan.observed import Obj

from ..apiserver import WatchEvent

if TYPE_CHECKING:
    from ..client import Sent
    from ..process import Process
    from ..world import World

CHILD_KINDS = frozenset(resource.full for resource in CHILDREN)


class Oracle:
    """Says `self.wrong(...)` when a promise is broken."""

    name: ClassVar[str] = ""

    def __init__(self, world: "World") -> None:
        self.world = world

    def begins(self, process: "Process", sent: "Sent") -> None: ...

    def changed(self, resource: str, event: WatchEvent) -> None: ...

    def ends(self) -> None: ...

    def wrong(self, message: str) -> None:
        self.world.violation(self.name, message)

    def by_operator(self) -> bool:
        """Whether the change that is being told is the operator's doing."""
        return self.world.author == "slipway"


class OfWrites(Oracle):
    """An oracle that asks when the last write of an object began."""

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._begun: dict[str, float] = {}  # by path

    def begins(self, process: "Process", sent: "Sent") -> None:
        if sent.write:
            self._begun[sent.path] = sent.at

    def begun(self, where: str) -> float:
        return self._begun.get(where, float("-inf"))


def condition(body: Obj, kind: str) -> Obj:
    """The condition of an object, empty when it has none of this type."""
    conditions = (body.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == kind), {})


def is_true(body: Obj, kind: str) -> bool:
    return condition(body, kind).get("status") == "True"
