"""What a failure is: one word for programs, a sentence for people, and what rules may ask of it.

The word says who ended the pod where that is known (the kernel, the kubelet, the scheduler, a node that is gone), and
otherwise that it failed. Kubernetes tells it in three places: the pod's own reason, the container's, and the condition
DisruptionTarget of a pod that somebody is about to take away.
"""

from dataclasses import dataclass

from ..observed import Pod
from .termination import INVALID_RECIPE, STALLED_CODE, exit_code, main_container, rank_exit_code, why_failed

RECIPE_ERROR = "RecipeError"
POD_FAILED = "PodFailed"
OOM_KILLED = "OOMKilled"
EVICTED = "Evicted"
PREEMPTED = "Preempted"
NODE_LOST = "NodeLost"
POD_LOST = "PodLost"
STALLED = "Stalled"
GANG_FAILED = "GangFailed"

# What the kubelet, or the controller that looks after nodes, writes into status.reason.
OF_PODS = {"Evicted": EVICTED, "NodeLost": NODE_LOST, "Shutdown": NODE_LOST, "NodeShutdown": NODE_LOST}
OF_PODS |= {"Terminated": NODE_LOST, "Preempting": PREEMPTED}
# Why somebody takes a pod away: the reason of its condition DisruptionTarget.
OF_DISRUPTIONS = {
    "PreemptionByScheduler": PREEMPTED,
    "DeletionByTaintManager": NODE_LOST,
    "DeletionByPodGC": NODE_LOST,
    "EvictionByEvictionAPI": EVICTED,
    "TerminationByKubelet": EVICTED,
}


@dataclass(frozen=True, slots=True)
class Failure:
    """`exit_code` is that of the rank that failed first, 128 + n for signal n; None where no rank told one."""

    reason: str
    message: str
    exit_code: int | None = None
    node: str = ""


def of_failed(pod: Pod) -> Failure:
    """Of a pod that has failed."""
    return Failure(_why(pod), why_failed(pod), rank_exit_code(pod), pod.node)


def of_taken(pod: Pod) -> str:
    """The word for a pod that was taken away while it ran."""
    return OF_DISRUPTIONS.get(pod.disruption, POD_LOST)


def _why(pod: Pod) -> str:
    main = main_container(pod)
    if exit_code(pod) == INVALID_RECIPE or rank_exit_code(pod) == INVALID_RECIPE:
        return RECIPE_ERROR
    if rank_exit_code(pod) == STALLED_CODE:
        return STALLED
    if main and main.reason == "OOMKilled":
        return OOM_KILLED
    return OF_PODS.get(pod.reason) or OF_DISRUPTIONS.get(pod.disruption, POD_FAILED)
