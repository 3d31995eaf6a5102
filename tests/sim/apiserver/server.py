"""The emulated API server: one request in, one answer out, in memory, synchronous and deterministic.

What is decided here: which path means what. Beside it stand `list`, `events_since` and `collect_garbage`, which the
real thing does by streaming or in another process, and which the simulation must be able to hold back.
Not served: paging, JSON patch and strategic merge patch (415), watches over `request`, table output, authorization. Of
CustomResourceDefinitions only that they are made and deleted.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import scaling, selectors
from .answers import Answer, Obj, Refusal, Request, WatchEvent, bad_request, exists, no_such_path, not_found
from .deletion import Deleter
from .garbage import Collected, Collector
from .kinds import NAMESPACE, QUOTA, Kind, from_definition
from .ownership import rendered
from .policies import Policies
from .quota import Quotas
from .store import Name, Store, Stored
from .writes import Call, Writer, merge_patched

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON = "application/json"
NAMESPACES = ("default", "kube-system")
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

# `list` is a method below
Objects = list[Obj]
Events = list[WatchEvent]
Pass = list[Collected]
Log = list[Request]
Listeners = list[Callable[[], None]]
History = list[tuple[str, WatchEvent]]


class Emulator:
    """`wall` gives the time in seconds since the epoch: of timestamps, and of nothing else.

    `managed_fields`: whatever is answered, listed or told carries metadata.managedFields, without their times.
    """

    def __init__(self, kinds: Iterable[Kind], *, wall: Callable[[], float], managed_fields: bool = False) -> None:
        self.requests: Log = []
        self._wall = wall
        self._store = Store(_with_managed_fields if managed_fields else _plain)
        self._kinds_listeners: Listeners = []
        self._kinds: dict[str, Kind] = {}
        self._paths: dict[tuple[str, str], Kind] = {}
        self._writers: dict[str, Writer] = {}
        self._deleters: dict[str, Deleter] = {}
        self._closing: set[str] = set()  # kinds that go when nothing of them is left
        self._policies, self._quotas = Policies(self._store), Quotas(self._store, self._put_quota)
        self._collector = Collector(self._kinds, self._deleters, self._store)
        for kind in kinds:
            self.serve(kind)
        if NAMESPACE.full in self._kinds:
            for name in NAMESPACES:
                self._writers[NAMESPACE.full].create("", {"metadata": {"name": name}}, Call("kube-apiserver"))

    # ------------------------------------------------------------------ kinds

    def serve(self, kind: Kind) -> None:
        """Begin to serve a kind, as when its CRD is established."""
        self._kinds[kind.full] = kind
        self._paths[kind.root, kind.plural] = kind
        self._store.serve(kind.full)
        self._writers[kind.full] = Writer(kind, self._store, self._wall, self._gate)
        self._deleters[kind.full] = Deleter(kind, self._store, self._wall)
        self._tell_of_kinds()

    def terminate(self, resource_full: str) -> None:
        """Delete a kind's CRD: its objects are deleted, none can be made, and with the last one goes the kind."""
        self._writers[resource_full].closed = True
        self._closing.add(resource_full)
        for _, place, _ in tuple(self._store.all(resource_full)):
            self._deleters[resource_full].delete(place, {"propagationPolicy": "Background"})
        self._withdraw_emptied()

    def _withdraw_emptied(self) -> None:
        for full in tuple(self._closing):
            if not self._store.has(full):
                self._closing.discard(full)
                self.withdraw(full)

    def withdraw(self, resource_full: str) -> None:
        """Stop serving a kind: its objects are gone, finalizers or not."""
        kind = self._kinds.pop(resource_full)
        del self._paths[kind.root, kind.plural]
        self._store.drop(resource_full)
        del self._writers[resource_full], self._deleters[resource_full]
        self._tell_of_kinds()

    def _tell_of_kinds(self) -> None:
        for listener in self._kinds_listeners:
            listener()

    def kind(self, resource_full: str) -> Kind:
        return self._kinds[resource_full]

    def serves(self, resource_full: str) -> bool:
        return resource_full in self._kinds

    # ------------------------------------------------------------------ what streams in the real one

    @property
    def version(self) -> int:
        """The newest resourceVersion."""
        return self._store.version

    def list(self, resource_full: str, namespace: str | None, selector: str) -> tuple[Objects, int]:
        """A consistent listing and its resourceVersion. `namespace` None or "": all. Raises Refusal 404."""
        self._served(resource_full)
        return self._store.listing(resource_full, namespace, selectors.parsed(selector)), self._store.version

    def events_since(self, resource_full: str, namespace: str | None, selector: str, version: int) -> Events:
        """What happened after `version`, oldest first. Raises Expired, Refusal 404."""
        self._served(resource_full)
        return self._store.since(resource_full, namespace, selectors.parsed(selector), version)

    def history(self, version: int) -> History:
        """(plural.group, event) of every change after `version`, in order, of whatever kind."""
        return self._store.history(version)

    def bookmark(self, resource_full: str) -> WatchEvent:
        """A bookmark of now: no event up to its version is outstanding once it is told."""
        kind = self._served(resource_full)
        body = {"kind": kind.kind, "apiVersion": kind.api_version}
        return WatchEvent(
            "BOOKMARK", body | {"metadata": {"resourceVersion": str(self._store.version)}}, self._store.version
        )

    def _served(self, resource_full: str) -> Kind:
        if resource_full not in self._kinds:
            raise no_such_path()
        return self._kinds[resource_full]

    def compact(self, version: int | None = None) -> None:
        """Forget the log up to `version` (all of it): a watch from before gets 410."""
        self._store.compact(self._store.version if version is None else version)

    def on_change(self, listener: Callable[[], None]) -> None:
        self._store.on_change(listener)

    def on_kinds(self, listener: Callable[[], None]) -> None:
        """Call when a kind has come or gone."""
        self._kinds_listeners.append(listener)

    def collect_garbage(self) -> Pass:
        """One pass of the garbage collector, the namespace and the CRD controller; returns what it deleted."""
        collected = self._collector.collect()
        self._withdraw_emptied()
        return collected

    # ------------------------------------------------------------------ requests

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        user: str = "slipway",
    ) -> Answer:
        """One atomic request; errors are answers."""
        asked = dict(query or {})
        before = self._store.version
        try:
            answer = self._route(method, path, asked, body, content_type, user)
        except Refusal as error:
            answer = Answer(error.status, error.body())
        self._withdraw_emptied()
        stored = self._store.version != before
        version = self._store.version if stored else 0
        self.requests.append(Request(method, path, asked, user, answer.status, stored, version))
        return answer

    def _route(self, method: str, path: str, query: dict[str, str], body: Any, content_type: str, user: str) -> Answer:
        if path.startswith(DEFINITIONS):
            return self._definition(method, path.removeprefix(DEFINITIONS).strip("/"), body)
        kind, namespace, name, subresource = self._target(path)
        if kind is None:
            return self._discovery(path)
        if not name:
            return self._collection(method, kind, namespace, query, body, user)
        call = _call(query, user, subresource)
        place: Name = (namespace, name)
        if subresource == "scale":
            return self._scale(method, kind, place, body, content_type, call)
        if subresource and not (subresource == "status" and kind.status):
            raise no_such_path()
        match method:
            case "GET":
                return Answer(200, self._store.shown(self._get(kind, place)))
            case "PUT":
                return self._answered(kind, self._writers[kind.full].replace(place, body, call), place)
            case "PATCH":
                return self._answered(kind, self._patch(kind, place, body, content_type, call), place)
            case "DELETE":
                options = {**_delete_options(query), **(body or {})}
                return self._deleters[kind.full].delete(place, options, dry_run=call.dry_run)
        raise Refusal(405, "MethodNotAllowed", f"the server does not allow {method} on {path}")

    def _definition(self, method: str, name: str, body: Any) -> Answer:
        """A kind comes, or goes."""
        if method == "POST" and not name:
            if self.serves(body["metadata"]["name"]):
                raise exists(DEFINITIONS.rpartition("/")[2], body["metadata"]["name"])
            self.serve(from_definition(body))
            return Answer(201, body)
        if method == "DELETE" and self.serves(name):
            self.terminate(name)
            return Answer(200, {"kind": "Status", "status": "Success"})
        raise no_such_path()

    def _gate(self, kind: Kind, body: Obj, dry_run: bool) -> None:
        self._policies.judge(kind, body)
        self._quotas.charge(kind, body, dry_run=dry_run)

    def _put_quota(self, place: Name, quota: Obj) -> None:
        self._writers[QUOTA.full].replace(place, quota, Call("kube-apiserver", subresource="status"))

    def _target(self, path: str) -> tuple[Kind | None, str, str, str]:
        """(kind, namespace, name, subresource); no kind for a path of discovery. Raises Refusal 404."""
        parts = path.strip("/").split("/")
        depth = 2 if parts[0] == "api" else 3
        root, rest = "/" + "/".join(parts[:depth]), parts[depth:]
        if not rest:
            return None, "", "", ""
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2 and (root != "/api/v1" or rest[2] not in ("status", "finalize")):
            namespace, rest = rest[1], rest[2:]
        kind = self._paths.get((root, rest[0]))
        if kind is None or len(rest) > 3 or (namespace and not kind.namespaced):
            raise no_such_path()
        name, subresource = [*rest, "", ""][1:3]
        if kind.namespaced and name and not namespace:
            raise no_such_path()
        return kind, namespace, name, subresource

    def _discovery(self, path: str) -> Answer:
        found = [kind for kind in self._kinds.values() if kind.root == path.rstrip("/")]
        if not found:
            raise no_such_path()
        resources = [{"name": kind.plural, "kind": kind.kind, "namespaced": kind.namespaced} for kind in found]
        group_version = found[0].api_version
        return Answer(
            200,
            {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources},
        )

    def _collection(
        self, method: str, kind: Kind, namespace: str, query: dict[str, str], body: Any, user: str
    ) -> Answer:
        if method == "GET":
            return Answer(200, self._listing(kind, namespace, query))
        if method == "POST":
            answer = self._writers[kind.full].create(namespace, body, _call(query, user, ""))
            return self._answered(kind, answer, (namespace, answer.body["metadata"]["name"]))
        if method == "DELETE":
            listing = self._listing(kind, namespace, query)
            options = {**_delete_options(query), **(body or {})}
            for item in listing["items"]:
                meta = item["metadata"]
                self._deleters[kind.full].delete((meta.get("namespace", ""), meta["name"]), options)
            return Answer(200, listing)
        raise Refusal(405, "MethodNotAllowed", f"the server does not allow {method} on a collection")

    def _listing(self, kind: Kind, namespace: str, query: dict[str, str]) -> Obj:
        items, version = self.list(kind.full, namespace, query.get("labelSelector", ""))
        name = selectors.field_name(query.get("fieldSelector", ""))
        if name is not None:
            items = [item for item in items if item["metadata"]["name"] == name]
        if not kind.custom:  # the items of a typed list do not say what they are
            items = [{k: v for k, v in item.items() if k not in ("apiVersion", "kind")} for item in items]
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": str(version)},
            "items": items,
        }

    def _get(self, kind: Kind, place: Name) -> Stored:
        found = self._store.get(kind.full, place)
        if found is None:
            raise not_found(kind.full, place[1])
        return found

    def _patch(self, kind: Kind, place: Name, body: Any, content_type: str, call: Call) -> Answer:
        if content_type == APPLY:
            return self._writers[kind.full].apply(place, body, call)
        if content_type == MERGE:
            return self._writers[kind.full].merge(place, body, call)
        raise Refusal(415, "UnsupportedMediaType", f"the emulator does not take {content_type}")

    def _scale(self, method: str, kind: Kind, place: Name, body: Any, content_type: str, call: Call) -> Answer:
        scale = kind.scale
        if scale is None:
            raise no_such_path()
        live = self._get(kind, place).body
        if method == "GET":
            return Answer(200, scaling.scale_of(kind, scale, live))
        wanted = body or {}
        if method == "PATCH":
            if content_type != MERGE:
                raise Refusal(415, "UnsupportedMediaType", f"the emulator does not take {content_type} here")
            wanted = merge_patched(scaling.scale_of(kind, scale, live), wanted)
        elif method != "PUT":
            raise Refusal(405, "MethodNotAllowed", f"the server does not allow {method} on a scale")
        answer = self._writers[kind.full].put(place, *scaling.scaled(live, scale, wanted), call)
        return Answer(answer.status, scaling.scale_of(kind, scale, answer.body))

    def _answered(self, kind: Kind, answer: Answer, place: Name) -> Answer:
        """With the owners of what is stored now: a dry run's answer tells of no others."""
        stored = self._store.get(kind.full, place)
        if stored is None:
            return answer
        told = Stored(answer.body, stored.managers)
        return Answer(answer.status, self._store.shown(told), answer.headers)


def _plain(stored: Stored) -> Obj:
    return stored.body


def _with_managed_fields(stored: Stored) -> Obj:
    body = stored.body
    if not stored.managers:
        return body
    meta = {**body["metadata"], "managedFields": rendered(stored.managers, body["apiVersion"])}
    return {**body, "metadata": meta}


def _call(query: Mapping[str, str], user: str, subresource: str) -> Call:
    dry_run = query.get("dryRun", "")
    if dry_run not in ("", "All"):
        raise bad_request(f'Invalid value: "{dry_run}": dryRun supports only "All"')
    return Call(
        manager=query.get("fieldManager") or user,
        named=bool(query.get("fieldManager")),
        force=query.get("force") == "true",
        dry_run=dry_run == "All",
        strict=query.get("fieldValidation") == "Strict",
        subresource=subresource,
    )


def _delete_options(query: Mapping[str, str]) -> Obj:
    made: Obj = {}
    if "gracePeriodSeconds" in query:
        made["gracePeriodSeconds"] = int(query["gracePeriodSeconds"])
    if "propagationPolicy" in query:
        made["propagationPolicy"] = query["propagationPolicy"]
    return made
