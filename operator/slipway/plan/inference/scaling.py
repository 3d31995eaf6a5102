"""The Scaling condition: whether replicas follow the load, as KEDA itself says of the ScaledObject.

It stands apart from Ready: a service that answers is Ready though nothing scales it.
"""

from ...api.inferenceservice import Scaling
from ..conditions import READY, SCALING, Condition, false, find, true, unknown
from ..observed import NO_SUCH_KIND, Child, Obj


def scaling_condition(scaling: Scaling | None, child: Child | None, refused: str | None) -> Condition:
    """`child` is our ScaledObject as the index shows it; `refused` the API server's answer to its last apply."""
    if scaling is None:
        return false(SCALING, "NotRequested", "spec.scaling is not set: replicas are what spec.replicas says")
    if refused is not None:
        return _refused(refused)
    return _said_by_keda(child.status if child else {}, scaling)


def _refused(answer: str) -> Condition:
    if answer == NO_SUCH_KIND:
        message = "the cluster has no scaledobjects.keda.sh: install KEDA, or leave spec.scaling out"
        return false(SCALING, "KedaUnavailable", message)
    return false(SCALING, "ScaledObjectRefused", f"the API server refuses the ScaledObject: {answer}")


def _said_by_keda(status: Obj, scaling: Scaling) -> Condition:
    ready = find(status, READY) or {}
    if ready.get("status") not in ("True", "False"):
        return unknown(SCALING, "WaitingForKeda", "KEDA has not yet said whether the ScaledObject is ready")
    if ready["status"] == "False":
        return false(SCALING, "ScaledObjectNotReady", _quoted(ready))
    return _held(status) or true(
        SCALING,
        "Following",
        f"{scaling.min_replicas} to {scaling.max_replicas} replicas, {scaling.requests_per_replica} requests for each",
    )


def _held(status: Obj) -> Condition | None:
    """What keeps a valid ScaledObject from scaling: an operator's pause, or an autoscaler without metrics."""
    if (paused := find(status, "Paused")) and paused.get("status") == "True":
        return false(SCALING, "Paused", _quoted(paused))
    if (active := find(status, "HPAActive")) and active.get("status") == "False":
        return false(SCALING, "AutoscalerInactive", _quoted(active))
    return None


def _quoted(condition: Obj) -> str:
    return f"KEDA: {condition.get('reason')}: {condition.get('message')}"
