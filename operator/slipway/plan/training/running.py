"""The Running condition: true when every pod of the attempt runs, else the one reason that explains the wait.

Running means the whole gang, not what the backend calls running (its first pod). Clocks start here.
"""

from collections.abc import Callable, Sequence

from .. import conditions
from ..conditions import Condition, Finding, false, true
from ..observed import Pod
from ..pod.mounting import not_mounted
from ..pod.problems import UNSCHEDULABLE, first_problem, steady
from ..pod.template import steady as steady_words
from . import backoff, claims, deadnode, elastic, queue, restarting, suspension, trials
from .situation import Situation

RUNNING = "Running"
RESTARTING = "Restarting"
WAITING_FOR_PODS = "WaitingForPods"
WAITING_FOR_CLAIM = "WaitingForClaim"
WAITING_FOR_CLEANUP = "WaitingForCleanup"
GANG_SUSPENDED = "GangSuspended"
CLAIM_TERMINATING = "ClaimTerminating"

WAITS = " (waiting for "  # what must come first, after the reason of a restart

NOT_ACCEPTED = false(conditions.RUNNING, "NotAccepted", "see condition Accepted")


def of_gang(situation: Situation) -> Condition:
    """Running, of an attempt whose gang is there and has not ended."""
    if everyone_runs(situation) and not situation.held:
        return _all_run(situation)
    finding = next(finding for check in REASONS if (finding := check(situation)))
    return false(conditions.RUNNING, finding.reason, finding.message)


def _all_run(situation: Situation) -> Condition:
    pods = f"{_count(situation.spec.nodes, 'pod')}{elastic.of_running(situation)}"
    message = f"attempt {situation.attempt} runs on {pods}"
    if not claims.is_going(situation):
        return true(conditions.RUNNING, RUNNING, message)
    name = claims.output_ref(situation).name
    going = f"but PersistentVolumeClaim {name} is being deleted and goes with the job's last pod"
    mend = "copy the output away while they run, or set its PersistentVolume's reclaim policy to Retain"
    return true(conditions.RUNNING, CLAIM_TERMINATING, f"{message}, {going}: {mend}")


def starting(situation: Situation) -> Condition:
    """Running, of an attempt whose gang is being made: in the words that hold when it is there and its pods are not,
    so that the gang's own event changes nothing in the status."""
    queued = queue.waiting(situation) if situation.spec.queue else None
    finding = queued or _restart_goes_on(situation) or _none_yet(situation)
    return false(conditions.RUNNING, finding.reason, finding.message)


def making(situation: Situation, *, claim_exists: bool) -> Condition:
    """Running, of an attempt that is accepted and has no gang yet."""
    if claim_exists:
        return starting(situation)
    message = f"PersistentVolumeClaim {claims.output_ref(situation).name} is being made"
    return false(conditions.RUNNING, WAITING_FOR_CLAIM, message)


def clearing(situation: Situation, leftovers: Sequence[str]) -> Condition:
    """Running, of an attempt that waits for what is left of others, or of itself, to go."""
    suspending = suspension.STOPPING if suspension.asked(situation) else None
    finding = suspending or _restart(situation) or Finding(WAITING_FOR_CLEANUP, "the gang is made again")
    message = f"{finding.message}{WAITS}{', '.join(leftovers)} to go)"
    stuck = deadnode.finding(situation)
    return false(
        conditions.RUNNING,
        stuck.reason if stuck else finding.reason,
        f"{message}: {stuck.message}" if stuck else message,
    )


def pausing(situation: Situation) -> Condition:
    """Running, of an attempt that waits because the one before failed."""
    finding = _restart(situation) or Finding(RESTARTING, f"attempt {situation.attempt} follows a failure")
    return false(conditions.RUNNING, finding.reason, f"{finding.message}{WAITS}{backoff.words(situation)})")


def everyone_runs(situation: Situation) -> bool:
    """Every pod runs; one that has succeeded before its peers did run. Once true, it stays until the attempt ends."""
    gone_by = [pod for pod in situation.pods if _runs(pod)]
    return len(gone_by) == situation.spec.nodes


def _runs(pod: Pod) -> bool:
    return pod.phase in ("Running", "Succeeded") and not pod.deleting


def _problem(situation: Situation) -> Finding | None:
    before = conditions.find(situation.observed.owner.status, conditions.RUNNING)
    found = steady(first_problem(situation.pods), before)
    if found is None or found.reason != UNSCHEDULABLE:
        return found
    return Finding(found.reason, f"{found.message}{elastic.of_waiting(situation)}")


def _not_mounted(situation: Situation) -> Finding | None:
    return not_mounted(situation.pods, situation.now)


def _restart(situation: Situation) -> Finding | None:
    """The reason of the restart stands until the new pods have something to tell."""
    cause = restarting.cause(situation)
    return None if cause is None else Finding(RESTARTING, cause)


def _restart_goes_on(situation: Situation) -> Finding | None:
    finding, missing = _restart(situation), situation.spec.nodes - len(situation.pods)
    if finding is None or missing <= 0:
        return finding
    waits = f"{WAITS}{missing} of {_count(situation.spec.nodes, 'pod')} to be made; if this lasts: {_look(situation)})"
    return Finding(finding.reason, f"{finding.message}{waits}")


def _no_pods(situation: Situation) -> Finding | None:
    return None if situation.pods else _none_yet(situation)


def _none_yet(situation: Situation) -> Finding:
    name = situation.gang_ref.name
    why = "its events say why if this lasts"
    message = f"the training operator has made no pod of PyTorchJob {name} yet; {why}: {_look(situation)}"
    return Finding(WAITING_FOR_PODS, message)


def _missing_pods(situation: Situation) -> Finding | None:
    """Told before anything of the pods that exist: they wait for the others."""
    if len(situation.pods) >= situation.spec.nodes:
        return None
    exist = f"{len(situation.pods)} of {_count(situation.spec.nodes, 'pod')} exist"
    why = f"the events of PyTorchJob {situation.gang_ref.name} say why the others are not made if this lasts"
    return Finding(WAITING_FOR_PODS, f"{exist}; {why}: {_look(situation)}")


def _look(situation: Situation) -> str:
    return f"kubectl describe pytorchjob {situation.gang_ref.name}"


def _held(situation: Situation) -> Finding | None:
    """By the queue, or by another hand. The backend keeps no pods then."""
    if not situation.held:
        return None
    if situation.spec.queue:
        return queue.waiting(situation)
    mend = "it goes on when its spec.runPolicy.suspend is false"
    return Finding(GANG_SUSPENDED, f"PyTorchJob {situation.gang_ref.name} is suspended: {mend}")


def _refused_pods(situation: Situation) -> Finding | None:
    """Told before anything of the pods that exist: they wait for those that the API server will not have."""
    refusal = trials.refused_missing(situation)
    if refusal is None:
        return None
    exist = f"{len(situation.pods)} of {_count(situation.spec.nodes, 'pod')} exist"
    before = conditions.find(situation.observed.owner.status, conditions.RUNNING)
    message = f"{exist}; {refusal.message}{elastic.of_waiting(situation)}"
    return steady_words(Finding(refusal.reason, message), before)


def _some_pods(situation: Situation) -> Finding:
    waiting = [pod.name for pod in situation.pods if not _runs(pod)]
    run = len(situation.pods) - len(waiting)
    names = f": waiting for {', '.join(waiting)}" if waiting else ""
    return Finding(WAITING_FOR_PODS, f"{run} of {_count(situation.spec.nodes, 'pod')} run{names}")


REASONS: tuple[Callable[[Situation], Finding | None], ...] = (
    _held,
    _refused_pods,
    _problem,
    _not_mounted,
    _restart_goes_on,
    _no_pods,
    _missing_pods,
    _some_pods,
)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
