"""`slipway plan train`: what a recipe's job needs of memory, how it had best run, and why not otherwise.

The same functions decide whether the operator accepts the job (plan/capacity). What is not known, a GPU that the spec
does not name, is said and not guessed; `--gpu` names one.
"""

import json
from collections.abc import Sequence
from typing import Any

from ..plan.capacity.choice import Alternative, alternatives, shortlist
from ..plan.capacity.layout import Layout, Load, load_of
from ..plan.capacity.model import parameters
from ..plan.capacity.refusal import misfit_in, unmultiplied_in
from ..plan.capacity.resolved import resolved_in
from ..plan.capacity.room import Room, of_device, room_of, unknown
from ..plan.capacity.speed import compute_seconds, send_seconds
from ..plan.observed import Obj
from .documents import InvalidFile
from .jobs import Job, training_jobs


def plans(present: list[Obj], gpu: str | None) -> list[dict[str, Any]]:
    """What is told of each job among `present`, ready for JSON; counts are bytes. Raises InvalidFile."""
    return [_plan(job, gpu) for job in training_jobs(present)]


def _plan(job: Job, gpu: str | None) -> dict[str, Any]:
    spec, name = job.spec, f"{job.owner.namespace}/{job.owner.name}"
    if spec.command:
        raise InvalidFile(f"TrainingJob {name}: spec.command: what a program of your own needs is not known")
    room, load = _room(job, gpu), load_of(spec)
    every = alternatives(spec, room)
    short = shortlist(every)
    size = {"parameters": parameters(load.shape), "tokensPerStep": load.batch * load.shape.context}
    return {
        "job": name,
        **size,
        "precision": spec.precision,
        "processes": {"nodes": spec.nodes, "perNode": spec.per_node},
        "room": _room_json(room),
        "unknown": None if room else unknown(spec, job.known),
        "runsAs": _layout_json(resolved_in(spec, room)),
        "refusal": (_refusal(job, room)) if room else None,
        "note": _note(spec.precision, room),
        "alternatives": [
            {**_alternative_json(each), **_least_seconds(each.layout, load, room), "listed": each in short}
            for each in every
        ],
    }


def _refusal(job: Job, room: Room) -> str | None:
    return unmultiplied_in(job.spec.precision, room.device, job.known) or misfit_in(job.spec, room)


def _room(job: Job, gpu: str | None) -> Room | None:
    if gpu is None:
        return room_of(job.spec, job.known)
    if job.spec.accelerator == "cpu":
        raise InvalidFile(f"TrainingJob {job.owner.name}: spec.accelerator is cpu: leave out --gpu, or set nvidia")
    device = job.known.classes.get(gpu.lower())
    if device is None:
        raise InvalidFile(f"--gpu {gpu}: not a GPU that is known; it is one of {job.known.names}")
    return of_device(device)


def _note(precision: str, room: Room | None) -> str | None:
    device = room.device if room else None
    if device is None or device.bf16_flops is not None or precision == "fp32":
        return None
    return f"{device.name} has no tensor cores for bf16: set precision to fp32"


def _least_seconds(layout: Layout, load: Load, room: Room | None) -> dict[str, float | None]:
    device = room.device if room else None
    compute, sending = compute_seconds(layout, load, device), send_seconds(layout, load, device)
    return {"computeSecondsAtPeak": compute, "sendSecondsAtPeak": sending}


def _room_json(room: Room | None) -> dict[str, Any] | None:
    if room is None:
        return None
    return {"memoryBytes": room.memory_bytes, "processes": room.sharing, "source": room.source}


def _layout_json(layout: Layout) -> dict[str, Any]:
    """The name, and the degrees of what it is a name for."""
    kept = ("strategy", "offload", "checkpointing", "micro_batches")
    more = {"fsdp": ("shard",), "deepspeed": ("stage",), "parallel": ("tensor", "pipeline", "context", "expert")}
    fields = (*kept, *more.get(layout.strategy, ()))
    return {"name": layout.name, **{_camel(field): getattr(layout, field) for field in fields}}


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _alternative_json(each: Alternative) -> dict[str, Any]:
    found = each.fit
    sizes = found and {**dict(found.memory.parts()), "host": found.memory.host, "total": found.memory.total}
    return {
        **_layout_json(each.layout),
        "bytes": sizes,
        "neededBytes": found and found.needed_bytes,
        "verdict": found.verdict if found else "impossible",
        "sentBytesPerStep": each.sent_bytes,
        "bubblePercent": each.bubble_percent,
        "chosen": each.chosen,
        "reason": each.reason,
    }


def as_json(found: Sequence[dict[str, Any]]) -> str:
    return json.dumps(found, indent=2) + "\n"
