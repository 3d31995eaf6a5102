"""Claims and volumes: what a `pvc://` address means, what a claim's access modes allow, and volumes as JSON.

A claim is mounted whole, never by a subPath for what is written: the kubelet makes a missing subPath directory as
root, and a volume type without fsGroup support would leave it unwritable to the pods' user.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

from .conditions import Finding
from .observed import Obj, Ref

PLURAL = "persistentvolumeclaims"

Access = Literal["many", "node", "pod", "none"]


@dataclass(frozen=True, slots=True)
class ClaimPath:
    """A claim of the same namespace and a path in it, without leading or trailing slash; "" is its root."""

    claim: str
    path: str


def parse_pvc(uri: str) -> ClaimPath:
    """`pvc://claim/some/path` apart. Raises ValueError when the address is another, or its path climbs with `..`."""
    scheme, _, rest = uri.partition("://")
    claim, _, path = rest.partition("/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if scheme != "pvc" or not claim:
        raise ValueError(f"{uri!r} is no claim address: write pvc://claim/path")
    if ".." in parts:
        raise ValueError(f"{uri!r} leaves its claim: write the path without '..'")
    return ClaimPath(claim, "/".join(parts))


def claim_ref(namespace: str, name: str) -> Ref:
    return Ref("v1", "PersistentVolumeClaim", PLURAL, namespace, name)


def modes(claim: Obj) -> frozenset[str]:
    """The access modes that a claim asks for."""
    return frozenset((claim.get("spec") or {}).get("accessModes") or ())


def readers(claim: Obj) -> Access:
    """Where pods that read the claim may run: on many nodes, on one node, or only one pod at all."""
    return readers_by(modes(claim))


def readers_by(access_modes: Collection[str]) -> Access:
    """The same of a claim with these access modes."""
    return _widest(frozenset(access_modes), ("ReadWriteMany", "ReadOnlyMany"))


def writers(claim: Obj) -> Access:
    """Where pods that write to the claim may run; "none" for a claim that is read-only."""
    return _widest(modes(claim), ("ReadWriteMany",))


def _widest(asked: frozenset[str], many: tuple[str, ...]) -> Access:
    if asked.intersection(many):
        return "many"
    if "ReadWriteOnce" in asked:
        return "node"
    return "pod" if "ReadWriteOncePod" in asked else "none"


def unusable(name: str, claim: Obj | None, *, field: str) -> Finding | None:
    """Why a claim that `field` (a field path) names cannot be mounted by anyone; None when it can."""
    if claim is None:
        return Finding(
            "ClaimNotFound", f"{field}: the namespace has no PersistentVolumeClaim {name!r}: create it, or name another"
        )
    if claim.get("metadata", {}).get("deletionTimestamp"):
        return Finding(
            "ClaimTerminating",
            f"{field}: PersistentVolumeClaim {name!r} is being deleted: name another, or create it again",
        )
    if (claim.get("spec") or {}).get("volumeMode") == "Block":
        return Finding(
            "ClaimNotMountable",
            f"{field}: PersistentVolumeClaim {name!r} is a block device: use one with volumeMode Filesystem",
        )
    return None


def claim_volume(name: str, claim: str, *, read_only: bool = False) -> Obj:
    source: Obj = {"claimName": claim, "readOnly": True} if read_only else {"claimName": claim}
    return {"name": name, "persistentVolumeClaim": source}


def empty_dir(name: str, *, in_memory: bool = False, size_limit: str | None = None) -> Obj:
    """A volume of the pod's own. `size_limit` is a Quantity."""
    source: Obj = {"medium": "Memory"} if in_memory else {}
    return {"name": name, "emptyDir": source if size_limit is None else {**source, "sizeLimit": size_limit}}


def mount(name: str, path: str, *, sub_path: str = "", read_only: bool = False) -> Obj:
    entry: dict[str, Any] = {"name": name, "mountPath": path}
    if sub_path:
        entry["subPath"] = sub_path
    if read_only:
        entry["readOnly"] = True
    return entry
