"""How the simulated engine behaves: latencies and faults, by SIMULATED_ENGINE at start and POST /simulate later.

Both are a JSON object of the keys below. /simulate merges (RFC 7386): what is not said stays, null is the default.
An unknown key or a value that cannot be meant is refused with its name: a fault that is misspelt would not happen, and
the test that asked for it would pass.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

VARIABLE = "SIMULATED_ENGINE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """`wedged`: running requests stand still, the queue grows, and gauges and counters stay as they were. `crash`: the
    process ends at once with 137, as one that was killed. `status`: answer that 5xx instead of generating; 0 does not.
    """

    seed: int = 0
    start_seconds: float = 0.0  # until the model is loaded
    ttft_seconds: float = 0.05  # of a prompt of which nothing is cached, once it runs
    token_seconds: float = 0.02
    jitter: float = 0.1  # each latency is up to this share shorter or longer
    wedged: bool = False
    crash: bool = False
    status: int = 0


def _number(least: float, most: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            raise ValueError(f"is no number from {least:g} to {most:g}")
        return value

    return check


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("is no whole number")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _status(value: Any) -> int:
    if _whole(value) and not 500 <= value <= 599:
        raise ValueError("is no status from 500 to 599, nor 0 for none")
    return int(value)


# By its name in JSON: the field, and what a value of it must be.
KEYS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "seed": ("seed", _whole),
    "startSeconds": ("start_seconds", _number(0, 3600)),
    "ttftSeconds": ("ttft_seconds", _number(0, 3600)),
    "tokenSeconds": ("token_seconds", _number(0, 3600)),
    "jitter": ("jitter", _number(0, 1)),
    "wedged": ("wedged", _flag),
    "crash": ("crash", _flag),
    "status": ("status", _status),
}
DEFAULTS = {field.name: field.default for field in fields(Behaviour)}


def merged(behaviour: Behaviour, text: str | bytes) -> Behaviour:
    """`behaviour` with the JSON object `text` over it. Raises ValueError, which names the key."""
    try:
        patch = json.loads(text)
    except ValueError as error:
        raise ValueError(f"no JSON: {error}") from error
    if not isinstance(patch, dict):
        raise ValueError("no JSON object")
    if unknown := sorted(set(patch) - set(KEYS)):
        raise ValueError(f"unknown: {', '.join(unknown)}. There are: {', '.join(KEYS)}")
    return replace(behaviour, **dict(_checked(key, value) for key, value in patch.items()))


def _checked(key: str, value: Any) -> tuple[str, Any]:
    name, check = KEYS[key]
    if value is None:
        return name, DEFAULTS[name]
    try:
        return name, check(value)
    except ValueError as error:
        raise ValueError(f"{key}: {json.dumps(value)} {error}") from error


def shown(behaviour: Behaviour) -> dict[str, Any]:
    """As JSON: what SIMULATED_ENGINE would have to be."""
    return {key: getattr(behaviour, name) for key, (name, _) in KEYS.items()}
