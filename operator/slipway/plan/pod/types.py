"""Whether what a podTemplate says is of core/v1's types: each value that is not, with its place and what to write.

The API server would say so too, but of the first one only, in the words of Go's decoder, and without the place. Its
types are in podtypes.json as it describes them itself (scripts/pod-types.py); within v1 a field's type does not change.
What the table lacks, and what a value means, is left to the dry run.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any

from .policytypes import Violation

Types = Mapping[str, Mapping[str, str]]

POD_SPEC = "PodSpec"
QUANTITY = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d*)([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?\s*", re.ASCII)
SHOWN_MAX = 40


@cache
def core() -> Types:
    """The table, read once."""
    found: Types = json.loads(resources.files(__package__).joinpath("podtypes.json").read_text(encoding="utf-8"))[
        "types"
    ]
    return found


def mistyped(spec: Any, path: str) -> Iterator[Violation]:  # noqa: ANN401 - whatever the user wrote
    """Every value of the partial PodSpec at `path` that has another type than its field. null is "not said"."""
    yield from _of(spec, POD_SPEC, path)


def _of(value: Any, kind: str, path: str) -> Iterator[Violation]:  # noqa: ANN401 - any JSON value
    if value is None:
        return
    if kind in SCALARS:
        if said := SCALARS[kind](value):
            yield Violation(path, said)
    elif kind.startswith("["):
        yield from _list(value, kind[1:-1], path)
    elif said := a_map(value):
        yield Violation(path, said)
    else:
        for name, each in value.items():
            inside, place = (kind[1:-1], f"[{name}]") if kind.startswith("{") else (core()[kind].get(name), f".{name}")
            yield from _of(each, inside, path + place) if inside else ()


def _list(value: Any, kind: str, path: str) -> Iterator[Violation]:  # noqa: ANN401 - any JSON value
    if said := a_list(value):
        yield Violation(path, said)
        return
    for index, each in enumerate(value):
        yield from _of(each, kind, f"{path}[{index}]")


# ------------------------------------------------------------------ one value: "" when all is well


def a_map(value: object) -> str:
    return "" if isinstance(value, dict) else f"must be a map, not {_named(value)}: write its fields as `name: value`"


def a_list(value: object) -> str:
    if isinstance(value, list):
        return ""
    return f"must be a list, not {_named(value)}: begin each of its entries with `- `"


def _string(value: object) -> str:
    if isinstance(value, str):
        return ""
    mend = "" if isinstance(value, dict | list) else ": put it in quotes"
    return f"must be text, not {_named(value)}{mend}"


def _boolean(value: object) -> str:
    if isinstance(value, bool):
        return ""
    mend = ": leave the quotes out" if value in ("true", "false") else ""
    return f"must be true or false, not {_named(value)}{mend}"


def _integer(value: object, bits: int) -> str:
    """A whole number that is written with a fraction (1.0) is one to the API server, which stores it as 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        mend = ": leave the quotes out" if isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value) else ""
        return f"must be a whole number, not {_named(value)}{mend}"
    if value != value // 1:
        return f"must be a whole number, not {value}"
    least, most = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    return "" if least <= value <= most else f"must be a whole number from {least} to {most}"


def _quantity(value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return ""
    if isinstance(value, str) and QUANTITY.fullmatch(value):
        return ""
    given = f'"{value[:SHOWN_MAX]}"' if isinstance(value, str) else _named(value)
    return f'must be a quantity such as "500m" or "2Gi", not {given}'


def _integer_or_name(value: object) -> str:
    if isinstance(value, str) or not _integer(value, 32):
        return ""
    return f"must be a whole number or a name, not {_named(value)}"


SCALARS: Mapping[str, Callable[[object], str]] = {
    "string": _string,
    "boolean": _boolean,
    "int32": lambda value: _integer(value, 32),
    "int64": lambda value: _integer(value, 64),
    "quantity": _quantity,
    "int-or-string": _integer_or_name,
}


def _named(value: object) -> str:
    names = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list", dict: "a map"}
    return names.get(type(value), "null")
