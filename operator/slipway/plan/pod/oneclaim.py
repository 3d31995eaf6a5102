"""One volume for each claim of a pod, however many of its mounts read it.

Two volumes of one claim are valid, and the kubelet never starts such a pod: it takes the second for mounted already
and waits for it for ever (kubernetes#82526, seen with 1.34). A job may well have its data and its base model in one
claim, and a user's podTemplate may mount the output again; so the later volumes go, and their mounts name the first.
"""

from collections.abc import Mapping
from typing import Any

from ..observed import Obj

CONTAINERS = ("initContainers", "containers")


def one_volume_a_claim(spec: Obj) -> Obj:
    """The PodSpec `spec` without a second volume of any claim. Shapes that core/v1 does not know stay as they are."""
    claims = _claims(spec.get("volumes"))
    first: dict[str, str] = {}
    for name, source in claims.items():
        first.setdefault(source["claimName"], name)
    instead = {name: first[source["claimName"]] for name, source in claims.items()}
    if all(name == kept for name, kept in instead.items()):
        return spec
    read_only = {name for name, source in claims.items() if source.get("readOnly")}
    volumes = [_volume(each, instead, read_only) for each in spec["volumes"] if _is_kept(each, instead)]
    containers = {kind: _mounted(spec[kind], instead, read_only) for kind in CONTAINERS if kind in spec}
    return {**spec, "volumes": volumes, **containers}


def _claims(volumes: Any) -> dict[str, Obj]:  # noqa: ANN401 - whatever the user wrote
    """The claim of each volume that has one, by the volume's name."""
    found = volumes if isinstance(volumes, list) else []
    return {name: each["persistentVolumeClaim"] for each in found if (name := _name(each)) and _is_claims(each)}


def _name(entry: Any) -> str:  # noqa: ANN401
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else ""


def _is_claims(volume: Obj) -> bool:
    source = volume.get("persistentVolumeClaim")
    return isinstance(source, dict) and isinstance(source.get("claimName"), str)


def _is_kept(volume: Any, instead: Mapping[str, str]) -> bool:  # noqa: ANN401
    name = _name(volume)
    return instead.get(name, name) == name


def _volume(volume: Any, instead: Mapping[str, str], read_only: set[str]) -> Any:  # noqa: ANN401
    """Read-only as a whole only if all that were of its claim are; else the mounts say it."""
    together = [name for name, kept in instead.items() if kept == _name(volume)]
    if len(together) < 2 or read_only.issuperset(together) or not _is_claims(volume):
        return volume
    source = {key: value for key, value in volume["persistentVolumeClaim"].items() if key != "readOnly"}
    return {**volume, "persistentVolumeClaim": source}


def _mounted(containers: Any, instead: Mapping[str, str], read_only: set[str]) -> Any:  # noqa: ANN401
    if not isinstance(containers, list):
        return containers
    return [_container(each, instead, read_only) for each in containers]


def _container(container: Any, instead: Mapping[str, str], read_only: set[str]) -> Any:  # noqa: ANN401
    mounts = container.get("volumeMounts") if isinstance(container, dict) else None
    if not isinstance(mounts, list):
        return container
    return {**container, "volumeMounts": [_mount(each, instead, read_only) for each in mounts]}


def _mount(mount: Any, instead: Mapping[str, str], read_only: set[str]) -> Any:  # noqa: ANN401
    name = _name(mount)
    if name not in instead:
        return mount
    closed = {"readOnly": True} if name in read_only else {}
    return {**mount, "name": instead[name], **closed}
