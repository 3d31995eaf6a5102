"""From a Pod object to the record that decisions are made from: of the index, and of a pod that was read live.

Tolerant on purpose: what the kubelet wrote half or not yet is absent, never an error.
"""

from collections.abc import Mapping

from ...api.common import GROUP
from .. import labels as known
from ..clock import epoch
from ..observed import Container, Obj, Pod

KEPT_LABELS = frozenset({known.MANAGED_BY, known.COMPONENT, "pod-template-hash"})
KEPT_PREFIXES = (GROUP + "/", "training.kubeflow.org/")


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
        unprepared=conditions.get("PodReadyToStartContainers", {}).get("status") == "False",
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
        last_finished=epoch(last.get("finishedAt")),
        since=epoch(now.get("startedAt")) if kind == "running" else None,
        started=bool(entry.get("started")),
    )
