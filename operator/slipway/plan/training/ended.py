"""Whether the attempt has ended, and how: success first, then the ordered reasons of a failure.

The gang fails as a whole. The backend would restart a lost pod alone and leave its peers hanging, so a pod that goes
missing after all of them ran is a failure here. Success wins over everything: rank 0 ends last, and its peers may be
cut off at that moment.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .. import conditions, labels, names
from ..clock import seconds
from ..conditions import Finding
from ..observed import Obj, Ref
from . import claims, requirement
from .lost import lost_pod, rank_0_ref
from .situation import Situation, is_rank_0
from .termination import INVALID_RECIPE, exit_code, failed, is_cause, why_failed

COMPLETE = "Complete"
INVALID_RECIPE_REASON = "RecipeError"
POD_FAILED = "PodFailed"
GANG_FAILED = "GangFailed"
RESTARTS_EXHAUSTED = "BackoffLimitExceeded"

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


def end(situation: Situation) -> End | None:
    """The end that has come now: success, a failure that no restart mends, or one restart too many."""
    if succeeded(situation):
        unmet = requirement.of_success(situation)
        return End(False, unmet.reason, unmet.message) if unmet else End(True, COMPLETE, _where(situation))
    found, budget = failure(situation), situation.spec.failure_policy.max_restarts
    if found and found.reason in (INVALID_RECIPE_REASON, requirement.NOT_MET):
        return End(False, found.reason, found.message)
    if found and situation.attempt >= budget:
        message = f"failurePolicy.maxRestarts is {budget}, and attempt {situation.attempt} failed: {found.message}"
        return End(False, RESTARTS_EXHAUSTED, message)
    return None


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
    rank_0 = any(is_rank_0(situation, pod) and pod.phase == "Succeeded" for pod in situation.pods)
    return rank_0 or _succeeded_live(situation) or conditions.is_true(situation.gang.status, "Succeeded")


def to_read(situation: Situation) -> tuple[Ref, ...]:
    """Rank 0's pod and the gang, before a failure counts: peers are cut off when rank 0 succeeds, and the others are
    when one fails; and the watch may tell of that before it tells of the cause.

    Everything that `lost.to_read` names has been read."""
    if any(is_rank_0(situation, pod) and failed(pod) for pod in situation.pods):
        return ()
    wanted = (rank_0_ref(situation), situation.gang_ref)
    unread = tuple(ref for ref in wanted if ref not in situation.observed.read)
    return unread if unread and failure(situation) else ()


def _succeeded_live(situation: Situation) -> bool:
    pod = situation.observed.read.get(rank_0_ref(situation)) or {}
    ours = pod.get("metadata", {}).get("labels", {}).get(labels.OWNER_UID) == situation.observed.owner.uid
    return bool(ours and pod.get("status", {}).get("phase") == "Succeeded")


def failure(situation: Situation) -> Finding | None:
    """Why the attempt failed; None while it has not, or while its gang is not there at all."""
    if situation.gang is None:
        return None
    return next((finding for check in FAILURES if (finding := check(situation))), None)


def _invalid_recipe(situation: Situation) -> Finding | None:
    pods = [pod for pod in situation.pods if not pod.deleting and exit_code(pod) == INVALID_RECIPE]
    return Finding(INVALID_RECIPE_REASON, why_failed(pods[0])) if pods else None


def _failed_pod(situation: Situation) -> Finding | None:
    pods = [pod for pod in situation.pods if not pod.deleting and failed(pod)]
    pods.sort(key=lambda pod: not is_cause(pod))
    return Finding(POD_FAILED, why_failed(pods[0])) if pods else None


def _failed_gang(situation: Situation) -> Finding | None:
    if settle_seconds(situation) > 0:
        return None
    verdict = _backend_verdict(situation)
    return (
        Finding(GANG_FAILED, f"PyTorchJob {situation.gang_ref.name}: {verdict.get('message') or 'failed'}")
        if verdict
        else None
    )


FAILURES: tuple[Callable[[Situation], Finding | None], ...] = (
    _invalid_recipe,
    requirement.of_failure,
    _failed_pod,
    lost_pod,
    _failed_gang,
)


def settle_seconds(situation: Situation) -> float:
    """How long the backend's failure verdict is still to wait for a failed pod to show; 0 without a verdict."""
    verdict = _backend_verdict(situation)
    if verdict is None:
        return 0
    return min(SETTLE_SECONDS, max(0, _since(verdict) + SETTLE_SECONDS - situation.now))


def _backend_verdict(situation: Situation) -> Obj | None:
    """The backend's condition Failed, where it is true."""
    return conditions.holding(situation.gang.status, "Failed") if situation.gang else None


def _since(condition: Obj) -> float:
    try:
        return seconds(str(condition.get("lastTransitionTime")))
    except ValueError:
        return 0
