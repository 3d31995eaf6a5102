"""The table of `slipway plan serve`: a line for each way to cut the model, best first, for a person.

Listed are those of the checkpoint as it is, and of each other precision the best on each kind of GPU.
"""

from collections.abc import Sequence
from typing import Any

from ..plan.capacity.fit import gib
from .columns import aligned
from .trainplantable import counted

HEAD = ("", "GPU", "CUT", "GPUS", "WEIGHTS", "KV TOKENS", "AT ONCE", "TTFT MS", "ITL MS", "TOKENS/S", "$/M", "WHY")
NUMBERS = range(3, len(HEAD) - 1)  # columns of figures, which stand to the right


def as_table(found: Sequence[dict[str, Any]]) -> str:
    return "\n".join(_text(each) for each in found)


def _text(plan: dict[str, Any]) -> str:
    listed = _listed(plan["alternatives"])
    more = len(plan["alternatives"]) - len(listed)
    lines = [
        _head(plan),
        _demand(plan),
        *(f"Note: {note}." for note in plan["notes"]),
        *([_asked(plan["asked"])] if plan["asked"] else []),
        f"Serve it on: {plan['chosen']}." if plan["chosen"] else "Nothing here serves it as asked.",
        *([f"Fallbacks, in order: {', '.join(plan['fallbacks'])}."] if plan["fallbacks"] else []),
        "",
        *aligned([HEAD, *map(_row, listed)], NUMBERS),
        *([f"{more} more with -o json."] if more else []),
    ]
    return "\n".join(lines) + "\n"


def _head(plan: dict[str, Any]) -> str:
    active = plan["activeParameters"]
    taken = f", {counted(active)} of them for a token" if active < 0.6 * plan["parameters"] else ""
    size = f"{counted(plan['parameters'])} parameters{taken}"
    return f"{plan['model'] or 'Model'}: {size}; {plan['engine']}, up to {plan['gpus']} GPUs."


def _demand(plan: dict[str, Any]) -> str:
    demand = plan["demand"]
    rate = "" if demand["requestsPerSecond"] is None else f", {demand['requestsPerSecond']:g} requests a second"
    waits = [
        f"{name} at most {demand[key] * 1000:g} ms"
        for name, key in (("TTFT", "ttftSeconds"), ("ITL", "itlSeconds"))
        if demand[key] is not None
    ]
    tokens = f"{demand['promptTokens']:,} tokens in and {demand['outputTokens']:,} out"
    return f"Asked: {', '.join([tokens + rate, *waits])}. Times and rates are estimates (docs/planner.md)."


def _asked(asked: dict[str, Any]) -> str:
    return f"As the file has it, {asked['name']}: {'runs' if asked['runs'] else 'does not'}: {asked['reason']}."


def _listed(alternatives: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    seen: set[tuple[str, str]] = set()
    listed = []
    for each in alternatives:
        key = (each["accelerator"], each["precision"])
        if each["chosen"] or each["precision"] == "as is" or key not in seen:
            listed.append(each)
        seen.add(key)
    return listed


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    """GPUs are of a replica and how many replicas, weights GiB of one GPU, times of one replica, tokens of all."""
    mark, parts, cut = "*" if each["chosen"] else "", each["bytesPerGpu"], each["name"].split(" ", 1)[1]
    weights = gib(parts["weights"]) if parts else "-"
    if not each["fits"]:
        blank = ("-",) * 5
        return (
            mark,
            each["accelerator"],
            cut,
            str(each["gpusPerReplica"]),
            weights,
            f"{each['kvTokens']:,}",
            *blank,
            each["reason"],
        )
    price = each["dollarsPerMillionTokens"]
    return (
        mark,
        each["accelerator"],
        cut,
        f"{each['gpusPerReplica']} x {each['replicas']}",
        weights,
        f"{each['kvTokens']:,}",
        f"{each['requestsAtOnce']:,}",
        f"{each['ttftSeconds'] * 1000:,.0f}",
        f"{each['itlSeconds'] * 1000:,.1f}",
        f"{each['outputTokensPerSecond']:,.0f}",
        "?" if price is None else f"{price:.2f}",
        each["reason"],
    )
