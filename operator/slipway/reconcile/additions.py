"""What others put into an object that Slipway applies: read from the API server's own record of who set which field.

A server-side apply undoes others' changes of our fields, and never removes what they add. Additions are not taken out
either: admission policies add to pod templates too, and whoever removed that would fight them for ever. So they are
told, each by its path and by who set it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj

Fields = Mapping[str, Any]  # fieldsV1: "f:name" a field, 'k:{"name":"x"}' an entry of a list, "." the thing itself

# `kubectl rollout restart` asks for new pods by it, and adds nothing to what runs in them.
RESTARTED = "metadata.annotations[kubectl.kubernetes.io/restartedAt]"


def additions(body: Obj, *under: str) -> tuple[str, ...]:
    """`path (manager)` of each addition below the field `under`, whose path is left out; sorted."""
    entries = [(str(entry.get("manager")), _below(entry, under)) for entry in _managed(body)]
    ours = [fields for manager, fields in entries if manager == FIELD_MANAGER]
    found = {
        f"{path} ({manager})"
        for manager, fields in entries
        if manager != FIELD_MANAGER
        for path in _foreign(fields, ours, "")
        if path != RESTARTED
    }
    return tuple(sorted(found))


def _managed(body: Obj) -> list[Obj]:
    """The entries that set content: those of a subresource are a controller's status."""
    listed = body.get("metadata", {}).get("managedFields") or []
    return [entry for entry in listed if isinstance(entry, dict) and not entry.get("subresource")]


def _below(entry: Obj, under: tuple[str, ...]) -> Fields:
    fields: Fields = entry.get("fieldsV1") or {}
    for name in under:
        fields = fields.get(f"f:{name}") or {}
    return fields


def _foreign(theirs: Fields, ours: list[Fields], path: str) -> Iterator[str]:
    """The fields of `theirs` that none of `ours` has; an entry of a list stands for all that is in it."""
    for key, inside in theirs.items():
        if key == ".":
            continue
        known, here = [fields[key] for fields in ours if key in fields], _joined(path, key)
        if not known and (_is_entry(key) or not set(inside) - {"."}):
            yield here
        else:
            yield from _foreign(inside, known, here)


def _is_entry(key: str) -> bool:
    return key.startswith(("k:", "v:"))


def _joined(path: str, key: str) -> str:
    kind, _, name = key.partition(":")
    if kind == "k":
        return f"{path}[{_keys(name)}]"
    if kind == "f" and "." not in name and "/" not in name:
        return f"{path}.{name}" if path else name
    return f"{path}[{name}]"


def _keys(text: str) -> str:
    """The keys of a list's entry: `name=main`."""
    return ",".join(f"{key}={value}" for key, value in json.loads(text).items())
