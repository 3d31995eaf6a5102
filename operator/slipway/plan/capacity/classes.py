"""The accelerator class that a spec names: its device, the nodes that its pods go to, and why it is refused.

Decided here: a name that no Accelerator and no built-in class has is refused with all names that there are, and a
nodeSelector of the podTemplate's that contradicts the class too. A podTemplate's nodeSelector that names no class by
`acceleratorClass` still tells which it is (devices.Catalog.selected), as far as it goes.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ...api.trainingjob import TrainingJobSpec
from ..conditions import Finding
from ..observed import Obj
from ..pod.policytypes import mapping
from .devices import Catalog, Device

UNKNOWN_ACCELERATOR = "UnknownAccelerator"
CLASS_FIELD = "spec.acceleratorClass"
SELECTOR_FIELD = "podTemplate.spec.nodeSelector"

Spec = TrainingJobSpec | InferenceServiceSpec


def device_of(spec: Spec, known: Catalog) -> Device | None:
    """The GPU that the pods get, where the spec says so; None on CPUs."""
    if spec.accelerator == "cpu":
        return None
    if spec.accelerator_class is not None:
        return known.classes.get(spec.accelerator_class)
    return known.selected(_node_selector(spec))


def node_selector(spec: Spec, known: Catalog) -> dict[str, str]:
    """Where the pods of a class may go: beside what the podTemplate says."""
    named = known.classes.get(spec.accelerator_class or "")
    return dict(named.labels) if named else {}


def class_refusal(spec: Spec, known: Catalog) -> Finding | None:
    """Why the class that the spec names cannot be had."""
    name = spec.accelerator_class
    if name is None:
        return None
    if name in known.unreadable:
        wrong = f"Accelerator {name!r} cannot be read: {known.unreadable[name]}: mend it, or name another"
        return Finding(UNKNOWN_ACCELERATOR, f"{CLASS_FIELD}: {wrong}; there are {known.names}")
    if name not in known.classes:
        return Finding(UNKNOWN_ACCELERATOR, f"{CLASS_FIELD}: there is no Accelerator {name!r}: there are {known.names}")
    return _contradiction(spec, known.classes[name])


def _contradiction(spec: Spec, device: Device) -> Finding | None:
    """A nodeSelector that would send the pods elsewhere."""
    asked = _node_selector(spec)
    for label, value in device.labels.items():
        if label in asked and asked[label] != value:
            said = (
                f"{asked[label]!r} is not what {CLASS_FIELD} {device.name} stands for, {value!r}: leave one of them out"
            )
            return Finding("InvalidPodTemplate", f"spec.{SELECTOR_FIELD}[{label}]: {said}")
    return None


def _node_selector(spec: Spec) -> Obj:
    return dict(mapping((spec.pod_template.spec if spec.pod_template else {}).get("nodeSelector")))
