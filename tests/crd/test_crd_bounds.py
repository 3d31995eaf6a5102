"""Every bound, enum, type, required and unknown field of the schema, broken one at a time, against the real API server.

The cases come from the schema itself, so that a new field is tried without a new row: what is shown is that the API
server enforces what the CRD says, names the field, and accepts the bound itself.
"""

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from slipway.api.crd import ACCELERATOR as ACCELERATOR_KIND
from slipway.api.crd import INFERENCE_SERVICE, KINDS, TRAINING_JOB, Kind, object_schema
from slipway.api.reference import Row, walk

from .crdmaker import Maker
from .crdtable import ACCELERATOR, RECIPE_JOB, SERVICE, Obj

BASES = {TRAINING_JOB.kind: RECIPE_JOB, INFERENCE_SERVICE.kind: SERVICE, ACCELERATOR_KIND.kind: ACCELERATOR}
WRONG_TYPE = {"integer": "seven", "string": 7, "array": "seven", "object": "seven", "boolean": "seven"}
NO_SUCH_FIELD = "noSuchField"


@dataclass(frozen=True)
class Breach:
    """`bad` at `path` is refused with a message that says `says`; `good` there is not refused with it."""

    kind: str
    path: str
    what: str
    bad: Any
    says: str
    good: Any = None

    def __str__(self) -> str:
        return f"{self.kind} {self.path} {self.what}"


def breaches(kind: Kind) -> Iterator[Breach]:
    schema = object_schema(kind)
    for part in ("spec", "status") if kind.has_status else ("spec",):
        for row in walk(schema["properties"][part], part):
            for what, bad, says, good in (*_values(row.schema), *_sizes(row.schema), *_types(row)):
                yield Breach(kind.kind, row.path, what, bad, says, good)


Found = tuple[str, Any, str, Any]  # what, bad value, words of the refusal, good value


def _values(schema: Obj) -> Iterator[Found]:
    if "minimum" in schema:
        least = schema["minimum"]
        yield "minimum", least - 1, f"should be greater than or equal to {least}", least
    if "maximum" in schema:
        most = schema["maximum"]
        yield "maximum", most + 1, f"should be less than or equal to {most}", most
    if "enum" in schema:
        yield "enum", "no-such-value", "Unsupported value", schema["enum"][-1]
    if "pattern" in schema:
        yield "pattern", "not one word", "should match", "Word"
    if schema.get("format") == "date-time":
        yield "date-time", "yesterday", "must be of type date-time", "2026-01-02T03:04:05Z"


def _sizes(schema: Obj) -> Iterator[Found]:
    if "minLength" in schema:
        yield "minLength", "", f"should be at least {schema['minLength']} chars long", "x" * schema["minLength"]
    if "maxLength" in schema and "enum" not in schema:
        most = schema["maxLength"]
        yield "maxLength", "x" * (most + 1), f"may not be more than {most} bytes", "x" * most
    if "minItems" in schema:
        yield "minItems", [], f"should have at least {schema['minItems']} items", _items(schema, schema["minItems"])
    if "maxItems" in schema:
        most = schema["maxItems"]
        yield "maxItems", _items(schema, most + 1), f"must have at most {most} items", _items(schema, most)
    if "minProperties" in schema:
        least = schema["minProperties"]
        yield "minProperties", {}, f"should have at least {least} properties", _entries(least)
    if "maxProperties" in schema:
        most = schema["maxProperties"]
        yield "maxProperties", _entries(most + 1), f"must have at most {most} items", _entries(most)


def _types(row: Row) -> Iterator[Found]:
    schema = row.schema
    if schema.get("format") != "date-time":  # says "date-time" for every wrong value
        yield "type", WRONG_TYPE[schema["type"]], f"must be of type {schema['type']}", None
    for name in schema.get("required", []):
        yield f"without {name}", {}, f"{name}: Required value", None
    if "properties" in schema:
        yield "unknown field", {NO_SUCH_FIELD: 1}, NO_SUCH_FIELD, None


def _items(schema: Obj, count: int) -> list[Any]:
    return [_item(schema["items"], position) for position in range(count)]


def _item(schema: Obj, position: int) -> Any:
    if schema["type"] == "integer":
        return schema["minimum"] + position
    if schema["type"] == "string":
        return schema["enum"][position % len(schema["enum"])] if "enum" in schema else f"--item-{position}"
    name = schema["required"][0]
    return {name: schema["properties"][name].get("enum", [f"Type{position}"])[0]}


def _entries(count: int) -> dict[str, str]:
    return {f"key-{position}": "value" for position in range(count)}


def put(body: Obj, path: str, value: Any) -> Obj:
    """A copy of `body` with `value` at `path`; `[]` is the only item of a list, `{}` the only value of a map."""
    result = copy.deepcopy(body)
    place: Any = result
    steps = [step for name in path.split(".") for step in _steps(name)]
    for step, following in itertools.pairwise(steps):
        place = _enter(place, step, following)
    place[steps[-1]] = value
    return result


def _steps(name: str) -> list[str | int]:
    if name.endswith("[]"):
        return [name.removesuffix("[]"), 0]
    return [name.removesuffix("{}"), "key"] if name.endswith("{}") else [name]


def _enter(place: Any, step: str | int, following: str | int) -> Any:
    if following == 0:
        place[step] = [{}]
    elif isinstance(place, dict):
        place.setdefault(step, {})
    return place[step]


BREACHES = [breach for kind in KINDS for breach in breaches(kind)]


@pytest.fixture(scope="session")
def stored(make: Maker) -> dict[str, Obj]:
    return {kind: make.create(base) for kind, base in BASES.items()}


@pytest.mark.parametrize("breach", BREACHES, ids=str)
def test_breach(make: Maker, stored: dict[str, Obj], breach: Breach) -> None:
    field = breach.path.replace("[]", "[0]").replace("{}", ".key")
    refusal = answer_to(make, stored, breach, breach.bad)
    assert breach.says in refusal
    assert field in refusal
    if breach.good is not None:
        assert breach.says not in answer_to(make, stored, breach, breach.good)


def answer_to(make: Maker, stored: dict[str, Obj], breach: Breach, value: Any) -> str:
    if breach.path.startswith("spec"):
        return make.dry_run(put(BASES[breach.kind], breach.path, value))[1]
    _, answer = make.merge(stored[breach.kind], put({}, breach.path, value), "/status", dry_run=True)
    return str(answer.get("message", ""))


def test_all_kinds_of_breach_occur() -> None:
    """The generator would otherwise be able to fall silent unseen."""
    assert {breach.what for breach in BREACHES if not breach.what.startswith("without")} == {
        "minimum",
        "maximum",
        "enum",
        "pattern",
        "date-time",
        "minLength",
        "maxLength",
        "minItems",
        "maxItems",
        "minProperties",
        "maxProperties",
        "type",
        "unknown field",
    }
