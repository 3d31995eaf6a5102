"""What of an object is ours, by the API server's own account: the fields that our last apply set, with their values.

`metadata.managedFields` names them, so nothing of ours need be remembered to know that an apply would change nothing:
where the fields that we own are those that we want, with the values that we want, it would not. That is how an operator
that has just started finds ten thousand children as it wants them, and writes nothing.

Whatever is not understood here only costs an apply that changes nothing: what the API server stored in another form
than it was sent (a quantity, a default inside a map that we left empty) does not compare, and is sent.
"""

from typing import Any

from ..kube import wire
from ..plan.observed import Obj
from .versions import digest

NAMED_BY_PATH = frozenset({"name", "namespace"})  # identity: never in managedFields
ITSELF = "."


def owned_digest(body: Obj, manager: str) -> str:
    """Digest of what `manager` has applied of `body`, but for its status; "" when it never has."""
    fields = _fields(body, manager)
    return digest(_plain(_projected(body, fields))) if fields else ""


def intent_digest(body: Obj) -> str:
    """Digest of what an apply of `body` would make `manager` own: comparable with `owned_digest`."""
    metadata = {name: value for name, value in body.get("metadata", {}).items() if name not in NAMED_BY_PATH}
    rest = {name: value for name, value in body.items() if name not in ("apiVersion", "kind", "metadata")}
    return digest(_plain({**({"metadata": metadata} if metadata else {}), **rest}))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """With None for whatever is zero or empty: the API server stores no `paused: false`, but that it is ours."""
    if not value:
        return None
    if isinstance(value, dict):
        return {name: _plain(below) for name, below in value.items()}
    return [_plain(below) for below in value] if isinstance(value, list) else value


def _fields(body: Obj, manager: str) -> Obj:
    for entry in body.get("metadata", {}).get("managedFields") or ():
        if entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource"):
            return dict(entry.get("fieldsV1") or {})
    return {}


def _projected(value: Any, fields: Obj) -> Any:  # noqa: ANN401 - any JSON value
    """The part of `value` that `fields`, a node of a FieldsV1, names: all of it where the node goes no deeper."""
    below = [path for path in fields if path != ITSELF]
    if not below:
        return value
    if isinstance(value, dict):
        named = ((path.removeprefix("f:"), fields[path]) for path in below)
        return {name: _projected(value.get(name), node) for name, node in named}
    if isinstance(value, list):
        return [found for item in value if (found := _item(item, fields, below)) is not _NOTHING]
    return value


_NOTHING = object()


def _item(item: Any, fields: Obj, below: list[str]) -> Any:  # noqa: ANN401 - any JSON value
    """The part of a list's item that is named, by its key (`k:`) or its value (`v:`)."""
    for path in below:
        kind, _, text = path.partition(":")
        told = wire.loads(text.encode())
        if kind == "v" and item == told:
            return item
        if kind == "k" and isinstance(item, dict) and isinstance(told, dict) and told.items() <= item.items():
            return _projected(item, fields[path])
    return _NOTHING
