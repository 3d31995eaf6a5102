"""A pod that should have gone long ago, and why it has not: its node does not answer.

No gang is made beside it. Nobody but the node's own kubelet can say that its processes have ended: behind a broken
network they may run on and write checkpoints, and a volume that one node may mount is still mounted there. So Slipway
never deletes such a pod by force; it reads the node, and says who can decide: Kubernetes, once the node is back or its
Node object is gone (cloud controllers delete that with the machine), or a person, who knows that the machine is off and
says so by the taint that Kubernetes has for it.
"""

from collections.abc import Mapping
from typing import Any

from .. import conditions
from ..clock import rfc3339
from ..conditions import Finding
from ..observed import Pod, Ref
from ..pod.policytypes import entries, mapping
from . import cleanup
from .situation import Situation

NODE_UNREACHABLE = "NodeUnreachable"
STUCK = "PodStuck"
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"

LATE_SECONDS = 15.0  # after a pod's grace period: kubelets and clocks are not that exact
AGAIN_SECONDS = 30.0  # no watch tells of nodes


def to_read(situation: Situation) -> tuple[Ref, ...]:
    """The node of the first pod that is overdue, unless it has been read."""
    pod = _overdue(situation)
    ref = _node(pod) if pod else None
    return (ref,) if ref and ref not in situation.observed.read else ()


def finding(situation: Situation) -> Finding | None:
    """Why what is left of another attempt does not go; None while that is nothing special.

    What `to_read` names has been read.
    """
    pod = _overdue(situation)
    if pod is None or pod.gone_by is None:
        return None
    due = f"pod {pod.name} should have gone by {rfc3339(pod.gone_by)}, but "
    node = situation.observed.read.get(_node(pod))
    if node is None or _is_given_up(node):
        return None  # Kubernetes removes the pods of such a node itself
    ready = conditions.find(mapping(node.get("status")), "Ready") or {}
    if ready.get("status") == "True":
        why = f"is still on node {pod.node}, which is ready: see its finalizers, and the node's kubelet"
        return Finding(STUCK, due + why)
    mend = (
        f"it goes when the node is back or its Node object is deleted; if the machine is off for certain: "
        f"kubectl taint node {pod.node} {OUT_OF_SERVICE}=nodeshutdown:NoExecute"
    )
    return Finding(NODE_UNREACHABLE, f"{due}node {pod.node} does not answer, and may still run it: {mend}")


def look_again_seconds(situation: Situation) -> float | None:
    """When to look at what is left again: when the first pod is overdue, and now and then after that."""
    if _overdue(situation):
        return AGAIN_SECONDS
    due = [
        pod.gone_by + LATE_SECONDS - situation.now for pod in cleanup.left_pods(situation) if pod.gone_by is not None
    ]
    return max(1.0, min(due)) if due else None


def _overdue(situation: Situation) -> Pod | None:
    late = (
        pod
        for pod in cleanup.left_pods(situation)
        if pod.node and pod.gone_by is not None and pod.gone_by + LATE_SECONDS <= situation.now
    )
    return next(late, None)


def _node(pod: Pod) -> Ref:
    return Ref("v1", "Node", "nodes", "", pod.node)


def _is_given_up(node: Mapping[str, Any]) -> bool:
    taints = entries(mapping(node.get("spec")).get("taints"))
    return any(taint.get("key") == OUT_OF_SERVICE for _, taint in taints)
