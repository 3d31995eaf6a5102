"""The plan of a TrainingJob.

The algorithm ("attempts are created once", docs/architecture.md), derived anew at every visit:

1. A spec that cannot be read: say so, leave everything as it is.
2. A job that is over, by its status or by its pods: say so, and stop what still runs. Nothing is made any more.
3. An attempt that failed within the budget: write the next attempt's number, and nothing else.
4. A gang that is there: tell how it is.
5. No gang: remove what is left of others; when nothing is, check what the user asked for; make the claim; when that
   is there, make the gang.

Each step leads to the next by way of what is observed, so a crash between any two repeats a step at most.
"""

from dataclasses import dataclass, replace

from pydantic import ValidationError

from ...api.trainingjob import TrainingJob
from .. import conditions, depth
from ..conditions import Condition, Finding, false, true
from ..observed import Obj, Observed
from ..outcome import Defaults, Delete, Plan
from ..pod import template as podtemplate
from . import accepted, claims, cleanup, ended, events, lost, progress, running, status, trials
from .ended import End
from .gang import pytorchjob
from .situation import Situation, look, recorded_attempt

MEND_SECONDS = 5.0  # how soon to look again at what a user is likely to mend, and no watch will tell

ACCEPTED = true(conditions.ACCEPTED, "Accepted", "the spec can be carried out")


@dataclass(frozen=True, slots=True)
class _Step:
    """What a step decided; `_plan` makes the plan of it."""

    running: Condition
    accepted: Condition = ACCEPTED
    end: End | None = None
    attempt: int | None = None  # the one that should run from now on; None: the same
    apply: tuple[Obj, ...] = ()
    create: tuple[Obj, ...] = ()
    delete: tuple[Delete, ...] = ()
    look_again_seconds: float | None = None


def plan(observed: Observed, now: float, defaults: Defaults) -> Plan:
    """What is to be done for this job. `now` is in seconds since the epoch; only changes of status depend on it."""
    owner = observed.owner
    if owner.deleting:
        return Plan(status=owner.status)
    if excess := depth.excess(owner.spec):
        return _unreadable(observed, excess.message, now)
    try:
        spec = TrainingJob.read({"spec": owner.spec}).spec
    except ValidationError as error:
        return _unreadable(observed, _complaints(error), now)
    situation = look(observed, spec, now, defaults)
    question = _question(situation)
    return question or _plan(situation, _step(situation))


def _complaints(error: ValidationError) -> str:
    return "; ".join(f"{_path(each['loc'])}: {each['msg']}" for each in error.errors())


def _unreadable(observed: Observed, complaints: str, now: float) -> Plan:
    refused = false(conditions.ACCEPTED, accepted.INVALID_SPEC, complaints)
    written, wanted = status.rejected(observed.owner, refused, now)
    told = events.of_turn(observed.owner, wanted, attempt=recorded_attempt(written), ended=True)
    return Plan(status=written, events=told)


def _path(location: tuple[int | str, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(parts).removeprefix(".")


def _question(situation: Situation) -> Plan | None:
    """What must be known before a gang may be made or given up, and is not."""
    if ended.recorded(situation) or accepted.early_complaint(situation):
        return None
    if ended.succeeded(situation):
        unread = claims.to_watch(situation)
        return Plan(status=situation.observed.owner.status, reads=unread) if unread else None
    if situation.gang:
        return _question_of_gang(situation)
    if unread := accepted.to_read(situation):
        return Plan(status=situation.observed.owner.status, reads=unread)
    if cleanup.leftovers(situation) or accepted.gang_is_unseen(situation) or accepted.complaint(situation):
        return None
    return _try(situation, trials.of_gang(situation, rank_0=True))


def _question_of_gang(situation: Situation) -> Plan | None:
    if unread := (*(lost.to_read(situation) or ended.to_read(situation)), *claims.to_watch(situation)):
        return Plan(status=situation.observed.owner.status, reads=unread)
    missing = trials.of_missing(situation) if ended.failure(situation) is None else None
    return _try(situation, missing) if missing else None


def _try(situation: Situation, trial: tuple[str, Obj]) -> Plan | None:
    if trial[0] in situation.observed.verdicts:
        return None
    return Plan(status=situation.observed.owner.status, templates=(trial,))


def _step(situation: Situation) -> _Step:
    if end := ended.recorded(situation) or ended.end(situation):
        return _over(situation, end)
    if failure := ended.failure(situation):
        return _restart(situation, failure)
    return _watch(situation) if situation.gang else _start(situation)


def _over(situation: Situation, end: End) -> _Step:
    return _Step(
        running=false(conditions.RUNNING, end.reason),
        end=end,
        delete=(*cleanup.stale(situation), *cleanup.burning(situation, end)),
    )


def _restart(situation: Situation, failure: Finding) -> _Step:
    number, budget = situation.attempt + 1, situation.spec.failure_policy.max_restarts
    message = f"restart {number} of {budget}: {failure.message}"
    return _Step(running=false(conditions.RUNNING, running.RESTARTING, message), attempt=number)


def _watch(situation: Situation) -> _Step:
    return _Step(
        running=running.of_gang(situation),
        apply=_own_claim(situation),
        delete=cleanup.stale(situation),
        look_again_seconds=_watch_seconds(situation),
    )


def _watch_seconds(situation: Situation) -> float | None:
    """When to look at a gang again that tells nothing by itself."""
    waits = (
        ended.settle_seconds(situation),
        trials.look_again_seconds(situation),
        claims.look_again_seconds(situation),
    )
    return min((seconds for seconds in waits if seconds), default=None)


def _start(situation: Situation) -> _Step:
    if early := accepted.early_complaint(situation):
        return _refuse(early)
    if accepted.gang_is_unseen(situation):
        return _Step(running=running.starting(situation), look_again_seconds=MEND_SECONDS)
    if leftovers := cleanup.leftovers(situation):
        return _Step(running=running.clearing(situation, leftovers), delete=cleanup.stale(situation))
    complaint = accepted.complaint(situation)
    return _refuse(complaint) if complaint else _make(situation)


def _refuse(complaint: Finding) -> _Step:
    immutable = complaint.reason in (accepted.INVALID_SPEC, accepted.DOES_NOT_FIT, podtemplate.INVALID)
    return _Step(
        accepted=false(conditions.ACCEPTED, complaint.reason, complaint.message),
        running=running.NOT_ACCEPTED,
        look_again_seconds=None if immutable else MEND_SECONDS,
    )


def _make(situation: Situation) -> _Step:
    """The claim, and once it is there the gang. What the API server refused is asked for again."""
    claim, gang = accepted.refused_claim(situation), accepted.refused_gang(situation)
    there = claims.exists(situation) and claim is None
    refusal = claim or gang
    step = _refuse(refusal) if refusal else _Step(running=running.making(situation, claim_exists=there))
    return replace(step, apply=_own_claim(situation), create=(pytorchjob(situation),) if there else ())


def _own_claim(situation: Situation) -> tuple[Obj, ...]:
    return (claims.own_claim(situation),) if claims.is_own(situation.spec) else ()


def _plan(situation: Situation, step: _Step) -> Plan:
    owner = situation.observed.owner
    attempt = situation.attempt if step.attempt is None else step.attempt
    shown = progress.shown(situation, ended=step.end is not None)
    wanted = status.conditions_of(step.accepted, step.running, step.end)
    waits = [seconds for seconds in (step.look_again_seconds, shown.due_seconds) if seconds is not None]
    return Plan(
        status=status.write(situation, wanted, attempt=attempt, end=step.end, shown=shown),
        apply=step.apply,
        create=step.create,
        delete=step.delete,
        events=events.of_turn(owner, wanted, attempt=attempt, ended=step.end is not None),
        requeue_after=min(waits, default=None),
    )
