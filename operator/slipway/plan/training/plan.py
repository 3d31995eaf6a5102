"""The plan of a TrainingJob.

The algorithm ("attempts are created once", docs/architecture.md), derived anew at every visit:

1. A spec that cannot be read: say so, leave everything as it is.
2. A job that is over, by its status or by its pods: say so, and stop what still runs. Nothing is made any more.
3. An attempt that failed within the budget, or that is to be suspended, or to have another number of nodes: write the
   next attempt's number, and nothing else.
4. A gang that is there: tell how it is.
5. No gang: remove what is left of others; when nothing is, wait out the pause after a failure, check what the user
   asked for, and unless it is to be suspended make the claim; when that is there, make the gang.

Each step leads to the next by way of what is observed, so a crash between any two repeats a step at most.
"""

from collections.abc import Callable
from dataclasses import replace

from pydantic import ValidationError

from ...api.trainingjob import TrainingJob
from .. import conditions, depth
from ..conditions import Finding, false
from ..observed import Obj, Observed, Ref
from ..outcome import Defaults, Plan
from ..pod import mounting
from . import (
    accepted,
    backoff,
    claims,
    cleanup,
    deadlines,
    deadnode,
    elastic,
    ended,
    events,
    exclusion,
    history,
    lost,
    progress,
    requirement,
    rules,
    running,
    stall,
    starting,
    status,
    suspension,
    trials,
    ttl,
)
from .allocation import allocation
from .ended import End
from .failure import Failure
from .situation import Situation, look, recorded_attempt
from .step import Step


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
    over = ended.recorded(situation) is not None
    if not over and accepted.early_complaint(situation):
        return None
    if unread := cleanup.to_read(situation, over=over):
        return Plan(status=situation.observed.owner.status, reads=unread)
    if over:
        return None
    if ended.succeeded(situation):
        unread = _to_read_of_success(situation)
        return Plan(status=situation.observed.owner.status, reads=unread) if unread else None
    if situation.gang:
        return _question_of_gang(situation)
    if unread := accepted.to_read(situation):
        return Plan(status=situation.observed.owner.status, reads=unread)
    if unread := deadnode.to_read(situation):
        return Plan(status=situation.observed.owner.status, reads=unread)
    if cleanup.leftovers(situation) or starting.pause_seconds(situation):
        return None
    if accepted.complaint(situation):
        return None
    return _try(situation, trials.of_gang(situation, rank_0=True))


def _to_read_of_success(situation: Situation) -> tuple[Ref, ...]:
    """What the end says, and whether the model may be handed on."""
    last = (*ended.last_words_to_read(situation), *requirement.to_read(situation))
    return tuple(dict.fromkeys((*claims.to_watch(situation), *last)))


def _question_of_gang(situation: Situation) -> Plan | None:
    if unread := (*(lost.to_read(situation) or _to_read_before_the_end(situation)), *claims.to_watch(situation)):
        return Plan(status=situation.observed.owner.status, reads=unread)
    missing = trials.of_missing(situation) if ended.failure(situation) is None else None
    return _try(situation, missing) if missing else None


def _to_read_before_the_end(situation: Situation) -> tuple[Ref, ...]:
    """Everything that `lost.to_read` names has been read."""
    unread = ended.to_read(situation)
    return unread if unread and any(ends(situation) for ends in ENDS) else ()


# What ends an attempt, if rank 0 and the gang do not say otherwise.
ENDS: tuple[Callable[[Situation], object], ...] = (
    suspension.asked,
    elastic.is_due,
    ended.failure,
    deadlines.exceeded,
)


def _try(situation: Situation, trial: tuple[str, Obj]) -> Plan | None:
    if trial[0] in situation.observed.verdicts:
        return None
    return Plan(status=situation.observed.owner.status, templates=(trial,))


def _step(situation: Situation) -> Step:
    if end := ended.recorded(situation) or ended.success(situation) or deadlines.exceeded(situation):
        return _over(situation, end)
    if failure := ended.failure(situation):
        return _failed(situation, failure)
    if situation.gang and suspension.asked(situation):
        return Step(running=suspension.stopping(), attempt=situation.attempt + 1)
    if resize := elastic.resize(situation):
        return _resized(situation, resize)
    return _watch(situation) if situation.gang else starting.start(situation)


def _over(situation: Situation, end: End) -> Step:
    return Step(
        running=false(conditions.RUNNING, end.reason),
        end=end,
        delete=cleanup.after_the_end(situation, end),
        wait_seconds=ttl.left_seconds(situation) or None,
    )


def _failed(situation: Situation, failure: Failure) -> Step:
    """The end, or the next attempt; either way the failure is remembered."""
    decision, past = rules.decide(situation, failure), history.read(situation.observed.owner.status)
    told = past.failed(failure, attempt=situation.attempt, now=situation.now, rule=decision.rule)
    told = exclusion.counted(situation, told, failure)
    if isinstance(decision, rules.GiveUp):
        return replace(_over(situation, End(False, decision.reason, decision.message)), history=told)
    words = f"{decision.words}: {failure.message}{exclusion.words(situation, told, failure)}"
    pause, count = backoff.pause_seconds(situation, failure), len(situation.spec.failure_policy.rules)
    return Step(
        running=false(conditions.RUNNING, running.RESTARTING, words),
        failed=Finding(failure.reason, words),
        attempt=situation.attempt + 1,
        history=told.restarted(free=decision.free, rule=decision.rule, rules=count, pause_seconds=pause),
    )


def _resized(situation: Situation, resize: elastic.Resize) -> Step:
    """The next attempt with other nodes: nothing failed, so nothing is remembered of it but that."""
    return Step(
        running=false(conditions.RUNNING, running.RESTARTING, resize.message),
        failed=Finding(resize.reason, resize.message),
        attempt=situation.attempt + 1,
        size=resize.size,
    )


def _watch(situation: Situation) -> Step:
    return Step(
        running=running.of_gang(situation),
        apply=starting.own_claim(situation),
        delete=cleanup.stale(situation),
        wait_seconds=_watch_seconds(situation),
        look_again=trials.is_late(situation) or not claims.is_own(situation.spec) or situation.is_unseen,
    )


def _watch_seconds(situation: Situation) -> float | None:
    """When the clock alone has something to tell of a gang."""
    waits = (
        ended.settle_seconds(situation),
        deadlines.left_seconds(situation),
        stall.left_seconds(situation),
        trials.wait_seconds(situation),
        elastic.left_seconds(situation),
        mounting.left_seconds(situation.pods, situation.now),
    )
    return min((seconds for seconds in waits if seconds), default=None)


def _plan(situation: Situation, step: Step) -> Plan:
    owner = situation.observed.owner
    attempt = situation.attempt if step.attempt is None else step.attempt
    runs, over = step.running.status == "True", step.end is not None or step.attempt is not None
    shown = progress.shown(situation, ended=step.end is not None)
    allotted = allocation(situation, running=runs, over=over, progress=shown.progress)
    told = progress.told(shown.progress, allotted, running=runs)
    past = step.history or history.read(owner.status)
    wanted = status.conditions_of(situation, step.accepted, step.running, failed=step.failed, end=step.end)
    more = cleanup.MORE_SECONDS if len(step.delete) > cleanup.AT_ONCE else None
    waits = [seconds for seconds in (step.wait_seconds, shown.due_seconds, more) if seconds is not None]
    counts = status.Counts(attempt, elastic.told(situation, step.size, attempt=attempt), past)
    written = status.write(situation, wanted, counts, end=step.end, shown=told, allocation=allotted)
    at_rest = step.end is not None and written == owner.status
    return Plan(
        status=written,
        apply=step.apply,
        create=step.create,
        delete=(*step.delete[: cleanup.AT_ONCE], *(ttl.deletion(situation) if at_rest else ())),
        events=events.of_turn(owner, wanted, attempt=attempt, ended=step.end is not None),
        requeue_after=min(waits, default=None),
        look_again=step.look_again,
    )
