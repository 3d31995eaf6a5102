"""How many nodes the present attempt of an elastic job has: written with the attempt's number, and on its gang.

The gang's own label is believed before the status, which may be an old one, as with the number itself. What cannot be
read there, or would not be allowed, counts as nothing said: then the attempt has all of spec.nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...api.trainingjob import TrainingJobSpec
from .. import labels
from ..observed import Child, Obj
from ..pod.policytypes import mapping


@dataclass(frozen=True, slots=True)
class Size:
    """status.elastic. `why` says why `nodes` are fewer than the job would like, "" when they are not."""

    nodes: int
    why: str = ""
    resizes: int = 0  # restarts with another number, so far

    def fields(self) -> Obj:
        told = {"nodes": self.nodes, "message": self.why or None, "resizes": self.resizes or None}
        return {name: value for name, value in told.items() if value is not None}


def read(status: Mapping[str, Any]) -> Size | None:
    """From the status as last seen."""
    told = mapping(status.get("elastic"))
    nodes, why, resizes = (told.get(name) for name in ("nodes", "message", "resizes"))
    if not isinstance(nodes, int):
        return None
    return Size(nodes, why if isinstance(why, str) else "", resizes if isinstance(resizes, int) else 0)


def sized(spec: TrainingJobSpec, recorded: Size | None, gang: Child | None) -> TrainingJobSpec:
    """The spec with the nodes of the attempt. `recorded` is what the status says of this very attempt."""
    if spec.elastic is None:
        return spec
    label = gang.labels.get(labels.NODES, "") if gang else ""
    nodes = int(label) if label.isdecimal() else recorded.nodes if recorded else spec.nodes
    allowed = spec.elastic.min_nodes <= nodes < spec.nodes
    return spec.model_copy(update={"nodes": nodes}) if allowed else spec
