"""Which of two states of an object is newer, and whether two states differ in anything that we could have written.

resourceVersions are compared as numbers, which Kubernetes promises since 1.35 (KEP-5504); where one is not a number,
only equality is believed. The content digest leaves out status and bookkeeping: a status update, of which a busy
Deployment or ScaledObject has many, is no reason to apply again.
"""

import hashlib
from dataclasses import dataclass

from ..kube import wire
from ..plan.observed import Obj

_BOOKKEEPING = (
    "resourceVersion",
    "managedFields",
    "generation",
    "creationTimestamp",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
)


@dataclass(frozen=True, slots=True)
class Stamp:
    """One state of one object. `owned` is the digest of what of it is ours (reconcile/owned.py), "" for nothing."""

    uid: str
    resource_version: str
    digest: str = ""
    owned: str = ""


def older(version: str, than: str) -> bool:
    """Whether `version` is certainly older. False when the two cannot be compared."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def digest(value: object) -> str:
    """A short hash of JSON data, the same for the same data in whatever order its keys come."""
    return hashlib.blake2b(wire.canonical(value), digest_size=12).hexdigest()


def content_digest(body: Obj) -> str:
    """Digest of everything but status and the API server's bookkeeping."""
    metadata = {k: v for k, v in body.get("metadata", {}).items() if k not in _BOOKKEEPING}
    return digest(
        {**{k: v for k, v in body.items() if k not in ("status", "apiVersion", "kind")}, "metadata": metadata}
    )


def stamp_of(body: Obj, *, with_digest: bool) -> Stamp:
    metadata = body["metadata"]
    hashed = content_digest(body) if with_digest else ""
    return Stamp(metadata.get("uid", ""), metadata.get("resourceVersion", ""), hashed)
