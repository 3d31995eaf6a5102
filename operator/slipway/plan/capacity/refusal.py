"""Why a job is refused before it starts: its processes cannot fit where it says that they run.

Decided here: the words, which name the fields to change. A job whose room is not known is never refused. Nor can they
where the GPU does not multiply numbers of the kind that is asked for.
"""

from ...api.precision import Precision
from ...api.trainingjob import TrainingJobSpec
from .choice import alternatives
from .devices import BUILT_IN, Catalog, Device
from .fit import ERROR_PERCENT, Fit, fit, gib
from .layout import Layout, impossible, load_of
from .resolved import resolved_in
from .room import Room, room_of


def misfit(spec: TrainingJobSpec, known: Catalog = BUILT_IN) -> str | None:
    """Why a recipe's job cannot run in the room that it says it has; None where it can, or where nobody
    knows: the room, or the shape of a base model. `known`: the classes of GPUs that there are."""
    room = room_of(spec, known)
    return misfit_in(spec, room) if room and spec.base_model is None else None


def misfit_in(spec: TrainingJobSpec, room: Room) -> str | None:
    """With all its nodes, and of an elastic job with the fewest."""
    found, elastic = _misfit_in(spec, room), spec.elastic
    if found or elastic is None:
        return found
    least = _misfit_in(spec.model_copy(update={"nodes": elastic.min_nodes}), room)
    return f"with the {elastic.min_nodes} of spec.elastic.minNodes, {least}" if least else None


def _misfit_in(spec: TrainingJobSpec, room: Room) -> str | None:
    layout, load = resolved_in(spec, room), load_of(spec)
    if impossible(layout, load):
        return None  # a rule of the API says that, in its own words
    found = fit(layout, load, room, spec.accelerator)
    return f"{_complaint(layout, found, room)}: {_mend(spec, found, room)}" if found.verdict == "not" else None


def unmultiplied(spec: TrainingJobSpec, known: Catalog = BUILT_IN) -> str | None:
    """Why the GPU that the spec asks for cannot compute in its precision; None where it can, or is not known."""
    room = room_of(spec, known)
    return unmultiplied_in(spec.precision, room.device, known) if room else None


def unmultiplied_in(precision: Precision, device: Device | None, known: Catalog) -> str | None:
    """bf16 is let pass, slow as it may be: a GPU without tensor cores for it computes it all the same."""
    if precision != "fp8" or device is None or device.fp8_flops is not None:
        return None
    able = ", ".join(sorted(name for name, each in known.classes.items() if each.fp8_flops is not None))
    other = "fp32" if device.bf16_flops is None else "bf16"
    return f"spec.precision: {device.name} does not multiply fp8: set it to {other}, or ask for one of {able}"


def _complaint(layout: Layout, found: Fit, room: Room) -> str:
    parts = ", ".join(f"{name} {gib(count)}" for name, count in found.memory.parts() if count)
    whose = "each process" if room.sharing == 1 else f"a pod's {room.sharing} processes"
    needs = f"spec.model: {layout.name} needs {gib(found.needed_bytes)} GiB for {whose}"
    return f"{needs} (of one: {parts}) and {room.source} is {gib(room.memory_bytes)} GiB"


def _mend(spec: TrainingJobSpec, found: Fit, room: Room) -> str:
    """What to change: another layout, where one fits; a smaller share of the batch, where that helps."""
    better = next((each.layout.name for each in alternatives(spec, room) if each.chosen and each.fit), None)
    run_as = f"run it as {better}, " if better else ""
    states_bytes = found.memory.states * room.sharing
    if states_bytes * 100 > room.memory_bytes * (100 + ERROR_PERCENT):
        return f"{run_as}lower model.layers or model.hiddenSize, or ask for more memory; no smaller batch helps"
    return f"{run_as}lower training.batchSize or model.contextLength, raise nodes or perNode, or ask for more memory"
