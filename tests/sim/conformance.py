"""Conformance cases: what an API server does, written once and run on the emulator and on the real kube-apiserver.

A case is a function of a Bench. It asserts the outcome that matters by itself, so that the emulator is checked where no
real server is; and everything that it is answered is noted, without what differs from server to server (uids, versions,
times, addresses), so that the notes of both can be compared, line by line.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]
Call = Callable[[str, str, dict[str, str], Obj | None, str], tuple[int, Obj]]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

CORE = "/api/v1"
APPS = "/apis/apps/v1"
OURS = "/apis/slipway.dev/v1alpha1"
ROOTS = {
    "trainingjobs": OURS,
    "inferenceservices": OURS,
    "pytorchjobs": "/apis/kubeflow.org/v1",
    "scaledobjects": "/apis/keda.sh/v1alpha1",
    "deployments": APPS,
    "events": "/apis/events.k8s.io/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
}
TIMES = ("creationTimestamp", "deletionTimestamp", "time")
DROPPED = ("selfLink", "managedFields")


@dataclass(frozen=True, slots=True)
class Note:
    """One answer, reduced to what must be the same on every server."""

    what: str
    status: int
    body: Obj

    def __str__(self) -> str:
        return f"{self.what} -> {self.status} {json.dumps(self.body, sort_keys=True)}"


@dataclass
class Bench:
    """One namespace of one server. Every helper notes its answer and returns (status, body)."""

    call: Call
    namespace: str
    notes: list[Note] = field(default_factory=list)
    _tokens: dict[str, dict[str, str]] = field(default_factory=lambda: {"uid": {}, "resourceVersion": {}})

    def path(self, plural: str, name: str = "", subresource: str = "") -> str:
        parts = [ROOTS.get(plural, CORE), "namespaces", self.namespace, plural, name, subresource]
        return "/".join(part for part in parts if part)

    def ask(
        self, method: str, path: str, body: Obj | None = None, content_type: str = JSON, **query: str
    ) -> tuple[int, Obj]:
        status, answer = self.call(method, path, query, body, content_type)
        shown = f"{method} {path.partition(self.namespace)[2]} {query or ''} {content_type[12:17]}"
        reduced = self._reduced(status, answer)
        if query.get("dryRun") or method == "DELETE":
            reduced.pop("owners", None)  # the emulator shows the owners of what is stored, and where it is cheap
        self.notes.append(Note(shown, status, reduced))
        return status, answer

    def create(self, plural: str, body: Obj, **query: str) -> tuple[int, Obj]:
        return self.ask("POST", self.path(plural), body, JSON, **{"fieldManager": "creator", **query})

    def get(self, plural: str, name: str, subresource: str = "") -> tuple[int, Obj]:
        return self.ask("GET", self.path(plural, name, subresource))

    def put(self, plural: str, name: str, body: Obj, subresource: str = "", **query: str) -> tuple[int, Obj]:
        query = {"fieldManager": "putter", **query}
        return self.ask("PUT", self.path(plural, name, subresource), body, JSON, **query)

    def merge(self, plural: str, name: str, body: Obj, subresource: str = "", **query: str) -> tuple[int, Obj]:
        query = {"fieldManager": "merger", **query}
        return self.ask("PATCH", self.path(plural, name, subresource), body, MERGE, **query)

    def apply(
        self, plural: str, body: Obj, manager: str, subresource: str = "", *, force: bool = True, **query: str
    ) -> tuple[int, Obj]:
        query = {"fieldManager": manager, **({"force": "true"} if force else {}), **query}
        return self.ask("PATCH", self.path(plural, body["metadata"]["name"], subresource), body, APPLY, **query)

    def delete(self, plural: str, name: str, options: Obj | None = None, **query: str) -> tuple[int, Obj]:
        return self.ask("DELETE", self.path(plural, name), options, JSON, **query)

    def names(self, plural: str, **query: str) -> list[str]:
        """The names in a listing."""
        _, answer = self.ask("GET", self.path(plural), None, JSON, **query)
        return [item["metadata"]["name"] for item in answer["items"]]

    def watch(self, plural: str, since: str, **query: str) -> list[tuple[str, str]]:
        """(type, name) of every event after a version; those that happened before the call, on both servers."""
        query = {"watch": "1", "resourceVersion": since, "timeoutSeconds": "1", **query}
        _, answer = self.call("GET", self.path(plural), query, None, JSON)
        told = answer["events"]
        events = [{"type": each["type"], "object": self._stable(_without_managers(each["object"]))} for each in told]
        self.notes.append(Note(f"watch {plural} {query.get('labelSelector', '')}", 200, {"events": events}))
        return [(each["type"], each["object"].get("metadata", {}).get("name", "")) for each in told]

    def version(self, plural: str) -> str:
        """The resourceVersion of a listing now."""
        _, answer = self.call("GET", self.path(plural), {}, None, JSON)
        return str(answer["metadata"]["resourceVersion"])

    # ------------------------------------------------------------------ what is compared

    def _reduced(self, status: int, answer: Obj) -> Obj:
        if answer.get("kind") == "Status":
            details = answer.get("details") or {}
            fields = sorted({cause.get("field", "") for cause in details.get("causes") or ()})
            return {"reason": answer.get("reason") or "", "fields": fields} if status >= 400 else {"status": "Success"}
        if "items" in answer:
            return {"items": [self._stable(_without_managers(item)) for item in answer["items"]]}
        if answer.get("message", "").startswith("404 page not found"):
            return {"reason": "NotFound", "fields": []}
        return self._object(answer)

    def _object(self, body: Obj) -> Obj:
        meta = body.get("metadata", {})
        owners = [] if "deletionTimestamp" in meta else owned_paths(meta.get("managedFields"))
        made: Obj = self._stable(_without_managers(body))
        for uid, token in self._tokens["uid"].items():
            owners = [text.replace(uid, token) for text in owners]
        return {**made, "owners": sorted(owners)} if owners else made

    def _stable(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self._stable(each, name) for name, each in sorted(value.items()) if each is not None}
        if isinstance(value, list):
            return [self._stable(each, key) for each in value]
        if key in ("uid", "resourceVersion"):
            return self._tokens[key].setdefault(value, f"{key}-{len(self._tokens[key])}")
        if key in TIMES:
            return "a time"
        if key in ("clusterIP", "clusterIPs") and re.match(r"^10\.", str(value)):
            return "an address"
        return value.replace(self.namespace, "NAMESPACE") if isinstance(value, str) else value


def _without_managers(body: Obj) -> Obj:
    meta = body.get("metadata", {})
    kept = {key: value for key, value in meta.items() if key not in DROPPED}
    return {**body, "metadata": kept | ({"name": "generated"} if "generateName" in meta else {})}


def owned_paths(entries: list[Obj] | None) -> list[str]:
    """managedFields as sorted texts, `manager operation subresource path`."""
    texts = []
    for entry in entries or ():
        head = f"{entry['manager']} {entry['operation']} {entry.get('subresource', '')}"
        texts += [f"{head} {path}" for path in _paths(entry.get("fieldsV1", {}), "")]
    return sorted(texts)


def _paths(fields: Obj, path: str) -> list[str]:
    found = []
    for key, below in fields.items():
        if key == ".":
            continue
        where = path + _element(key)
        if not below or "." in below:
            found.append(where)
        found += _paths(below, where)
    return found


def _element(key: str) -> str:
    kind, _, rest = key.partition(":")
    if kind == "f":
        return f".{rest}"
    value = json.loads(rest)
    if kind == "v":
        return f"[={json.dumps(value)}]"
    return f"[{','.join(f'{name}={json.dumps(each)}' for name, each in sorted(value.items()))}]"


Case = Callable[[Bench], None]
CASES: dict[str, Case] = {}


def case(function: Case) -> Case:
    """Registers a conformance case under its name."""
    assert function.__name__ not in CASES
    CASES[function.__name__] = function
    return function


# ---------------------------------------------------------------------------- objects that cases begin with


def service(name: str = "web", **spec: Any) -> Obj:
    given = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80, "targetPort": 8000}]} | spec
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": given}


def container(name: str = "main", **more: Any) -> Obj:
    return {"name": name, "image": "image:1", **more}


def pod(name: str = "pod", **spec: Any) -> Obj:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"containers": [container()], **spec},
    }


def deployment(name: str = "deploy", *containers: Obj, **spec: Any) -> Obj:
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": list(containers) or [container()]}}
    given = {"selector": {"matchLabels": {"app": name}}, "template": template, **spec}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": given}


def claim(name: str = "claim", **spec: Any) -> Obj:
    given = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": given}


def job(name: str = "job", **spec: Any) -> Obj:
    given = {"command": ["true"], **spec}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": given}


def inference(name: str = "serve", **spec: Any) -> Obj:
    given = {"model": {"from": {"trainingJob": "job"}}, **spec}
    head = {"apiVersion": "slipway.dev/v1alpha1", "kind": "InferenceService"}
    return {**head, "metadata": {"name": name}, "spec": given}


def gang(name: str = "gang", **spec: Any) -> Obj:
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": name}, "spec": spec}


def lease(name: str = "lease", **spec: Any) -> Obj:
    given = {"holderIdentity": "a", "leaseDurationSeconds": 15, **spec}
    head = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
    return {**head, "metadata": {"name": name}, "spec": given}


def with_meta(body: Obj, **more: Any) -> Obj:
    return {**body, "metadata": {**body["metadata"], **more}}


def version(answer: Obj) -> str:
    return str(answer["metadata"]["resourceVersion"])
