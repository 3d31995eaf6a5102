"""How much memory the processes of a job will find, where the spec says so.

Decided here: what counts as knowing. A GPU is known when the spec names its class, or the podTemplate's nodeSelector
asks for a class's nodes by their exact labels; the memory of CPU pods when the podTemplate limits it for the main
container. An affinity, a queue's flavour, a LimitRange or the node itself may say more, but not to this function, and
it does not guess.
"""

from dataclasses import dataclass

from ...api.trainingjob import TrainingJobSpec
from ..names import MAIN_CONTAINER
from ..observed import Obj
from ..pod.policytypes import entries, mapping
from .classes import CLASS_FIELD, SELECTOR_FIELD, device_of
from .devices import BUILT_IN, Catalog, Device
from .quantity import quantity_bytes

LIMIT_FIELD = "podTemplate.spec.containers[main].resources.limits.memory"


@dataclass(frozen=True, slots=True)
class Room:
    """`sharing` processes have `memory_bytes` together. `source` says what told it, for a person."""

    memory_bytes: int
    sharing: int
    source: str
    device: Device | None = None


def room_of(spec: TrainingJobSpec, known: Catalog = BUILT_IN) -> Room | None:
    """None where the spec does not say. `known`: the classes that there are."""
    template = spec.pod_template.spec if spec.pod_template else {}
    return _limit(template, spec.per_node) if spec.accelerator == "cpu" else _selected(spec, known)


def of_device(device: Device) -> Room:
    """One GPU for each process, as every pod gets them."""
    return Room(device.memory_bytes, sharing=1, source=device.name, device=device)


def unknown(spec: TrainingJobSpec, known: Catalog = BUILT_IN) -> str:
    """What would have to be said for the memory to be known."""
    if spec.accelerator == "cpu":
        return f"the pods have no memory limit: set {LIMIT_FIELD}"
    return f"the GPU is not known: set {CLASS_FIELD} to one of {known.names}, or ask with --gpu"


def _selected(spec: TrainingJobSpec, known: Catalog) -> Room | None:
    device = device_of(spec, known)
    if device is None:
        return None
    by_label = ", ".join(f"{SELECTOR_FIELD}[{label}] {value}" for label, value in device.labels.items())
    source = by_label if spec.accelerator_class is None else f"{CLASS_FIELD} {device.name}"
    return Room(device.memory_bytes, 1, source, device)


def _limit(template: Obj, processes: int) -> Room | None:
    for _, container in entries(template.get("containers")):
        if container.get("name") == MAIN_CONTAINER:
            said = mapping(mapping(container.get("resources")).get("limits")).get("memory")
            limit = quantity_bytes(said)
            return None if limit is None else Room(limit, processes, f"{LIMIT_FIELD} {said}")
    return None
