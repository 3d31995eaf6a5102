"""Create, replace, patch and apply: one object each, atomic, with the server's bookkeeping.

The order of steps is the server's: read, default, count owners, admit, separate status, count generations, validate,
store. A write that would change neither the object nor its owners stores nothing and keeps the resourceVersion. What
may say no to a valid new object (policies.py, quota.py) is asked before its name is looked up.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from .answers import Answer, Cause, Obj, Refusal, bad_request, conflict, exists, forbidden, invalid, not_found
from .causes import required, wrong
from .fields import Path
from .kinds import NAMESPACE, Kind
from .ownership import APPLY, UPDATE, Manager, Managers, Ownership
from .reading import Reader, missing_name, refuse_other_name, with_field
from .store import Name, Store, Stored
from .structural import UNCHECKED

STRIPPED_TOPS = ("apiVersion", "kind", "metadata")
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
SUFFIX_LENGTH = 5


@dataclass(frozen=True, slots=True)
class Call:
    """What a request says beside its body."""

    manager: str
    named: bool = True  # the request itself names the manager
    force: bool = False
    dry_run: bool = False
    strict: bool = False
    subresource: str = ""


Gate = Callable[[Kind, Obj, bool], None]  # (kind, new object, dry run); raises Refusal


class Writer:
    """Writes to one kind. `closed`: nothing of it may be created any more."""

    def __init__(self, kind: Kind, store: Store, wall: Callable[[], float], gate: Gate) -> None:
        self.kind, self._store, self._wall, self._gate = kind, store, wall, gate
        self.closed = False
        self.reader = Reader(kind)
        self._ownership = Ownership(Path(None, "", kind.shape, named=False))
        self._empty = {"apiVersion": kind.api_version, "kind": kind.kind} | self.reader.empty()
        self._made = 0
        everything = tuple(name for name in kind.shape.fields if name not in (*STRIPPED_TOPS, "status"))
        self._ignored = {"": ("status",) if kind.status else (), "status": everything, "scale": ()}

    # ------------------------------------------------------------------ create

    def create(self, namespace: str, body: Any, call: Call) -> Answer:
        refuse_other_name(body if isinstance(body, dict) else {}, "", namespace)
        new = self.reader.read(body, strict=call.strict)
        if new["metadata"].get("resourceVersion"):
            raise Refusal(500, "", "resourceVersion should not be set on objects to be created")
        new = self._placed(_alive(new), namespace)
        manager = Manager(call.manager, UPDATE, call.subresource)
        managers = self._ownership.update(self._empty, new, {}, manager, ignored=self._ignored[""])
        return self._store_new(new, namespace, managers, call)

    def _placed(self, new: Obj, namespace: str) -> Obj:
        """With its namespace, and a name where the server makes one."""
        meta = new["metadata"]
        if namespace and not meta.get("namespace"):
            meta = {**meta, "namespace": namespace}
        if not meta.get("name") and meta.get("generateName"):
            self._made += 1
            meta = {**meta, "name": f"{meta['generateName']}{self._suffix(self._made)}"}
        return with_field(new, "metadata", meta)

    @staticmethod
    def _suffix(number: int) -> str:
        text = ""
        mixed = number * 7_368_787 % len(SUFFIX) ** SUFFIX_LENGTH  # a prime: no two alike, and no order to rely on
        for _ in range(SUFFIX_LENGTH):
            mixed, place = divmod(mixed, len(SUFFIX))
            text += SUFFIX[place]
        return text

    def _store_new(self, new: Obj, namespace: str, managers: Managers, call: Call, *, uneven: bool = False) -> Answer:
        self._refuse_namespace(namespace, new["metadata"].get("name", ""))
        self._refuse_closed(new["metadata"].get("name", ""))
        number = self._store.number()
        new = self._born(new, number)
        new = self.kind.admit(new, None, number)
        self.reader.check(new, None)
        self._gate(self.kind, new, call.dry_run)
        name = (namespace, new["metadata"]["name"])
        if self._store.get(self.kind.full, name) is not None:
            raise exists(self.kind.full, name[1])
        if call.dry_run:
            return Answer(201, new)
        return Answer(201, self._store.put(self.kind.full, name, new, managers, uneven=uneven).body)

    def _born(self, new: Obj, number: int) -> Obj:
        meta = {key: value for key, value in new["metadata"].items() if key not in ("selfLink", "generation")}
        if not meta.get("name"):
            causes = [required("metadata.name", "name or generateName is required")]
            causes += [Cause("<nil>", f"Invalid value: null: {UNCHECKED}")] if self.kind.shape.ruled else []
            raise invalid(self.kind.kind, self.kind.group, "", causes)
        meta["uid"] = f"{number:08x}-0000-4000-8000-{number:012x}"
        meta["creationTimestamp"] = timestamp(self._wall())
        if self.kind.counts:
            meta["generation"] = 1
        made = {**new, "metadata": meta}
        if self.kind.status:
            made.pop("status", None)
        return made if self.kind.custom or "status" not in self.reader.empty() else made | self._first_status()

    def _first_status(self) -> Obj:
        return {"status": self.reader.empty()["status"]}

    def _refuse_namespace(self, namespace: str, name: str) -> None:
        if not self.kind.namespaced:
            return
        if not namespace:
            raise bad_request("an empty namespace may not be set during creation")
        found = self._store.get(NAMESPACE.full, ("", namespace))
        if found is None:
            raise not_found(NAMESPACE.full, namespace)
        if found.body["metadata"].get("deletionTimestamp"):
            raise forbidden(
                f'{self.kind.full} "{name}" is forbidden: unable to create new content in namespace {namespace}'
                " because it is being terminated"
            )

    def _refuse_closed(self, name: str) -> None:
        if self.closed:
            why = "create not allowed while custom resource definition is terminating"
            raise forbidden(f'{self.kind.full} "{name}" is forbidden: {why}')

    # ------------------------------------------------------------------ change

    def replace(self, name: Name, body: Any, call: Call) -> Answer:
        refuse_other_name(body if isinstance(body, dict) else {}, name[1], name[0])
        live = self._store.get(self.kind.full, name)
        if live is None:
            if self.kind.upsert and not call.subresource:
                return self._upsert(name, body, call)
            raise not_found(self.kind.full, name[1])
        new = self.reader.read(body, strict=call.strict)
        if not new["metadata"].get("name"):
            raise missing_name()
        if self.kind.versioned and not new["metadata"].get("resourceVersion"):
            cause = wrong("metadata.resourceVersion", 0, "must be specified for an update")
            raise invalid(self.kind.kind, self.kind.group, name[1], [cause])
        return self._update(name, live, self._placed(new, name[0]), call, patched=False)

    def _upsert(self, name: Name, body: Any, call: Call) -> Answer:
        """A PUT of what is not there."""
        meta = (body or {}).get("metadata", {})
        if meta.get("uid"):
            why = f"Precondition failed: UID in precondition: {meta['uid']}, UID in object meta: "
            raise conflict(self.kind.full, name[1], why)
        if meta.get("resourceVersion"):
            raise not_found(self.kind.full, name[1])
        return self.create(name[0], body, call)

    def merge(self, name: Name, patch: Any, call: Call) -> Answer:
        """A JSON merge patch (RFC 7386)."""
        live = self._live(name)
        if not isinstance(patch, dict):
            raise bad_request("a merge patch must be an object")
        patched = merge_patched(live.body, patch)
        refuse_other_name(patched, name[1], name[0])
        new = self.reader.read(patched, strict=call.strict, old=live.body)
        return self._update(name, live, new, call, patched=True)

    def put(self, name: Name, new: Obj, owned: Obj, call: Call) -> Answer:
        """Replace an object by one that was made from it: what /scale does. Owners are counted from `owned`."""
        read = self.reader.read(new, strict=False)
        return self._update(name, self._live(name), read, call, patched=False, owned=owned)

    def _live(self, name: Name) -> Stored:
        live = self._store.get(self.kind.full, name)
        if live is None:
            raise not_found(self.kind.full, name[1])
        return live

    def _update(
        self, name: Name, live: Stored, new: Obj, call: Call, *, patched: bool, owned: Obj | None = None
    ) -> Answer:
        self.reader.guard(new, live.body, call.subresource, patched=patched)
        manager = Manager(call.manager, UPDATE, call.subresource)
        ignored = self._ignored[call.subresource]
        managers = self._ownership.update(live.body, owned or new, live.managers, manager, ignored=ignored)
        return self._commit(name, live, new, managers, call)

    def apply(self, name: Name, config: Any, call: Call) -> Answer:
        self._check_config(name, config, call)
        live = self._store.get(self.kind.full, name)
        if live is None:
            return self._apply_new(name, config, call)
        manager = Manager(call.manager, APPLY, call.subresource)
        ignored = self._ignored[call.subresource]
        made, managers = self._ownership.apply(
            live.body, config, live.managers, manager, force=call.force, ignored=ignored, blank=self._empty
        )
        if made is live.body and managers is live.managers and not live.uneven:
            return Answer(200, live.body)
        new = self.reader.read(made, strict=False, old=live.body)
        self.reader.guard(new, live.body, call.subresource, patched=True)
        return self._commit(name, live, new, managers, call, uneven=self.reader.is_uneven(made))

    def _check_config(self, name: Name, config: Any, call: Call) -> None:
        if not isinstance(config, dict) or not config.get("apiVersion") or not config.get("kind"):
            raise bad_request("an applied object must have apiVersion and kind")
        if not call.named:
            cause = required("fieldManager", "is required for apply patch")
            raise invalid("PatchOptions", "meta.k8s.io", "", [cause])
        if (config.get("metadata") or {}).get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        refuse_other_name(config, name[1], name[0])
        self.reader.check_known(config)

    def _apply_new(self, name: Name, config: Obj, call: Call) -> Answer:
        if call.subresource and not self.kind.upsert:
            raise not_found(self.kind.full, name[1])
        if uid := (config.get("metadata") or {}).get("uid"):
            why = f"uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            raise conflict(self.kind.full, name[1], why)
        manager = Manager(call.manager, APPLY, "")
        made, managers = self._ownership.apply(
            self._empty, config, {}, manager, force=call.force, ignored=self._ignored[""], blank=self._empty
        )
        made = with_field(made, "metadata", {**(made.get("metadata") or {}), "name": name[1]})
        new = self._placed(self.reader.read(made, strict=False), name[0])
        return self._store_new(new, name[0], managers, call, uneven=self.reader.is_uneven(made))

    def _commit(
        self, name: Name, live: Stored, new: Obj, managers: Managers, call: Call, *, uneven: bool = False
    ) -> Answer:
        """Store `new` in place of `live`, if anything differs; the end of it when its last finalizer went."""
        new = self.kind.admit(new, live.body, self._store.version)
        new = self.reader.separated(new, live.body, call.subresource)
        if new is live.body or new == live.body:
            new = live.body
            if managers == live.managers and uneven == live.uneven:
                return Answer(200, new)
        new = self.reader.counted(new, live.body)
        self.reader.check(new, live.body)
        if call.dry_run:
            return Answer(200, new)
        if ends(new):  # it is not stored once more: watches are told of its end alone
            self._store.remove(self.kind.full, name)
            return Answer(200, new)
        return Answer(200, self._store.put(self.kind.full, name, new, managers, uneven=uneven).body)


def _alive(body: Obj) -> Obj:
    meta = body["metadata"]
    kept = {k: v for k, v in meta.items() if k not in ("deletionTimestamp", "deletionGracePeriodSeconds")}
    return with_field(body, "metadata", meta if len(kept) == len(meta) else kept)


def ends(body: Obj) -> bool:
    """Whether an object that is being deleted has nothing left to wait for."""
    meta = body["metadata"]
    going = bool(meta.get("deletionTimestamp")) and not meta.get("finalizers")
    return going and not meta.get("deletionGracePeriodSeconds")


def timestamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def merge_patched(value: Any, patch: Any) -> Any:
    """RFC 7386, sharing what does not change."""
    if not isinstance(patch, dict):
        return patch
    before = value if isinstance(value, dict) else {}
    made = dict(before)
    for key, change in patch.items():
        if change is None:
            made.pop(key, None)
        else:
            made[key] = merge_patched(before.get(key), change)
    same = isinstance(value, dict) and made.keys() == value.keys() and all(made[k] is v for k, v in value.items())
    return value if same else made
