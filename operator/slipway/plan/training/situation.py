"""Where a TrainingJob stands: which attempt should run, what of it is there, and what is left of others.

Everything is derived from what is observed and from the status, so a plan made after a crash at any point is the plan
that would have been made anyway. `status.attempt` is only ever written before its gang is made; a gang with a higher
number than the status therefore means that the status we see is old, and the gang is believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...api.trainingjob import TrainingJobSpec
from .. import conditions, labels, names
from ..observed import Child, Observed, Pod, Ref
from ..outcome import Defaults
from ..pod.policytypes import mapping
from . import size, unseen

BACKEND_SUSPENDED = "Suspended"  # its condition: True while it keeps no pods, False when it goes on
CONTAINER = "pytorch"  # the backend insists on this name


@dataclass(frozen=True, slots=True)
class Situation:
    """`gang` is the PyTorchJob of `attempt` while it is whole; one that is being deleted is among `stale_gangs`.

    `spec.nodes` is what the attempt has, and `full_nodes` what the user wrote: an elastic job may have fewer.
    """

    observed: Observed
    spec: TrainingJobSpec
    now: float
    defaults: Defaults
    attempt: int
    full_nodes: int
    gang: Child | None
    pods: tuple[Pod, ...]  # of `attempt`, rank 0's first
    stale_gangs: tuple[Child, ...]
    stale_pods: tuple[Pod, ...]
    derived: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)  # what is costly, derived once

    @property
    def gang_ref(self) -> Ref:
        name = names.pytorchjob(self.observed.owner.name, self.attempt)
        return unseen.ref(self.observed.owner.namespace, name)

    @property
    def is_unseen(self) -> bool:
        """Whether a gang is known by a live read alone: no watch will tell of its end, unless it is only late."""
        gangs = (*self.stale_gangs, *((self.gang,) if self.gang else ()))
        return any(gang not in self.observed.children for gang in gangs)

    @property
    def has_run(self) -> bool:
        """Whether the status says that all pods of this attempt ran at once. What ran before the gang was held back, or
        was held back and let run again, does not count: its pods went with that. A live read may know it first."""
        status = self.observed.owner.status
        seen = (self.gang.status if self.gang else {}, mapping(self._live.get("status")))
        told = [_admission(each) for each in seen if each]
        same = all(each == status.get("admissionTime") for each in told) and recorded_attempt(status) == self.attempt
        return same and conditions.is_true(status, conditions.RUNNING)

    @property
    def held(self) -> bool:
        """Whether the gang is there and no pod of it is to be, by its queue or another hand: by the index or by a live
        read, of which neither is always first."""
        live = mapping(mapping(self._live.get("spec")).get("runPolicy"))
        return self.gang is not None and (self.gang.suspended or live.get("suspend") is True)

    @property
    def _live(self) -> Mapping[str, Any]:
        """The gang as it was read, empty where it was not."""
        return mapping(self.observed.read.get(self.gang_ref))

    @property
    def admission_time(self) -> str | None:
        """When the gang was last let run, as the backend tells it; None for one that was never held."""
        return (_admission(self.gang.status) if self.gang else None) or None

    @property
    def released_at(self) -> float:
        """Since when pods of the gang may be made, in seconds since the epoch: now, while that is news."""
        created, status = self.gang.created if self.gang else self.now, self.observed.owner.status
        if conditions.is_true(status, conditions.QUEUED):
            return self.now
        return max(created, conditions.since(status, conditions.QUEUED) or 0.0) if self.spec.queue else created


def look(observed: Observed, spec: TrainingJobSpec, now: float, defaults: Defaults) -> Situation:
    """The situation of the job that `observed` is about."""
    told = (child for child in observed.children if child.ref.plural == unseen.PLURAL)
    gangs = [*told, *unseen.gangs(observed)]
    ours = [gang for gang in gangs if gang.owner_uid == observed.owner.uid and not gang.deleting]
    attempt = max([recorded_attempt(observed.owner.status), *(_attempt(gang) for gang in ours)])
    gang = next((gang for gang in ours if _attempt(gang) == attempt), None)
    pods = sorted(observed.pods, key=_rank_order)
    recorded = size.read(observed.owner.status) if attempt == recorded_attempt(observed.owner.status) else None
    return Situation(
        observed=observed,
        spec=size.sized(spec, recorded, gang),
        now=now,
        defaults=defaults,
        attempt=attempt,
        full_nodes=spec.nodes,
        gang=gang,
        pods=tuple(pod for pod in pods if _belongs(pod, observed.owner.uid, attempt)),
        stale_gangs=tuple(other for other in gangs if other is not gang),
        stale_pods=tuple(pod for pod in pods if not _belongs(pod, observed.owner.uid, attempt)),
    )


def _admission(gang_status: Mapping[str, Any]) -> str | None:
    """When the backend let the gang run again, "" while it holds it, None when it never did."""
    told = conditions.find(gang_status, BACKEND_SUSPENDED)
    if told is None:
        return None
    return str(told.get("lastTransitionTime")) if told.get("status") == "False" else ""


def recorded_attempt(status: dict[str, object]) -> int:
    """status.attempt; 0 when there is none yet."""
    attempt = status.get("attempt")
    return attempt if isinstance(attempt, int) else 0


def is_rank_0(situation: Situation, pod: Pod) -> bool:
    return pod.name == f"{situation.gang_ref.name}-master-0"


def _attempt(gang: Child) -> int:
    """By the name, which is what makes an attempt unique; -1 for a name that Slipway would not give."""
    _, _, number = gang.ref.name.rpartition("-")
    return int(number) if number.isdecimal() else -1


def _belongs(pod: Pod, owner_uid: str, attempt: int) -> bool:
    return pod.labels.get(labels.OWNER_UID) == owner_uid and pod.labels.get(labels.ATTEMPT) == str(attempt)


def _rank_order(pod: Pod) -> tuple[int, str]:
    """master-0, worker-0, ..., worker-9, worker-10: they are all of one length but for the digits."""
    return len(pod.name), pod.name
