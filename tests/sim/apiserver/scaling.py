"""The scale subresource: replicas of an object as autoscaling/v1 Scale, whatever its kind."""

from typing import Any

from .answers import Obj, bad_request
from .fields import MISSING
from .kinds import Kind, Scale

API_VERSION = "autoscaling/v1"


def scale_of(kind: Kind, scale: Scale, body: Obj) -> Obj:
    meta = body["metadata"]
    names = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Obj = {"replicas": at(body, scale.status_replicas) or 0}
    selector = at(body, scale.selector)
    if selector:
        status["selector"] = selector if isinstance(selector, str) else _selector_text(selector)
    replicas = at(body, scale.spec_replicas)
    return {
        "kind": "Scale",
        "apiVersion": API_VERSION,
        "metadata": {name: meta[name] for name in names if name in meta},
        "spec": {"replicas": replicas} if replicas else {},
        "status": status,
    }


def _selector_text(selector: Obj) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(selector.get("matchLabels", {}).items()))


def at(body: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(body, dict) or name not in body:
            return None
        body = body[name]
    return body


def scaled(body: Obj, scale: Scale, wanted: Obj) -> tuple[Obj, Obj]:
    """`body` with the replicas of the Scale `wanted`, and its version, so that a stale one is refused.

    And the same as owners are counted: a Scale of 0 leaves its replicas out, so nobody owns them. Raises Refusal 400.
    """
    if wanted.get("kind", "Scale") != "Scale":
        raise bad_request("the body must be a Scale")
    replicas = (wanted.get("spec") or {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request("spec.replicas must be an integer")
    meta = wanted.get("metadata") or {}
    checks = {key: meta[key] for key in ("resourceVersion", "uid") if meta.get(key)}
    made = _put(body, scale.spec_replicas.split("."), replicas)
    made = {**made, "metadata": {**made["metadata"], **checks}}
    return made, made if replicas else _put(made, scale.spec_replicas.split("."), MISSING)


def _put(body: Obj, path: list[str], value: Any) -> Obj:
    head, *rest = path
    if not rest and value is MISSING:
        return {key: each for key, each in body.items() if key != head}
    return {**body, head: _put(body.get(head) or {}, rest, value) if rest else value}
