"""Types as the emulator needs them: what merges by key, what is atomic, what is dropped when it is nothing.

One form for both origins: the core kinds (types.json, see typemaker.py) and the structural schemas of CRDs. Untyped
data (a pod template in a CRD) is deduced from its values, as the real server does: maps merge, lists are atomic.
"""

import functools
import json
from enum import Enum
from pathlib import Path
from typing import Any, Final

from .answers import Obj

TYPES = Path(__file__).with_name("types.json")
META: Final = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
QUANTITY: Final = "io.k8s.apimachinery.pkg.api.resource.Quantity"
TIMES: Final = {
    "io.k8s.apimachinery.pkg.apis.meta.v1.Time": "time",
    "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime": "microtime",
}


class Form(Enum):
    STRUCT = "struct"  # named fields, perhaps others of one type beside them
    MAP = "map"
    LIST = "list"
    SCALAR = "scalar"
    ANY = "any"


class Shape:
    """One type. `element` is that of a list's items or a map's values; `keys` those of a list that merges by key."""

    __slots__ = (
        "always",
        "atomic",
        "default",
        "element",
        "fields",
        "filled",
        "form",
        "is_set",
        "kept",
        "keys",
        "plain",
        "ruled",
        "scalar",
        "schema",
    )

    def __init__(self, form: Form, schema: Obj) -> None:
        self.form, self.schema = form, schema
        self.scalar = str(schema.get("type", ""))
        self.fields: dict[str, Shape] = {}
        self.element: Shape | None = None
        self.atomic = False
        self.is_set = False
        self.keys: tuple[str, ...] = ()
        self.default: Any = schema.get("default")
        self.kept = bool(schema.get("kept"))  # a zero value is written
        self.always: tuple[str, ...] = ()  # fields that are structs and always written
        self.filled: dict[str, Any] = {}  # fields that are written when absent: scalars as zero, times as null
        self.ruled = False  # a CEL rule holds here or below
        self.plain = False  # a map of strings to strings, or a list of strings: nothing to normalise below

    def field(self, name: str) -> "Shape | None":
        """The shape of a field or map value; None for one that the type does not have."""
        return self if self.form is Form.ANY else self.fields.get(name) or self.element


ANY: Final = Shape(Form.ANY, {})


@functools.cache
def _core() -> dict[str, Obj]:
    return dict(json.loads(TYPES.read_text()))


@functools.cache
def core(name: str) -> Shape:
    """The shape of a core type by its OpenAPI name. Types that hold themselves (JSON schemas) are not among ours."""
    return _made(_core()[name], name)


def _of_reference(schema: Obj) -> Shape:
    name = schema["ref"]
    target = core(name)
    if target.form is Form.SCALAR or len(schema) > 1:
        return _variant(target, schema)
    return target


def _variant(target: Shape, schema: Obj) -> Shape:
    """`target` with what the field that refers to it says of itself."""
    made = Shape(target.form, target.schema | schema)
    made.scalar, made.fields, made.element = target.scalar, target.fields, target.element
    made.atomic = target.atomic or schema.get("x-kubernetes-map-type") == "atomic"
    made.always, made.filled, made.plain, made.keys = target.always, target.filled, target.plain, target.keys
    return made


def _made(schema: Obj, name: str = "") -> Shape:
    if "ref" in schema:
        return _of_reference(schema)
    if name == QUANTITY or name in TIMES:
        return _scalar(schema, TIMES.get(name, "quantity"))
    match schema.get("type"):
        case "array":
            return _list(schema, _made(schema["items"]))
        case "object" if "properties" in schema:
            return _struct(schema, {key: _made(each) for key, each in schema["properties"].items()})
        case "object" if "additionalProperties" in schema:
            return _map(schema, _made(schema["additionalProperties"]))
        case "object" | None:
            return _map(schema, ANY)
        case _:
            return _scalar(schema, schema["type"] if schema.get("format") != "int-or-string" else "int-or-string")


def _scalar(schema: Obj, scalar: str) -> Shape:
    made = Shape(Form.SCALAR, schema)
    made.scalar = scalar
    return made


def _struct(schema: Obj, fields: dict[str, Shape]) -> Shape:
    made = Shape(Form.STRUCT, schema)
    made.fields = fields
    made.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    made.always = tuple(name for name, each in fields.items() if each.schema.get("always"))
    made.filled = {
        name: each.default
        for name, each in fields.items()
        if each.form is Form.SCALAR and each.kept and each.default in ("", 0, False)
    } | {name: None for name, each in fields.items() if each.schema.get("null")}
    return made


def _map(schema: Obj, element: Shape) -> Shape:
    made = Shape(Form.MAP, schema)
    made.element = element
    made.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    made.plain = element.form is Form.SCALAR and element.scalar == "string"
    return made


def _list(schema: Obj, element: Shape) -> Shape:
    made = Shape(Form.LIST, schema)
    made.element = element
    kind = schema.get("x-kubernetes-list-type", "atomic")
    made.atomic, made.is_set = kind == "atomic", kind == "set"
    made.keys = tuple(schema.get("x-kubernetes-list-map-keys", ())) if kind == "map" else ()
    made.plain = element.form is Form.SCALAR and element.scalar == "string"
    return made


def custom(schema: Obj) -> Shape:
    """The shape of a CRD's structural schema, with Kubernetes' own metadata."""
    made = _structural(schema)
    made.fields = made.fields | {"metadata": core(META)}
    return made


def _structural(schema: Obj) -> Shape:
    if schema.get("x-kubernetes-int-or-string"):
        return _scalar(schema, "int-or-string")
    match schema.get("type"):
        case "array":
            return _list(schema, _structural(schema["items"]))
        case "object" if "additionalProperties" in schema:
            return _map(schema, _structural(schema["additionalProperties"]))
        case "object":
            made = _struct(schema, {key: _structural(each) for key, each in schema.get("properties", {}).items()})
            made.always, made.filled = (), {}
            made.element = ANY if schema.get("x-kubernetes-preserve-unknown-fields") else None
            return made
        case None:
            return ANY
        case _:
            return _scalar(schema, schema["type"])
