"""Reading a request body as the server's Go types do: unknown fields dropped, wrong types refused, zeros left out.

For core kinds and for the metadata of custom ones. What comes out is what would be stored: an apply of an empty list
where none is stored must not look like a change. A part that is already in that form is returned as it is.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from .answers import Obj, Refusal, bad_request
from .quantities import canonical
from .shapes import Form, Shape

GO_TYPES: Final = {"string": "string", "integer": "int32", "boolean": "bool", "number": "float64"}
TIME: Final = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")

Unknown = Callable[[str], None]


class Mismatch(Exception):
    """A value is not of its field's type; the path grows on the way out."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what, self.path = what, ""


def decoded(body: Any, shape: Shape, *, kind: str, version: str, unknown: Unknown, old: Obj | None = None) -> Any:
    """`body` as it would be stored. `unknown` is told the path of each field that the type lacks.

    Parts that are shared with `old`, the stored object, are as they must be and not looked at.

    Raises Refusal 400 for a value of a wrong type.
    """
    try:
        return _struct(body, shape, "", unknown, old)
    except Mismatch as error:
        raise wrong_type(kind, version, error) from error


def wrong_type(kind: str, version: str, error: Mismatch) -> Refusal:
    where = error.path.removeprefix(".")
    text = f"json: cannot unmarshal {error.what} (field {where})"
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {text}')


def metadata(value: Any, shape: Shape, unknown: Unknown) -> Any:
    """Object metadata alone. Raises Mismatch."""
    return _struct(value, shape, ".metadata", unknown)


def _struct(value: Any, shape: Shape, path: str, unknown: Unknown, old: Any = None) -> Any:
    if value is old:
        return value
    if not isinstance(value, dict):
        raise Mismatch(f"{_json_type(value)} into Go value of a struct")
    made: dict[str, Any] = {}
    same = True
    before: Obj = old if isinstance(old, dict) else {}
    for key, given in value.items():
        if given is not None and before.get(key) is given:
            made[key] = given
            continue
        field = shape.fields.get(key)
        if field is None:
            unknown(f"{path}.{key}".removeprefix("."))
            same = False
            continue
        new = _value(given, field, f"{path}.{key}", unknown, before.get(key))
        if new is None and key in shape.filled:
            made[key] = shape.filled[key]
            same = same and given is made[key]
            continue
        if new is None or (not new and _omitted(new, field)):
            same = False
            continue
        made[key] = new
        same = same and new is given
    for key in shape.always:
        if key not in made:
            made[key], same = _struct({}, shape.fields[key], "", unknown), False
    for key, zero in shape.filled.items():
        if key not in made:
            made[key], same = zero, False
    return value if same else made


def _omitted(new: Any, field: Shape) -> bool:
    return not field.kept and field.form is not Form.STRUCT


def _value(value: Any, shape: Shape, path: str, unknown: Unknown, old: Any = None) -> Any:
    if value is None:
        return None
    try:
        if shape.form is Form.SCALAR:
            return _scalar(value, shape.scalar)
        if shape.form is Form.LIST:
            return _list(value, shape, path, unknown)
        if shape.form is Form.STRUCT:
            return _struct(value, shape, path, unknown, old)
        return _map(value, shape, path, unknown)
    except Mismatch as error:
        error.path = error.path or path
        raise


def _list(value: Any, shape: Shape, path: str, unknown: Unknown) -> Any:
    if not isinstance(value, list):
        raise Mismatch(f"{_json_type(value)} into Go value of a list")
    assert shape.element is not None
    made = [_value(item, shape.element, f"{path}[{place}]", unknown) for place, item in enumerate(value)]
    if all(a is b for a, b in zip(made, value, strict=True)) and None not in made:
        return value
    return [_nothing(shape.element) if item is None else item for item in made]


def _nothing(shape: Shape) -> Any:
    """What Go makes of a null item."""
    if shape.form is Form.SCALAR:
        return {"integer": 0, "boolean": False, "quantity": "0"}.get(shape.scalar, "")
    return _struct({}, shape, "", lambda _: None) if shape.form is Form.STRUCT else {}


def _map(value: Any, shape: Shape, path: str, unknown: Unknown) -> Any:
    if not isinstance(value, dict):
        raise Mismatch(f"{_json_type(value)} into Go value of a map")
    element = shape.element
    if element is None or element.form is Form.ANY:
        return value
    made = {key: _value(item, element, f"{path}.{key}", unknown) for key, item in value.items()}
    if all(made[key] is item for key, item in value.items()) and None not in made.values():
        return value
    return {key: _nothing(element) if item is None else item for key, item in made.items()}


def _scalar(value: Any, kind: str) -> Any:
    match kind:
        case "string":
            good = isinstance(value, str)
        case "integer":
            if isinstance(value, float) and value.is_integer():
                return int(value)
            good = isinstance(value, int) and not isinstance(value, bool)
        case "boolean":
            good = isinstance(value, bool)
        case "number":
            good = isinstance(value, int | float) and not isinstance(value, bool)
        case "quantity":
            return _quantity(value)
        case "time" | "microtime":
            return _time(value, kind)
        case "int-or-string":
            good = isinstance(value, int | str) and not isinstance(value, bool)
        case _:
            good = True
    if not good:
        raise Mismatch(f"{_json_type(value)} into Go value of type {GO_TYPES.get(kind, kind)}")
    return value


def _quantity(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Mismatch(f"{_json_type(value)} into Go value of type resource.Quantity")
    try:
        written = canonical(value)
    except ValueError as error:
        raise Mismatch(f"{value!r} into a quantity: quantities must match the regular expression") from error
    return value if written == value else written


def _time(value: Any, kind: str) -> Any:
    if not isinstance(value, str) or (value and not TIME.match(value)):
        raise Mismatch(f"{value!r} into Go value of type Time")
    if not value:
        return None
    whole, micro = len(value) == 20 and value[-1] == "Z", len(value) == 27 and value[-1] == "Z"
    if (kind == "time" and whole) or (kind == "microtime" and micro):
        return value
    moment = datetime.fromisoformat(value.replace("Z", "+00:00")).astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ" if kind == "time" else "%Y-%m-%dT%H:%M:%S.%fZ")


def _json_type(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")
