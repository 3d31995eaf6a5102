"""What of a file's object the API server would not store: unknown fields, values of another type, what is missing.

Judged by the schema that the API server itself enforces (api/crd.py), since pydantic, which tells the bounds, is laxer:
it makes a number of `"2"` and of `true`. A null is as good as absent, but in a list, as the API server has it.
"""

import difflib
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

from ..api.common import JsonSchema, matching
from ..api.crd import KINDS, object_schema
from ..plan.pod.policytypes import Violation
from ..plan.pod.types import SCALARS, a_list, a_map

TYPES = {"string": "string", "boolean": "boolean", "integer": "int64"}  # of a schema, as a podTemplate's are called
LIST_TYPE, PRESERVED = "x-kubernetes-list-type", "x-kubernetes-preserve-unknown-fields"
RULES = "x-kubernetes-validations"


@cache
def schema_of(kind: str) -> JsonSchema:
    return next(object_schema(each) for each in KINDS if each.kind == kind)


def without_nulls(value: Any, schema: JsonSchema) -> Any:  # noqa: ANN401 - whatever the file holds
    """`value` as it would be stored: where the schema names a field, its null is dropped."""
    if isinstance(value, list) and "items" in schema:
        return [without_nulls(each, schema["items"]) for each in value]
    if not isinstance(value, dict):
        return value
    fields = {name: _field(schema, name) for name in value}
    kept = {name: each for name, each in value.items() if each is not None or fields[name] is None}
    return {name: without_nulls(each, fields[name] or {}) for name, each in kept.items()}


def violations(value: Any, schema: JsonSchema, path: str = "") -> Iterator[Violation]:  # noqa: ANN401
    """Every place of `value`, which has no nulls of its own, that is not as `schema` has it, with the mend."""
    if schema["type"] == "object":
        yield from _object(value, schema, path)
    elif schema["type"] == "array":
        yield from _array(value, schema, path)
    elif said := SCALARS[TYPES[schema["type"]]](value):
        yield Violation(path, said)


def _object(value: Any, schema: JsonSchema, path: str) -> Iterator[Violation]:  # noqa: ANN401
    if said := a_map(value):
        yield Violation(path, said)
        return
    for name in schema.get("required", ()):
        if name not in value:
            yield Violation(_below(path, name), "must be set")
    for name, each in value.items():
        field = _field(schema, name)
        if field is not None:
            yield from violations(each, field, _below(path, name))
        elif "properties" in schema and not schema.get(PRESERVED):  # without: metadata, which is Kubernetes' own
            yield Violation(_below(path, name), unknown_field(name, schema["properties"]))


def _array(value: Any, schema: JsonSchema, path: str) -> Iterator[Violation]:  # noqa: ANN401
    if said := a_list(value):
        yield Violation(path, said)
        return
    for index, each in enumerate(value):
        place = f"{path}[{index}]"
        yield from violations(each, schema["items"], place)
        if schema.get(LIST_TYPE) == "set" and each in value[:index]:
            yield Violation(place, "is in the list already: leave it out")


def pattern_message(schema: JsonSchema, location: Iterable[int | str], pattern: str) -> str:
    """What the API server says of text at `location` that does not match: its CEL rule's message. "" without one."""
    for part in location:
        schema = (schema.get("items") if isinstance(part, int) else _field(schema, part)) or {}
    rule = matching(pattern)
    return next((each["message"] for each in schema.get(RULES, ()) if each["rule"] == rule), "")


def _field(schema: JsonSchema, name: str) -> JsonSchema | None:
    found: JsonSchema | None = schema.get("properties", {}).get(name, schema.get("additionalProperties"))
    return found


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def unknown_field(name: str, fields: Iterable[str]) -> str:
    """What is said of a field that is none of `fields`."""
    near = difflib.get_close_matches(name, fields, n=1)
    return f"there is no such field: {f'did you mean {near[0]}?' if near else 'leave it out'}"
