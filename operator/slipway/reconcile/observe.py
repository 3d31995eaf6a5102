"""From a Kubernetes object to the record that the plan sees: the few fields that decisions need.

Tolerant on purpose: what a controller wrote half or not yet is absent, never an error that would stop a watch.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..api.common import GROUP
from ..kube.kinds import DEPLOYMENT, Resource, ref
from ..plan import labels as known
from ..plan.depth import cut
from ..plan.observed import Child, Container, Obj, Owner, Pod
from .additions import additions

KEPT_LABELS = frozenset({known.MANAGED_BY, known.COMPONENT, "pod-template-hash"})
KEPT_PREFIXES = (GROUP + "/", "training.kubeflow.org/")

KEPT_STATUS = frozenset({
    "conditions", "observedGeneration", "phase", "replicas", "readyReplicas", "updatedReplicas", "availableReplicas",
    "unavailableReplicas", "terminatingReplicas", "replicaStatuses", "startTime", "completionTime",
})  # fmt: skip


def epoch(text: str | None) -> float | None:
    """Seconds since the epoch from RFC 3339, None from nothing or nonsense."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        return None


def owner(body: Obj) -> Owner:
    metadata = body["metadata"]
    return Owner(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        generation=metadata.get("generation", 0),
        resource_version=metadata.get("resourceVersion", ""),
        labels=metadata.get("labels") or {},
        annotations=metadata.get("annotations") or {},
        deleting=bool(metadata.get("deletionTimestamp")),
        spec=_open(body.get("spec")),
        status=_open(body.get("status")),
    )


def _open(value: object) -> Obj:
    """What a user may have filled in: a map, and no deeper than any use of it."""
    return cut(value) if isinstance(value, dict) else {}


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


def pod(body: Obj) -> Pod:
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    conditions = {c.get("type"): c for c in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled", {})
    return Pod(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        labels=kept_labels(metadata.get("labels") or {}),
        phase=status.get("phase", "Pending"),
        reason=status.get("reason", ""),
        message=status.get("message", ""),
        node=spec.get("nodeName", ""),
        ready=conditions.get("Ready", {}).get("status") == "True",
        deleting=bool(metadata.get("deletionTimestamp")),
        created=epoch(metadata.get("creationTimestamp")) or 0.0,
        started=_started(status),
        scheduled=scheduled.get("status") == "True",
        unschedulable_message=scheduled.get("message", "") if scheduled.get("status") == "False" else "",
        bound=epoch(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        gone_by=epoch(metadata.get("deletionTimestamp")),
        disruption=_disruption(conditions.get("DisruptionTarget", {})),
        containers=tuple(_containers(status)),
    )


def _disruption(condition: Obj) -> str:
    return str(condition.get("reason", "")) if condition.get("status") == "True" else ""


def kept_labels(labels: Mapping[str, str]) -> dict[str, str]:
    return {k: v for k, v in labels.items() if k in KEPT_LABELS or k.startswith(KEPT_PREFIXES)}


def _started(status: Obj) -> float | None:
    """When the first main container began to run: queued and initializing are not running."""
    times = []
    for entry in status.get("containerStatuses") or []:
        for state in (entry.get("state") or {}, entry.get("lastState") or {}):
            for phase in ("running", "terminated"):
                times.append(epoch((state.get(phase) or {}).get("startedAt")))
    return min((t for t in times if t is not None), default=None)


def _containers(status: Obj) -> list[Container]:
    entries = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    return [_container(entry) for entry in entries]


def _container(entry: Obj) -> Container:
    state = entry.get("state") or {}
    kind = next((k for k in ("running", "terminated", "waiting") if state.get(k) is not None), "unknown")
    now, last = state.get(kind) or {}, (entry.get("lastState") or {}).get("terminated") or {}
    return Container(
        name=entry.get("name", ""),
        ready=bool(entry.get("ready")),
        restarts=int(entry.get("restartCount", 0)),
        state=kind,  # type: ignore[arg-type]
        reason=now.get("reason", ""),
        message=now.get("message", ""),
        exit_code=now.get("exitCode"),
        last_reason=last.get("reason", ""),
        last_message=last.get("message", ""),
        last_exit_code=last.get("exitCode"),
        finished=epoch(now.get("finishedAt")),
    )
