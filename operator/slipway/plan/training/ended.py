"""Whether the attempt has ended, and how: success first, then the ordered reasons of a failure.

The gang fails as a whole. The backend would restart a lost pod alone and leave its peers hanging, so a pod that goes
missing after all of them ran is a failure here. Success wins over everything: rank 0 ends last, and its peers may be
cut off at that moment.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .. import conditions, names
from ..clock import seconds_or
from ..observed import Obj, Pod, Ref
from . import claims, requirement
from .failure import GANG_FAILED, Failure, of_failed
from .lost import known, lost_pod, rank_0_ref
from .situation import Situation, is_rank_0
from .stall import stalled
from .termination import INVALID_RECIPE, exit_code, failed, is_cause

COMPLETE = "Complete"

SETTLE_SECONDS = 10  # the backend's verdict may arrive before the pod's own, which says more


@dataclass(frozen=True, slots=True)
class End:
    """The job is over. `reason` and `message` are those of Complete or Failed."""

    success: bool
    reason: str
    message: str


def recorded(situation: Situation) -> End | None:
    """The end that the status already tells: it stays."""
    for kind in (conditions.COMPLETE, conditions.FAILED):
        if condition := conditions.holding(situation.observed.owner.status, kind):
            return End(kind == conditions.COMPLETE, condition["reason"], condition.get("message", ""))
    return None


def success(situation: Situation) -> End | None:
    """The end of a gang that succeeded, if it has come now: a good one, unless the model is not good enough."""
    if not succeeded(situation):
        return None
    unmet = requirement.of_success(situation)
    return End(False, unmet.reason, unmet.message) if unmet else End(True, COMPLETE, _where(situation))


def _where(situation: Situation) -> str:
    claim = claims.output_ref(situation).name
    path = names.output_directory(situation.observed.owner.uid)
    place = f"the output is in directory {path} of PersistentVolumeClaim {claim}"
    if not claims.is_going(situation):
        return place
    mend = "to keep it, set the reclaim policy of its PersistentVolume to Retain before you delete the job"
    return f"{place}, which is being deleted and goes with the job's last pod: {mend}"


def succeeded(situation: Situation) -> bool:
    """Rank 0's pod has succeeded, by the index or by a live read, or the backend says so."""
    if situation.gang is None:
        return False
    return _rank_0_succeeded(situation, known(situation)) or conditions.is_true(situation.gang.status, "Succeeded")


def to_read(situation: Situation) -> tuple[Ref, ...]:
    """Rank 0's pod and the gang, before a failure counts or a deadline: peers are cut off when rank 0 succeeds, and the
    others are when one fails; and the watch may tell of that before it tells of the cause."""
    if any(is_rank_0(situation, pod) and failed(pod) and not pod.deleting for pod in situation.pods):
        return ()
    wanted = (rank_0_ref(situation), situation.gang_ref)
    return tuple(ref for ref in wanted if ref not in situation.observed.read)


def _rank_0_succeeded(situation: Situation, pods: Iterable[Pod]) -> bool:
    return any(is_rank_0(situation, pod) and pod.phase == "Succeeded" for pod in pods)


def last_words_to_read(situation: Situation) -> tuple[Ref, ...]:
    """Rank 0's pod, where its success is known but not by its own event: when that comes, the pod may be gone, and
    with it the evaluation."""
    ref = rank_0_ref(situation)
    told = _rank_0_succeeded(situation, situation.pods)
    return () if told or ref in situation.observed.read else (ref,)


def failure(situation: Situation) -> Failure | None:
    """Why the attempt failed; None while it has not, or while its gang is not there at all, or is held back: then its
    pods go because they shall."""
    if situation.gang is None or situation.held:
        return None
    return next((found for check in FAILURES if (found := check(situation))), None)


def _invalid_recipe(situation: Situation) -> Failure | None:
    pods = [pod for pod in known(situation) if not pod.deleting and exit_code(pod) == INVALID_RECIPE]
    return of_failed(pods[0]) if pods else None


def _failed_pod(situation: Situation) -> Failure | None:
    pods = [pod for pod in situation.pods if not pod.deleting and failed(pod)]
    pods.sort(key=lambda pod: not is_cause(pod))
    return of_failed(pods[0]) if pods else None


def _failed_gang(situation: Situation) -> Failure | None:
    verdict = _backend_verdict(situation) if settle_seconds(situation) <= 0 else None
    if verdict is None:
        return None
    return Failure(GANG_FAILED, f"PyTorchJob {situation.gang_ref.name}: {verdict.get('message') or 'failed'}")


FAILURES: tuple[Callable[[Situation], Failure | None], ...] = (
    _invalid_recipe,
    requirement.of_failure,
    _failed_pod,
    lost_pod,
    _failed_gang,
    stalled,
)


def settle_seconds(situation: Situation) -> float:
    """How long the backend's failure verdict is still to wait for a failed pod to show; 0 without a verdict."""
    verdict = _backend_verdict(situation)
    if verdict is None:
        return 0
    return min(
        SETTLE_SECONDS, max(0, seconds_or(verdict.get("lastTransitionTime"), 0.0) + SETTLE_SECONDS - situation.now)
    )


def _backend_verdict(situation: Situation) -> Obj | None:
    """The backend's condition Failed, where it is true."""
    return conditions.holding(situation.gang.status, "Failed") if situation.gang else None
