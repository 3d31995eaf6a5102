"""The pods of a service, counted: which are of the revision that is asked for, and which serve.

Counts come from pods, not from the Deployment's status: the two reach the operator through different watches, and a
status that lags behind would call an old version the new one.

A pod that only bears the labels of the selector is a stranger's: every template of ours also has the uid of its owner.
Whose uid does not matter, since a Deployment that outlived an earlier namesake is taken back while its pods serve.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ..labels import OWNER_UID, REVISION
from ..observed import Pod
from .problems import pod_problem

ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Replicas:
    """`current` are of the revision asked for, `older` of any other; neither holds pods that end or have ended."""

    current: tuple[Pod, ...]
    older: tuple[Pod, ...]

    @property
    def active(self) -> tuple[Pod, ...]:
        return self.current + self.older

    @property
    def ready(self) -> int:
        return sum(pod.ready for pod in self.active)

    @property
    def current_ready(self) -> bool:
        """Whether the revision asked for answers: a pod is ready only after its engine generated a token."""
        return any(pod.ready for pod in self.current)


def count(pods: Iterable[Pod], revision: str | None) -> Replicas:
    """`revision` None: it is not known what the pods should be, and all count as older."""
    ours = (pod for pod in pods if pod.labels.get(OWNER_UID))
    active = [pod for pod in ours if not pod.deleting and pod.phase not in ENDED]
    current = tuple(pod for pod in active if revision is not None and pod.labels.get(REVISION) == revision)
    return Replicas(current, tuple(pod for pod in active if pod not in current))


def serving(replicas: Replicas, answered: str) -> bool:
    """Whether there are replicas that must not all go at once.

    One that is ready; or one of the revision that last answered, unless something is known to be wrong with it: a pod
    that missed a heartbeat still has requests in flight.
    """
    return any(pod.ready or _proven(pod, answered) for pod in replicas.active)


def _proven(pod: Pod, answered: str) -> bool:
    return bool(answered) and pod.labels.get(REVISION) == answered and pod_problem([pod]) is None
