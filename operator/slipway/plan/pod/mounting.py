"""A pod that has its node and gets no further: its volumes cannot be mounted, or its network cannot be set up.

The kubelet says why in the pod's events alone; in the status it says only that the pod is not ready to start containers
(condition PodReadyToStartContainers, Kubernetes 1.29 and later). So the pod is named, and where to look.
"""

from collections.abc import Iterable, Sequence

from ..conditions import Finding
from ..observed import Pod

NOT_MOUNTED = "VolumesNotMounted"
PATIENCE_SECONDS = 20.0  # a disk that is attached to its node over the network takes 10 to 15


def not_mounted(pods: Iterable[Pod], now: float) -> Finding | None:
    """The first pod, by name, that waits for longer than is usual. `now`: seconds since the epoch."""
    late = sorted(pod.name for pod, since in _waiting(pods) if now - since >= PATIENCE_SECONDS)
    if not late:
        return None
    why = "a Secret, ConfigMap or claim that is not there, or a claim that another node holds"
    message = f"pod {late[0]} has a node, but its volumes are not mounted or its network is not set up ({why})"
    return Finding(NOT_MOUNTED, f"{message}; its events say which: kubectl describe pod {late[0]}")


def left_seconds(pods: Iterable[Pod], now: float) -> float | None:
    """Until `not_mounted` may say more; None when the clock alone changes nothing."""
    left = [PATIENCE_SECONDS - (now - since) for _, since in _waiting(pods)]
    return min((seconds for seconds in left if seconds > 0), default=None)


def _waiting(pods: Iterable[Pod]) -> Sequence[tuple[Pod, float]]:
    """(pod, since when it has its node)"""
    stuck = (pod for pod in pods if pod.unprepared and pod.phase == "Pending" and not pod.deleting)
    return [(pod, pod.bound) for pod in stuck if pod.bound is not None]
