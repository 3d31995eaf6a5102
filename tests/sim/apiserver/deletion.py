"""Deleting: preconditions, finalizers, a pod's grace, propagation. What an owner's end means for others: garbage.py.

A pod that is deleted goes on until its kubelet deletes it again with grace 0, unless it never got a node or has ended.
"""

from collections.abc import Callable
from typing import Any, Final

from .answers import Answer, Obj, conflict, not_found, success
from .kinds import NAMESPACE, Kind
from .reading import with_field
from .store import Name, Store, Stored
from .writes import timestamp

FOREGROUND: Final = "foregroundDeletion"
ORPHAN: Final = "orphan"
POLICIES: Final = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
ENDED: Final = ("Succeeded", "Failed")


class Deleter:
    """Deletes of one kind."""

    def __init__(self, kind: Kind, store: Store, wall: Callable[[], float]) -> None:
        self.kind, self._store, self._wall = kind, store, wall

    def delete(self, name: Name, options: Obj, *, dry_run: bool = False) -> Answer:
        live = self._store.get(self.kind.full, name)
        if live is None:
            raise not_found(self.kind.full, name[1])
        self._check(live, options.get("preconditions") or {})
        body = self._marked(live.body, options)
        meta = body["metadata"]
        waits = meta.get("finalizers") or meta.get("deletionGracePeriodSeconds")
        if self.kind.plural == NAMESPACE.plural:
            waits = waits or body.get("spec", {}).get("finalizers")
        if dry_run:
            return Answer(200, self._answer(body, gone=not waits))
        if waits:
            if body is not live.body:
                body = self._store.put(self.kind.full, name, body, live.managers).body
            return Answer(200, body)
        if self.kind.graceful:  # its end is announced, even when it is now
            self._store.put(self.kind.full, name, body, live.managers)
        return Answer(200, self._answer(self._store.remove(self.kind.full, name), gone=True))

    def _answer(self, body: Obj, *, gone: bool) -> Obj:
        if gone and not self.kind.returned:
            return success(self.kind.full, body["metadata"]["name"], body["metadata"]["uid"])
        return body

    def _check(self, live: Stored, preconditions: Obj) -> None:
        meta = live.body["metadata"]
        for field, key, text in (("uid", "uid", "UID"), ("resourceVersion", "resourceVersion", "ResourceVersion")):
            wanted = preconditions.get(field)
            if wanted is not None and wanted != meta[key]:
                why = f"Precondition failed: {text} in precondition: {wanted}, {text} in object meta: {meta[key]}"
                raise conflict(self.kind.full, meta["name"], why)

    def _marked(self, body: Obj, options: Obj) -> Obj:
        """`body` as it is once the delete is accepted: unchanged when it is on its way out and nothing is new."""
        meta = body["metadata"]
        finalizers = _finalizers(meta.get("finalizers", []), options, going="deletionTimestamp" in meta)
        grace = self._grace(body, options)
        new: dict[str, Any] = {}
        if finalizers != meta.get("finalizers", []):
            new["finalizers"] = finalizers
        if "deletionTimestamp" not in meta:
            new |= {"deletionTimestamp": timestamp(self._wall() + grace), "deletionGracePeriodSeconds": grace}
            if meta.get("generation"):
                new["generation"] = meta["generation"] + 1
        elif grace < meta.get("deletionGracePeriodSeconds", 0):
            new |= {"deletionTimestamp": timestamp(self._wall() + grace), "deletionGracePeriodSeconds": grace}
        body = with_field(body, "metadata", {**meta, **new}) if new else body
        if self.kind.plural == NAMESPACE.plural and "deletionTimestamp" in new:
            body = {**body, "status": {**body.get("status", {}), "phase": "Terminating"}}
        return body

    def _grace(self, body: Obj, options: Obj) -> int:
        if not self.kind.graceful:
            return 0
        spec, status = body.get("spec", {}), body.get("status", {})
        asked = options.get("gracePeriodSeconds")
        grace = spec.get("terminationGracePeriodSeconds", 30) if asked is None else max(0, int(asked))
        return 0 if not spec.get("nodeName") or status.get("phase") in ENDED else int(grace)


def _finalizers(present: list[str], options: Obj, *, going: bool) -> list[str]:
    """With the finalizer of the propagation policy, and without that of the other one."""
    wanted = POLICIES.get(options.get("propagationPolicy", ""))
    if options.get("propagationPolicy") is None:
        return present
    kept = [name for name in present if name not in (FOREGROUND, ORPHAN)]
    return [*kept, wanted] if wanted else kept


def unheld(store: Store, resource: str, name: Name, finalizer: str) -> None:
    """Take a finalizer away, as the controller that set it does; the object ends when it was the last."""
    stored = store.get(resource, name)
    if stored is None or finalizer not in stored.body["metadata"].get("finalizers", ()):
        return
    meta = stored.body["metadata"]
    left = [each for each in meta["finalizers"] if each != finalizer]
    if not left and meta.get("deletionTimestamp") and not meta.get("deletionGracePeriodSeconds"):
        store.remove(resource, name)
        return
    rest = {key: value for key, value in meta.items() if key != "finalizers"}
    body = {**stored.body, "metadata": rest | ({"finalizers": left} if left else {})}
    store.put(resource, name, body, stored.managers)
