"""By which field the elements of a pod's lists are told apart: where a podTemplate is merged, and where it repeats one.

The keys are core/v1's own (its list map keys). Lists that are not here are replaced or appended whole.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from .policytypes import Violation, entries

DEEP = ("containers", "initContainers")  # elements with the same key merge; in the other lists one replaces the other
KEYED = {
    **dict.fromkeys(DEEP, "name"),
    "volumes": "name",
    "env": "name",
    "imagePullSecrets": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "resourceClaims": "name",
}
MAY_REPEAT = frozenset({"env", "imagePullSecrets"})  # Kubernetes takes the last of them, and so does the merge

MergeKey = tuple[str | int, str]


def merge_key(field: str, element: object) -> MergeKey | None:
    """What tells `element` from the others of the list `field`; None where that is no such list, or it has no key."""
    name = KEYED.get(field)
    if name is None or not isinstance(element, Mapping) or not isinstance(element.get(name), str | int):
        return None
    return element[name], str(element.get("protocol") or "TCP") if field == "ports" else ""


def repeats(spec: Mapping[str, Any], path: str) -> Iterator[Violation]:
    """Elements that the merge would lose, since one before has the same key. The API server would refuse them, but gets
    to see the last alone.
    """
    yield from _repeated(spec, path)
    for kind in DEEP:
        for index, container in entries(spec.get(kind)):
            yield from _repeated(container, f"{path}.{kind}[{index}]")


def _repeated(owner: Mapping[str, Any], path: str) -> Iterator[Violation]:
    for field, name in KEYED.items():
        if field in MAY_REPEAT:
            continue
        first: dict[MergeKey, int] = {}
        for index, element in entries(owner.get(field)):
            key = merge_key(field, element)
            if key is None:
                continue
            before = first.setdefault(key, index)
            if before != index:
                said = f"{key[0]} is {path}.{field}[{before}] already: make one of both, or choose another {name}"
                yield Violation(f"{path}.{field}[{index}].{name}", said)
