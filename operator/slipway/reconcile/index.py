"""What the watches have told so far, by object and by owner, kept on every replica so that a standby is warm.

Why not kopf's own index: starting it costs quadratic time (docs/control-loop.md). What this one must get right itself:
events may be late, repeated or out of order, and a watch that breaks loses deletions. So: an object never goes back to
an older state; the dead stay dead (tombstones by uid); and a complete listing is the truth for its kind, which buries
whatever it does not name.
"""

import sys
from collections import OrderedDict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from ..kube.kinds import ACCELERATOR, CLAIM, INFERENCE_SERVICE, OWNERS, POD, TRAINING_JOB, Resource
from ..plan.capacity.devices import Catalog, catalog
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Child, Class, Obj, Owner, Pod, Ref
from ..plan.pod import record as podrecord
from . import observe
from .keys import Key, owner_of
from .owned import owned_digest
from .packed import Record, pack, unpack
from .versions import Stamp, older, stamp_of

TOMBSTONES = 20_000
OWNER_PLURALS = frozenset(r.full for r in OWNERS)


class Id(NamedTuple):
    """An object by resource and name."""

    plural: str  # with its group
    namespace: str
    name: str


@dataclass(slots=True)
class _Entry:
    """What is kept of an object. `key` is that of its owner, None for one that names none, and for owners."""

    packed: bytes
    stamp: Stamp
    key: Key | None = None


class Index:
    """Records by object and by owner. Not thread-safe: it lives in one event loop, and no method awaits."""

    def __init__(self) -> None:
        self._entries: dict[Id, _Entry] = {}
        self._children: dict[Key, tuple[Id, ...]] = {}
        self._servers: dict[Key, set[Key]] = {}  # TrainingJob -> InferenceServices that serve it
        self._serves: dict[Key, Key] = {}
        self._accelerators: Catalog | None = None  # made again when it is asked for after a change
        self._graves: OrderedDict[str, str] = OrderedDict()  # uid -> resourceVersion of its end

    # ------------------------------------------------------------------ lookups

    def owner(self, key: Key) -> Owner | None:
        resource = TRAINING_JOB if key.kind == TRAINING_JOB.kind else INFERENCE_SERVICE
        record = self._record(Id(resource.full, key.namespace, key.name))
        return record if isinstance(record, Owner) else None

    def keys(self) -> list[Key]:
        return [_key_of(identity) for identity in self._entries if identity.plural in OWNER_PLURALS]

    def pods(self, key: Key) -> tuple[Pod, ...]:
        found = (self._record(identity) for identity in self._children.get(key, ()) if identity.plural == POD.full)
        return tuple(sorted((r for r in found if isinstance(r, Pod)), key=lambda pod: pod.name))

    def children(self, key: Key) -> tuple[Child, ...]:
        found = (self._record(identity) for identity in self._children.get(key, ()) if identity.plural != POD.full)
        return tuple(sorted((r for r in found if isinstance(r, Child)), key=_place))

    def pod(self, namespace: str, name: str) -> Pod | None:
        record = self._record(Id(POD.full, namespace, name))
        return record if isinstance(record, Pod) else None

    def child(self, target: Ref) -> Child | None:
        record = self._record(Id(target.plural, target.namespace, target.name))
        return record if isinstance(record, Child) else None

    def accelerators(self) -> Catalog:
        """The classes of GPUs that can be named."""
        if self._accelerators is None:
            found = (self._record(each) for each in self._entries if each.plural == ACCELERATOR.full)
            self._accelerators = catalog({each.name: each.spec for each in found if isinstance(each, Class)})
        return self._accelerators

    def stamp(self, target: Ref) -> Stamp | None:
        return self._stamp(Id(target.plural, target.namespace, target.name))

    def _record(self, identity: Id) -> Record | None:
        entry = self._entries.get(identity)
        return unpack(entry.packed) if entry is not None else None

    def _stamp(self, identity: Id) -> Stamp | None:
        entry = self._entries.get(identity)
        return entry.stamp if entry is not None else None

    def gone(self, stamp: Stamp) -> bool:
        """Whether the end of this very object has been seen, and of no older state: a label may come back."""
        end = self._graves.get(stamp.uid)
        return end is not None and not older(end, than=stamp.resource_version)

    # ------------------------------------------------------------------ changes

    def record(self, resource: Resource, event_type: str | None, body: Obj) -> set[Key]:
        """Take in a watch event; returns the keys that it concerns, none when it says nothing new.

        `event_type` is ADDED, MODIFIED, DELETED, or None for an object from a listing.
        """
        identity = _identity(resource, body)
        if event_type == "DELETED":
            return self._bury(identity, stamp_of(body, with_digest=False))
        return self._take(resource, identity, body) if self._is_news(identity, body) else set()

    def listed(
        self, resource: Resource, namespace: str | None, uids: Collection[str], resource_version: str = ""
    ) -> set[Key]:
        """A listing of `resource` (of one namespace, or None for all) is complete: bury what it does not name."""
        missing = [
            (identity, entry.stamp)
            for identity, entry in self._entries.items()
            if identity.plural == resource.full and namespace in (None, identity.namespace)
            and entry.stamp.uid not in uids
        ]  # fmt: skip
        ended = (
            (identity, Stamp(stamp.uid, resource_version or stamp.resource_version)) for identity, stamp in missing
        )
        return _union(self._bury(identity, stamp) for identity, stamp in ended)

    def _is_news(self, identity: Id, body: Obj) -> bool:
        new, known = stamp_of(body, with_digest=False), self._stamp(identity)
        if new.uid in self._graves and not older(self._graves[new.uid], than=new.resource_version):
            return False  # an event that arrives after the end; a returned object (relabelled) is newer than its grave
        if known is None:
            return True
        if known.uid == new.uid and known.resource_version == new.resource_version:
            return False
        # Another uid under the same name is the older object when its version is: two workers of kopf's may swap them.
        return not older(new.resource_version, than=known.resource_version)

    def _take(self, resource: Resource, identity: Id, body: Obj) -> set[Key]:
        record = _record(resource, body)
        known, new = self._entries.get(identity), _Entry(pack(record), _stamp(body, record))
        if known is not None and known.stamp.uid != new.stamp.uid:
            self._entomb(known.stamp.uid, new.stamp.resource_version)
        self._graves.pop(new.stamp.uid, None)
        new.key = known.key if known is not None else None
        self._entries[identity] = new
        touched = self._link(identity, record)
        return set() if known is not None and known.packed == new.packed else touched

    def _bury(self, identity: Id, stamp: Stamp) -> set[Key]:
        known = self._stamp(identity)
        outlived = (
            known is not None and known.uid == stamp.uid and older(stamp.resource_version, known.resource_version)
        )
        if outlived:
            return set()  # left the selector and came back, and we hear of it in the wrong order
        self._entomb(stamp.uid, stamp.resource_version)
        if known is None or known.uid != stamp.uid:
            return set()
        touched = self._unlink(identity)
        del self._entries[identity]
        return touched

    def _entomb(self, uid: str, resource_version: str) -> None:
        self._graves[uid] = resource_version
        self._graves.move_to_end(uid)
        if len(self._graves) > TOMBSTONES:
            self._graves.popitem(last=False)

    # ------------------------------------------------------------------ who belongs to whom

    def _link(self, identity: Id, record: Record) -> set[Key]:
        if isinstance(record, Owner):
            return self._link_owner(_key_of(identity), record)
        if isinstance(record, Class):
            return self._reckon_anew()
        entry = self._entries[identity]
        key, before = owner_of(identity.namespace, record.labels), entry.key
        if key != before:
            if before is not None:
                self._drop_child(before, identity)
            if key is not None:
                self._children[key] = (*self._children.get(key, ()), identity)
            entry.key = key
        return self._with_servers(identity, {k for k in (key, before) if k is not None})

    def _with_servers(self, identity: Id, keys: set[Key]) -> set[Key]:
        """A job's claim concerns those too that serve the model in it, which goes when the claim goes."""
        return keys.union(*(self._servers.get(k, set()) for k in keys)) if identity.plural == CLAIM.full else keys

    def _link_owner(self, key: Key, record: Owner) -> set[Key]:
        if key.kind == TRAINING_JOB.kind:
            return {key} | self._servers.get(key, set())
        self._stop_serving(key)
        if job := serves(record):
            self._serves[key] = job
            self._servers.setdefault(job, set()).add(key)
        return {key}

    def _unlink(self, identity: Id) -> set[Key]:
        if identity.plural in OWNER_PLURALS:
            key = _key_of(identity)
            touched = {key} | self._servers.get(key, set())
            self._stop_serving(key)
            return touched
        if identity.plural == ACCELERATOR.full:
            return self._reckon_anew()
        before = self._entries[identity].key
        if before is None:
            return set()
        self._drop_child(before, identity)
        return self._with_servers(identity, {before})

    def _reckon_anew(self) -> set[Key]:
        """Which specs mean a class can only be told with the classes at hand, and they change seldom: all are asked."""
        self._accelerators = None
        return set(self.keys())

    def _drop_child(self, key: Key, identity: Id) -> None:
        siblings = tuple(each for each in self._children[key] if each != identity)
        if siblings:
            self._children[key] = siblings
        else:
            del self._children[key]

    def _stop_serving(self, key: Key) -> None:
        job = self._serves.pop(key, None)
        if job is None:
            return
        self._servers[job].discard(key)
        if not self._servers[job]:
            del self._servers[job]


def serves(service: Owner) -> Key | None:
    """The TrainingJob that an InferenceService's spec names as its model's source."""
    model = service.spec.get("model")
    source = model.get("from") if isinstance(model, dict) else None
    name = source.get("trainingJob") if isinstance(source, dict) else None
    return Key(TRAINING_JOB.kind, service.namespace, name) if isinstance(name, str) and name else None


def _identity(resource: Resource, body: Obj) -> Id:
    """Names that many objects share are kept once."""
    metadata = body["metadata"]
    return Id(sys.intern(resource.full), sys.intern(metadata.get("namespace", "")), metadata["name"])


def _place(child: Child) -> tuple[str, str]:
    return child.ref.plural, child.ref.name


def _record(resource: Resource, body: Obj) -> Record:
    if resource in OWNERS:
        return observe.owner(body)
    if resource == ACCELERATOR:
        return observe.accelerator(body)
    return podrecord.pod(body) if resource == POD else observe.child(resource, body)


def _stamp(body: Obj, record: Record) -> Stamp:
    if not isinstance(record, Child):
        return stamp_of(body, with_digest=False)
    return replace(stamp_of(body, with_digest=True), owned=owned_digest(body, FIELD_MANAGER))


def _key_of(identity: Id) -> Key:
    kind = TRAINING_JOB.kind if identity.plural == TRAINING_JOB.full else INFERENCE_SERVICE.kind
    return Key(kind, identity.namespace, identity.name)


def _union(sets: Iterable[set[Key]]) -> set[Key]:
    found: set[Key] = set()
    return found.union(*sets)
