"""How much memory the processes of a job will find, where the spec says so.

Decided here: what counts as knowing. A GPU is known when the podTemplate's nodeSelector asks for one product by its
exact label; the memory of CPU pods when the podTemplate limits it for the main container. An affinity, a queue's
flavour, a LimitRange or the node itself may say more, but not to this function, and it does not guess.
"""

from dataclasses import dataclass

from ...api.trainingjob import TrainingJobSpec
from ..names import MAIN_CONTAINER
from ..observed import Obj
from ..pod.policytypes import entries, mapping
from .devices import BY_PRODUCT, LABEL, Device
from .quantity import quantity_bytes

SELECTOR_FIELD = f"podTemplate.spec.nodeSelector[{LABEL}]"
LIMIT_FIELD = "podTemplate.spec.containers[main].resources.limits.memory"


@dataclass(frozen=True, slots=True)
class Room:
    """`sharing` processes have `memory_bytes` together. `source` says what told it, for a person."""

    memory_bytes: int
    sharing: int
    source: str
    device: Device | None = None


def room_of(spec: TrainingJobSpec) -> Room | None:
    """None where the spec does not say."""
    template = spec.pod_template.spec if spec.pod_template else {}
    return _limit(template, spec.per_node) if spec.accelerator == "cpu" else _selected(template)


def of_device(device: Device) -> Room:
    """One GPU for each process, as every pod gets them."""
    return Room(device.memory_bytes, sharing=1, source=device.name, device=device)


def unknown(spec: TrainingJobSpec) -> str:
    """What would have to be said for the memory to be known."""
    if spec.accelerator == "cpu":
        return f"the pods have no memory limit: set {LIMIT_FIELD}"
    return f"the GPU is not known: set {SELECTOR_FIELD} to one of {', '.join(BY_PRODUCT)}, or ask with --gpu"


def selected_device(template: Obj) -> Device | None:
    """The GPU that a podTemplate's spec asks for by its exact label."""
    product = mapping(template.get("nodeSelector")).get(LABEL)
    return BY_PRODUCT.get(product) if isinstance(product, str) else None


def _selected(template: Obj) -> Room | None:
    device = selected_device(template)
    return None if device is None else Room(device.memory_bytes, 1, f"{SELECTOR_FIELD} {device.product}", device)


def _limit(template: Obj, processes: int) -> Room | None:
    for _, container in entries(template.get("containers")):
        if container.get("name") == MAIN_CONTAINER:
            said = mapping(mapping(container.get("resources")).get("limits")).get("memory")
            limit = quantity_bytes(said)
            return None if limit is None else Room(limit, processes, f"{LIMIT_FIELD} {said}")
    return None
