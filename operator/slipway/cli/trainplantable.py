"""The table of `slipway plan train`: a line for each way to share the work, GiB by part, for a person."""

from collections.abc import Sequence
from typing import Any

from ..plan.capacity.fit import ERROR_PERCENT, gib
from .columns import aligned

PARTS = ("weights", "gradients", "optimizer", "activations", "logits", "temporary", "buckets", "overhead")
HEAD = ("", "STRATEGY", "NEEDS", *(part.upper() for part in PARTS), "HOST", "FITS", "WHY")
NUMBERS = range(2, len(HEAD) - 2)  # columns of figures, which stand to the right
FITS = {"fits": "yes", "tight": "maybe", "not": "no", "unknown": "?"}


def as_table(found: Sequence[dict[str, Any]]) -> str:
    return "\n".join(_text(each) for each in found)


def _text(plan: dict[str, Any]) -> str:
    where, room = plan["processes"], plan["room"]
    lines = [
        f"TrainingJob {plan['job']}: {counted(plan['parameters'])} parameters in {plan['precision']}, "
        f"{plan['tokensPerStep']:,} tokens a step, {where['nodes']} x {where['perNode']} processes",
        _room_text(room) if room else f"Memory: not known, so nothing is refused; {plan['unknown']}.",
        f"Runs as: {plan['runsAs']['name']}.",
    ]
    lines += [f"Refused: {plan['refusal']}."] if plan["refusal"] else []
    lines += [f"Note: {plan['note']}."] if plan["note"] else []
    listed = [each for each in plan["alternatives"] if each["listed"]]
    more = len(plan["alternatives"]) - len(listed)
    return (
        "\n".join(
            [
                *lines,
                "",
                *aligned([HEAD, *map(_row, listed)], NUMBERS),
                *([f"{more} more with -o json."] if more else []),
            ]
        )
        + "\n"
    )


def _room_text(room: dict[str, Any]) -> str:
    shared = "a process" if room["processes"] == 1 else f"the {room['processes']} processes of a pod"
    has = f"Memory: {gib(room['memoryBytes'])} GiB for {shared} ({room['source']})"
    return f"{has}; estimates are within {ERROR_PERCENT} %."


def counted(parameters_: int) -> str:
    for unit, size in (("B", 1_000_000_000), ("M", 1_000_000)):
        if parameters_ >= size:
            return f"{parameters_ / size:.2f} {unit}"
    return f"{parameters_:,}"


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    """GiB by part of one process; NEEDS is of what the memory is for."""
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
