"""`slipway plan train`: what a recipe's job needs of memory, how it had best run, and why not otherwise.

The same functions decide whether the operator accepts the job (plan/capacity). What is not known, a GPU that the spec
does not name, is said and not guessed; `--gpu` names one.
"""

import json
from collections.abc import Sequence
from typing import Any

from ..plan.capacity.choice import Alternative, alternatives, shortlist
from ..plan.capacity.devices import BY_NAME
from ..plan.capacity.fit import ERROR_PERCENT, gib
from ..plan.capacity.layout import Layout, load_of
from ..plan.capacity.model import parameters
from ..plan.capacity.refusal import misfit_in
from ..plan.capacity.resolved import resolved_in
from ..plan.capacity.room import Room, of_device, room_of, unknown
from .jobs import Job, training_jobs
from .preview import InvalidFile

PARTS = ("weights", "gradients", "optimizer", "activations", "logits", "temporary", "buckets", "overhead")
HEAD = ("", "STRATEGY", "NEEDS", *(part.upper() for part in PARTS), "HOST", "FITS", "WHY")
NUMBERS = range(2, len(HEAD) - 2)  # columns of figures, which stand to the right
FITS = {"fits": "yes", "tight": "maybe", "not": "no", "unknown": "?"}


def plans(text: str, gpu: str | None) -> list[dict[str, Any]]:
    """What is told of each job of the file, ready for JSON; counts are bytes. Raises InvalidFile."""
    return [_plan(job, gpu) for job in training_jobs(text)]


def _plan(job: Job, gpu: str | None) -> dict[str, Any]:
    spec, name = job.spec, f"{job.owner.namespace}/{job.owner.name}"
    if spec.command:
        raise InvalidFile(f"TrainingJob {name}: spec.command: what a program of your own needs is not known")
    room, load = _room(job, gpu), load_of(spec)
    every = alternatives(spec, room)
    size = {"parameters": parameters(load.shape), "tokensPerStep": load.batch * load.shape.context}
    return {
        "job": name,
        **size,
        "precision": spec.precision,
        "processes": {"nodes": spec.nodes, "perNode": spec.per_node},
        "room": _room_json(room),
        "unknown": None if room else unknown(spec),
        "runsAs": _layout_json(resolved_in(spec, room)),
        "refusal": misfit_in(spec, room) if room else None,
        "alternatives": [{**_alternative_json(each), "listed": each in shortlist(every)} for each in every],
    }


def _room(job: Job, gpu: str | None) -> Room | None:
    if gpu is None:
        return room_of(job.spec)
    if job.spec.accelerator == "cpu":
        raise InvalidFile(f"TrainingJob {job.owner.name}: spec.accelerator is cpu: leave out --gpu, or set nvidia")
    if gpu not in BY_NAME:
        raise InvalidFile(f"--gpu {gpu}: not a GPU that is known; it is one of {', '.join(BY_NAME)}")
    return of_device(BY_NAME[gpu])


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


def as_table(found: Sequence[dict[str, Any]]) -> str:
    return "\n".join(_text(each) for each in found)


def _text(plan: dict[str, Any]) -> str:
    where, room = plan["processes"], plan["room"]
    lines = [
        f"TrainingJob {plan['job']}: {_count(plan['parameters'])} parameters in {plan['precision']}, "
        f"{plan['tokensPerStep']:,} tokens a step, {where['nodes']} x {where['perNode']} processes",
        _room_text(room) if room else f"Memory: not known, so nothing is refused; {plan['unknown']}.",
        f"Runs as: {plan['runsAs']['name']}.",
    ]
    lines += [f"Refused: {plan['refusal']}."] if plan["refusal"] else []
    listed = [each for each in plan["alternatives"] if each["listed"]]
    more = len(plan["alternatives"]) - len(listed)
    return "\n".join([*lines, "", *_rows(listed), *([f"{more} more with -o json."] if more else [])]) + "\n"


def _room_text(room: dict[str, Any]) -> str:
    shared = "a process" if room["processes"] == 1 else f"the {room['processes']} processes of a pod"
    has = f"Memory: {gib(room['memoryBytes'])} GiB for {shared} ({room['source']})"
    return f"{has}; estimates are within {ERROR_PERCENT} %."


def _count(parameters_: int) -> str:
    for unit, size in (("B", 1_000_000_000), ("M", 1_000_000)):
        if parameters_ >= size:
            return f"{parameters_ / size:.2f} {unit}"
    return f"{parameters_:,}"


def _rows(alternatives_: list[dict[str, Any]]) -> list[str]:
    """The table, GiB by part of one process; NEEDS is of what the memory is for."""
    rows = [HEAD, *(_row(each) for each in alternatives_)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return ["  ".join(_cell(row, column, widths) for column in range(len(HEAD))).rstrip() for row in rows]


def _cell(row: tuple[str, ...], column: int, widths: list[int]) -> str:
    return row[column].rjust(widths[column]) if column in NUMBERS else row[column].ljust(widths[column])


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    mark, sizes = "*" if each["chosen"] else "", each["bytes"]
    if sizes is None:
        return (mark, each["name"], *("-" for _ in range(len(PARTS) + 2)), "no", each["reason"])
    figures = (each["neededBytes"], *(sizes[part] for part in PARTS), sizes["host"])
    return (
        mark,
        each["name"],
        *(gib(count) if count else "0" for count in figures),
        FITS[each["verdict"]],
        each["reason"],
    )
