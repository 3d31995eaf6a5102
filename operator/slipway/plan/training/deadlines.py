"""When a job has had its time: deadlineSeconds of running, or startDeadlineSeconds of waiting to run.

Running is what the condition says: the whole gang at once. The seconds of attempts that are over are in the status;
those of the present one are counted from the condition's own time. What is queued, suspended, restarting or starting
does not run. An attempt waits to run from when its pods may be made until all of them run.

The backend has a deadline too, which may never fire: it looks only when something else changes.
"""

from collections.abc import Callable

from .. import conditions
from . import running
from .ended import End
from .situation import Situation

DEADLINE_EXCEEDED = "DeadlineExceeded"
START_DEADLINE_EXCEEDED = "StartDeadlineExceeded"


def exceeded(situation: Situation) -> End | None:
    """The end, if the job has had its time."""
    return next((end for check in DEADLINES if (end := check(situation))), None)


def left_seconds(situation: Situation) -> float | None:
    """Until the first deadline that can come while nothing else does."""
    spec, waits = situation.spec, _waiting_seconds(situation)
    found = []
    if spec.deadline_seconds is not None and running.everyone_runs(situation) and not situation.held:
        found.append(spec.deadline_seconds - _running_seconds(situation))
    if spec.start_deadline_seconds is not None and waits is not None:
        found.append(spec.start_deadline_seconds - waits)
    return min(found, default=None)


def recorded_seconds(situation: Situation, *, runs: bool) -> int | None:
    """status.runningSeconds: of all time that is over, so it grows when the gang stops running. `runs`: it does now."""
    over = 0 if runs else int(_present_seconds(situation))
    return _recorded(situation) + over or None


def _running_out(situation: Situation) -> End | None:
    limit = situation.spec.deadline_seconds
    if limit is None or _running_seconds(situation) < limit:
        return None
    return End(False, DEADLINE_EXCEEDED, f"deadlineSeconds is {limit}, and the job has run for as long")


def _starting_out(situation: Situation) -> End | None:
    limit, waits = situation.spec.start_deadline_seconds, _waiting_seconds(situation)
    if limit is None or waits is None or waits < limit:
        return None
    why = running.of_gang(situation)
    said = f"{why.reason}: {why.message}"
    message = f"startDeadlineSeconds is {limit}, and attempt {situation.attempt} did not run by then: {said}"
    return End(False, START_DEADLINE_EXCEEDED, message)


DEADLINES: tuple[Callable[[Situation], End | None], ...] = (_running_out, _starting_out)


def _running_seconds(situation: Situation) -> float:
    """Over all attempts, until now."""
    return _recorded(situation) + _present_seconds(situation)


def _recorded(situation: Situation) -> int:
    value = situation.observed.owner.status.get("runningSeconds")
    return value if isinstance(value, int) else 0


def _present_seconds(situation: Situation) -> float:
    """Since the whole gang runs, by the status; 0 while it does not."""
    status = situation.observed.owner.status
    since = conditions.since(status, conditions.RUNNING) if conditions.is_true(status, conditions.RUNNING) else None
    return max(0.0, situation.now - since) if since is not None else 0.0


def _waiting_seconds(situation: Situation) -> float | None:
    """Since the pods of the attempt may be made; None while there is no gang, or it is held, or all of it runs."""
    if situation.gang is None or situation.held or running.everyone_runs(situation):
        return None
    status = situation.observed.owner.status
    stopped = None if conditions.is_true(status, conditions.RUNNING) else conditions.since(status, conditions.RUNNING)
    return max(0.0, situation.now - max(situation.released_at, stopped or 0.0))
