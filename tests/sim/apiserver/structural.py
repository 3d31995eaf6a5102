"""What a CRD's structural schema makes of an object: unknown fields go, defaults come, the rest is held to its bounds.

The order and the words are apiextensions-apiserver's: schema errors first; where one of them is blocking (type,
required, enum, too long, too many), the CEL rules are not evaluated. Not modelled: ratcheting, by which an update may
keep an invalid value that it does not touch: no test changes a CRD under its objects.
"""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from .answers import Cause, Obj
from .cel import python_pattern
from .decode import TIME, Unknown
from .rules import OWN, broken
from .shapes import Form, Shape

UNCHECKED: Final = (
    "some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation"
)
BLOCKING: Final = frozenset(
    ("FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
)
PYTHON_TYPES: Final = {"string": str, "integer": int, "number": int | float, "boolean": bool, "array": list}


def key_of(old: Any, key: str) -> Any:
    """What stood at a key of `old`; what is still that very value needs no second look."""
    return old.get(key) if isinstance(old, dict) else None


def item_of(old: Any, place: int) -> Any:
    return old[place] if isinstance(old, list) and place < len(old) else None


def pruned(value: Any, old: Any, shape: Shape, path: str, unknown: Unknown) -> Any:
    """`value` without what the schema does not name; `unknown` is told each such path. `old` is what it replaces."""
    if isinstance(value, dict) and shape.form in (Form.STRUCT, Form.MAP):
        return value if value is old else _pruned_keys(value, old, shape, path, unknown)
    if isinstance(value, list) and shape.form is Form.LIST and shape.element is not None and not shape.plain:
        items = [
            pruned(item, item_of(old, place), shape.element, f"{path}[{place}]", unknown)
            for place, item in enumerate(value)
        ]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def _pruned_keys(value: Obj, old: Any, shape: Shape, path: str, unknown: Unknown) -> Obj:
    made: Obj = {}
    same = True
    for key, given in value.items():
        if not path and key in OWN:
            made[key] = given
            continue
        below = shape.field(key)
        where = f"{path}.{key}" if path else key
        if below is None:
            unknown(where)
            same = False
            continue
        made[key] = pruned(given, key_of(old, key), below, where, unknown)
        same = same and made[key] is given
    return value if same else made


def defaulted(value: Any, old: Any, shape: Shape, *, root: bool = True) -> Any:
    """`value` with the schema's defaults. A null where the schema has a default is as good as absent."""
    if value is old:
        return value
    if isinstance(value, dict):
        changes: Obj = {}
        for key, below in shape.fields.items():
            if root and key in OWN:
                continue
            given = value.get(key)
            if given is None:
                if below.default is not None:
                    changes[key] = defaulted(below.default, None, below, root=False)
                continue
            new = defaulted(given, key_of(old, key), below, root=False)
            if new is not given:
                changes[key] = new
        if shape.form is Form.MAP and shape.element is not None:
            for key, given in value.items():
                new = defaulted(given, key_of(old, key), shape.element, root=False)
                changes |= {} if new is given else {key: new}
        return {**value, **changes} if changes else value
    if isinstance(value, list) and shape.element is not None and shape.form is Form.LIST and not shape.plain:
        items = [defaulted(item, item_of(old, place), shape.element, root=False) for place, item in enumerate(value)]
        return value if all(a is b for a, b in zip(items, value, strict=True)) else items
    return value


def problems(new: Obj, old: Obj | None, shape: Shape) -> list[Cause]:
    """Everything wrong with `new`, which replaces `old`."""
    found = [*_schema(new, old, shape, "")]
    if not shape.ruled:
        return found
    if any(cause.reason in BLOCKING for cause in found):
        return [*found, Cause("<nil>", f"Invalid value: null: {UNCHECKED}")]
    return [*found, *broken(new, old, shape, "")]


def _schema(value: Any, old: Any, shape: Shape, path: str) -> Iterator[Cause]:
    schema = shape.schema
    if shape.form is Form.ANY or (value is old and value is not None):
        return
    if not _has_type(value, shape):
        yield _type_error(value, shape, path)
        return
    yield from _bounds(value, schema, path)
    if isinstance(value, dict):
        yield from _required(value, schema, path)
        for key, below in value.items():
            field = shape.field(key)
            if field is not None and (path or key not in OWN):
                yield from _schema(below, key_of(old, key), field, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and shape.element is not None:
        for place, item in enumerate(value):
            yield from _schema(item, item_of(old, place), shape.element, f"{path}[{place}]")
        yield from _duplicates(value, shape, path)


def _has_type(value: Any, shape: Shape) -> bool:
    if shape.schema.get("nullable") and value is None:
        return True
    match shape.form:
        case Form.LIST:
            return isinstance(value, list)
        case Form.STRUCT | Form.MAP:
            return isinstance(value, dict)
    if shape.scalar == "int-or-string":
        return isinstance(value, int | str) and not isinstance(value, bool)
    if isinstance(value, bool | float):
        return shape.scalar == ("boolean" if isinstance(value, bool) else "number")
    return isinstance(value, PYTHON_TYPES[shape.scalar]) and shape.scalar != "boolean"


def _type_error(value: Any, shape: Shape, path: str) -> Cause:
    wanted = {Form.LIST: "array", Form.STRUCT: "object", Form.MAP: "object"}.get(shape.form, shape.scalar)
    if shape.schema.get("format") == "date-time":
        return _body(path, value, "must be of type date-time", "FieldValueTypeInvalid")
    found = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}
    name = found.get(type(value), "null")
    text = f'Invalid value: "{name}": {path} in body must be of type {wanted}: "{name}"'
    return Cause(path, text, "FieldValueTypeInvalid")


def _body(path: str, value: Any, says: str, reason: str = "FieldValueInvalid") -> Cause:
    shown = json.dumps(value) if not isinstance(value, dict | list) else '"object"'
    return Cause(path, f"Invalid value: {shown}: {path} in body {says}", reason)


def _required(value: Obj, schema: Obj, path: str) -> Iterator[Cause]:
    for name in schema.get("required", ()):
        if name not in value:
            yield Cause(f"{path}.{name}" if path else name, "Required value", "FieldValueRequired")


def _bounds(value: Any, schema: Obj, path: str) -> Iterator[Cause]:
    if isinstance(value, str):
        yield from _text_bounds(value, schema, path)
    elif isinstance(value, list | dict):
        yield from _size_bounds(value, schema, path)
    elif not isinstance(value, bool) and value is not None:
        if "minimum" in schema and value < schema["minimum"]:
            yield _body(path, value, f"should be greater than or equal to {schema['minimum']}")
        if "maximum" in schema and value > schema["maximum"]:
            yield _body(path, value, f"should be less than or equal to {schema['maximum']}")
    if "enum" in schema and value not in schema["enum"]:
        allowed = ", ".join(json.dumps(each) for each in schema["enum"])
        text = f"Unsupported value: {json.dumps(value)}: supported values: {allowed}"
        yield Cause(path, text, "FieldValueNotSupported")


def _text_bounds(value: str, schema: Obj, path: str) -> Iterator[Cause]:
    if "maxLength" in schema and len(value) > schema["maxLength"]:
        text = f"Too long: may not be more than {schema['maxLength']} bytes"
        yield Cause(path, text, "FieldValueTooLong")
    if "minLength" in schema and len(value) < schema["minLength"]:
        yield _body(path, value, f"should be at least {schema['minLength']} chars long")
    if "pattern" in schema and not _pattern(schema["pattern"]).search(value):
        yield _body(path, value, f"should match '{schema['pattern']}'")
    if schema.get("format") == "date-time" and not TIME.match(value):
        yield _body(path, value, f"must be of type date-time: {json.dumps(value)}", "FieldValueTypeInvalid")


def _size_bounds(value: list[Any] | Obj, schema: Obj, path: str) -> Iterator[Cause]:
    size, of = len(value), "items" if isinstance(value, list) else "properties"
    most, least = (schema.get(f"{bound}{of.capitalize()}") for bound in ("max", "min"))
    if most is not None and size > most:
        yield Cause(path, f"Too many: {size}: must have at most {most} items", "FieldValueTooMany")
    if least is not None and size < least:
        yield Cause(path, f"Invalid value: {size}: {path} in body should have at least {least} {of}")


def _duplicates(value: list[Any], shape: Shape, path: str) -> Iterator[Cause]:
    if shape.atomic:
        return
    seen: list[Any] = []
    for place, item in enumerate(value):
        key = item if shape.is_set else {name: item.get(name) for name in shape.keys if isinstance(item, dict)}
        if key in seen:
            yield Cause(f"{path}[{place}]", f"Duplicate value: {json.dumps(key)}", "FieldValueDuplicate")
        seen.append(key)


@lru_cache(maxsize=1024)
def _pattern(pattern: str) -> re.Pattern[str]:
    return re.compile(python_pattern(pattern))
