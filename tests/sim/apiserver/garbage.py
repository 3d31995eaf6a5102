"""One pass of the garbage collector and of the namespace controller; the simulation decides when.

An owner is looked up as the real collector does: by kind and name, in the dependent's namespace, and its uid must be
the one that the reference names. A dependent with no owner left is deleted; one with some left loses its references to
the others. Foreground: the dependents first, then the owner's finalizer. Orphan: the references go, then the finalizer.
"""

from dataclasses import dataclass

from .answers import Obj, Refusal
from .deletion import FOREGROUND, ORPHAN, Deleter, unheld
from .kinds import NAMESPACE, Kind
from .reading import with_field
from .store import Name, Store, Stored


@dataclass(frozen=True, slots=True)
class Collected:
    """An object that a pass deleted, or marked as being deleted; `full` is plural.group."""

    full: str
    namespace: str
    name: str
    uid: str


class Collector:
    def __init__(self, kinds: dict[str, Kind], deleters: dict[str, Deleter], store: Store) -> None:
        self._kinds, self._deleters, self._store = kinds, deleters, store

    def collect(self) -> list[Collected]:
        """What was deleted. Nothing is left to do when a pass returns nothing and stores nothing."""
        by_name = {(kind.api_version, kind.kind): kind for kind in self._kinds.values()}
        before = list(self._store.all())
        looked_up = [
            (each, [(ref, self._owner(ref, each[1][0], by_name)) for ref in references])
            for each in before
            if (references := each[2].body["metadata"].get("ownerReferences"))
        ]
        done: list[Collected] = []
        for (resource, name, stored), owners in looked_up:
            done += self._judge(resource, name, stored, owners)
        for resource, name, stored in before:
            self._release(resource, name, stored)
        return done + self._namespaces()

    def _judge(
        self, resource: str, name: Name, stored: Stored, owners: list[tuple[Obj, Stored | None]]
    ) -> list[Collected]:
        """What becomes of an object whose owners are these; they were looked up when the pass began."""
        solid = [ref for ref, owner in owners if owner is not None and not _waits(owner, FOREGROUND)]
        waiting = [ref for ref, owner in owners if owner is not None and _waits(owner, FOREGROUND)]
        if solid:
            if len(solid) < len(owners):
                self._keep_references(resource, name, stored, solid)
            return []
        policy = "Foreground" if waiting and self._has_dependents(stored) else "Background"
        return self._delete(resource, name, stored, policy)

    def _owner(self, reference: Obj, namespace: str, by_name: dict[tuple[str, str], Kind]) -> Stored | None:
        kind = by_name.get((reference.get("apiVersion", ""), reference.get("kind", "")))
        if kind is None:
            return None
        place = (namespace if kind.namespaced else "", reference.get("name", ""))
        found = self._store.get(kind.full, place)
        return found if found is not None and found.uid == reference.get("uid") else None

    def _delete(self, resource: str, name: Name, stored: Stored, policy: str) -> list[Collected]:
        if "deletionTimestamp" in stored.body["metadata"]:
            return []
        options: Obj = {"preconditions": {"uid": stored.uid}}
        if not _waits_any(stored):  # an object that waits for a policy of its own keeps it
            options["propagationPolicy"] = policy
        try:
            self._deleters[resource].delete(name, options)
        except Refusal:  # gone since the pass began
            return []
        return [Collected(resource, *name, stored.uid)]

    def _keep_references(self, resource: str, name: Name, stored: Stored, kept: list[Obj]) -> None:
        live = self._store.get(resource, name)
        if live is None or live.uid != stored.uid:
            return
        meta = {key: value for key, value in live.body["metadata"].items() if key != "ownerReferences"}
        meta |= {"ownerReferences": kept} if kept else {}
        self._store.put(resource, name, with_field(live.body, "metadata", meta), live.managers)

    def _dependents(self, owner: Stored) -> list[tuple[str, Name, Stored]]:
        return [
            (resource, name, stored)
            for resource, name, stored in self._store.all()
            if any(ref.get("uid") == owner.uid for ref in stored.body["metadata"].get("ownerReferences", ()))
        ]

    def _has_dependents(self, owner: Stored) -> bool:
        return bool(self._dependents(owner))

    def _release(self, resource: str, name: Name, stored: Stored) -> None:
        """The second half of foreground and orphan deletion of `stored` as an owner."""
        if _waits(stored, ORPHAN):
            for kind, place, dependent in self._dependents(stored):
                references = dependent.body["metadata"]["ownerReferences"]
                self._keep_references(kind, place, dependent, [r for r in references if r.get("uid") != stored.uid])
            unheld(self._store, resource, name, ORPHAN)
        elif _waits(stored, FOREGROUND):
            blocking = [
                dependent
                for _, _, dependent in self._dependents(stored)
                for ref in dependent.body["metadata"]["ownerReferences"]
                if ref.get("uid") == stored.uid and ref.get("blockOwnerDeletion")
            ]
            if not blocking:
                unheld(self._store, resource, name, FOREGROUND)

    def _namespaces(self) -> list[Collected]:
        """Delete what is in namespaces that are being deleted, and then them."""
        going = [
            (name, stored)
            for resource, name, stored in list(self._store.all())
            if resource == NAMESPACE.full and "deletionTimestamp" in stored.body["metadata"]
        ]
        done: list[Collected] = []
        for (_, namespace), stored in going:
            inside = [each for each in list(self._store.all()) if each[1][0] == namespace]
            for resource, name, content in inside:
                done += self._delete(resource, name, content, "Background")
            if not any(name[0] == namespace for _, name, _ in self._store.all()):
                self._store.remove(NAMESPACE.full, ("", namespace))
                done.append(Collected(NAMESPACE.full, "", namespace, stored.uid))
        return done


def _waits(stored: Stored, finalizer: str) -> bool:
    meta = stored.body["metadata"]
    return "deletionTimestamp" in meta and finalizer in meta.get("finalizers", ())


def _waits_any(stored: Stored) -> bool:
    return any(finalizer in stored.body["metadata"].get("finalizers", ()) for finalizer in (ORPHAN, FOREGROUND))
