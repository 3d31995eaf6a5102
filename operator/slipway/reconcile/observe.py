"""From a Kubernetes object to the record that the plan sees: the few fields that decisions need.
A pod's is in plan/pod/record.py, for plans read pods, too.

Tolerant on purpose: what a controller wrote half or not yet is absent, never an error that would stop a watch.
"""

from typing import Any

from ..kube.kinds import DEPLOYMENT, Resource, ref
from ..plan.clock import epoch
from ..plan.depth import bounded, cut
from ..plan.observed import Child, Class, Obj, Owner
from .additions import additions

KEPT_STATUS = frozenset({
    "conditions", "observedGeneration", "phase", "replicas", "readyReplicas", "updatedReplicas", "availableReplicas",
    "unavailableReplicas", "terminatingReplicas", "replicaStatuses", "startTime", "completionTime",
})  # fmt: skip


def owner(body: Obj) -> Owner:
    metadata = body["metadata"]
    return Owner(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        resource_version=metadata.get("resourceVersion", ""),
        deleting=bool(metadata.get("deletionTimestamp")),
        spec=bounded(_open(body.get("spec"))),
        status=cut(_open(body.get("status"))),  # whole: our own, from which the next attempt follows
    )


def accelerator(body: Obj) -> Class:
    return Class(body["metadata"]["name"], bounded(_open(body.get("spec"))))


def _open(value: object) -> Obj:
    """What a user may have filled in: a map."""
    return value if isinstance(value, dict) else {}


def child(resource: Resource, body: Obj) -> Child:
    metadata, status = body["metadata"], body.get("status") or {}
    return Child(
        ref=ref(resource, metadata.get("namespace", ""), metadata["name"]),
        uid=metadata.get("uid", ""),
        resource_version=metadata.get("resourceVersion", ""),
        generation=metadata.get("generation", 0),
        labels=metadata.get("labels") or {},
        owner_uid=owner_uid(body),
        deleting=bool(metadata.get("deletionTimestamp")),
        created=epoch(metadata.get("creationTimestamp")) or 0.0,
        status={k: v for k, v in status.items() if k in KEPT_STATUS},
        suspended=is_suspended(body),
        controlled=is_controlled(body),
        additions=additions(body, "spec", "template") if resource == DEPLOYMENT else (),
    )


def is_suspended(body: Obj) -> bool:
    """Whether a PyTorchJob is held back; of no other kind."""
    policy = (body.get("spec") or {}).get("runPolicy")
    return isinstance(policy, dict) and policy.get("suspend") is True


def is_controlled(body: Obj) -> bool:
    return any(o.get("controller") for o in body.get("metadata", {}).get("ownerReferences") or [])


def owner_uid(body: Obj) -> str:
    """The uid of the controller, or of the first owner where none is marked as such; "" without owners."""
    owners: list[dict[str, Any]] = body.get("metadata", {}).get("ownerReferences") or []
    marked = [o for o in owners if o.get("controller")]
    return str((marked or owners or [{}])[0].get("uid", ""))
