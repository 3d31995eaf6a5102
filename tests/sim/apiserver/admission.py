"""What the server adds to a new object after its writer's fields are counted: nobody owns these.

Admission plugins (a claim's protection finalizer, a pod's tolerations and priority), the first status of core kinds,
and the address of a Service, which later writes that leave it out keep.
"""

from typing import Final

from .answers import Obj
from .defaults import beside, changed

CLAIM_PROTECTION: Final = "kubernetes.io/pvc-protection"
TOLERATIONS: Final = [
    {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for name in ("not-ready", "unreachable")
]
ALLOCATED: Final = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def nothing(body: Obj, old: Obj | None, number: int) -> Obj:
    return body


def namespace(body: Obj, old: Obj | None, number: int) -> Obj:
    if old is not None:
        return body
    body = beside(body, {"spec": {}})
    body = changed(body, "spec", lambda spec: beside(spec, {"finalizers": ["kubernetes"]}))
    return {**body, "status": {"phase": "Active"}}


def pod(body: Obj, old: Obj | None, number: int) -> Obj:
    if old is not None:
        return body
    more = {"preemptionPolicy": "PreemptLowerPriority", "priority": 0}
    spec = _tolerations(beside(body.get("spec", {}), more))
    return {**body, "spec": spec, "status": {"phase": "Pending", "qosClass": quality(spec)}}


def _tolerations(spec: Obj) -> Obj:
    given = spec.get("tolerations", [])
    known = {(one.get("key"), one.get("effect")) for one in given}
    missing = [one for one in TOLERATIONS if (one["key"], one["effect"]) not in known]
    return {**spec, "tolerations": [*given, *missing]} if missing else spec


def quality(spec: Obj) -> str:
    """The quality-of-service class of a pod."""
    resources = [c.get("resources", {}) for c in (*spec.get("containers", ()), *spec.get("initContainers", ()))]
    asked = [{k: v for k, v in r.get("requests", {}).items() if k in ("cpu", "memory")} for r in resources]
    limited = [{k: v for k, v in r.get("limits", {}).items() if k in ("cpu", "memory")} for r in resources]
    if not any(asked) and not any(limited):
        return "BestEffort"
    same = all(a == b and len(b) == 2 for a, b in zip(asked, limited, strict=True))
    return "Guaranteed" if same else "Burstable"


def claim(body: Obj, old: Obj | None, number: int) -> Obj:
    if old is not None:
        return body
    meta = body["metadata"]
    finalizers = meta.get("finalizers", [])
    if CLAIM_PROTECTION not in finalizers:
        body = {**body, "metadata": {**meta, "finalizers": [*finalizers, CLAIM_PROTECTION]}}
    return {**body, "status": {"phase": "Pending"}}


def service(body: Obj, old: Obj | None, number: int) -> Obj:
    """`number` makes an address that no other Service of this emulator has."""
    before = (old or {}).get("spec", {})

    def addressed(spec: Obj) -> Obj:
        if spec.get("type") == "ExternalName":
            return spec
        spec = beside(spec, {key: before[key] for key in ALLOCATED if key in before})
        if before.get("clusterIP", spec.get("clusterIP")) != spec.get("clusterIP"):
            spec = {**spec, "clusterIPs": [spec["clusterIP"]]}  # refused, unless there was none
        spec = beside(spec, {"clusterIP": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"})
        return beside(
            spec, {"clusterIPs": [spec["clusterIP"]], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"}
        )

    return changed(body, "spec", addressed)
