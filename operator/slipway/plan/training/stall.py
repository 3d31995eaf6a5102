"""Whether a gang stalls: rank 0 reports no further step for `stall.factor` times as long as a step takes.

The trainer has a watchdog of its own, which knows its steps better and leaves the stacks of all ranks (exit code 75).
This is for what no process in the pods can tell any more, and for programs of users' own that report their steps. So it
waits a minute longer than the watchdog does.

How long a step takes is the mean since the pod's first report: what came before that is warm-up. Until there are two
reports, it is the time that the first took. The clock begins when all run and a step was reported, and not before this
operator could hear of steps. After the last step there is none to wait for: the model is evaluated and written.
"""

from dataclasses import dataclass
from typing import Any

from .. import conditions
from ..clock import rfc3339, seconds_or
from ..observed import Obj, Reported
from .failure import STALLED, Failure
from .situation import Situation, is_rank_0

LATER_SECONDS = 60  # than the trainer's own watchdog, and than reports that are only shown now and then


@dataclass(frozen=True, slots=True)
class Pace:
    """Steps of rank 0's pod `pod`: the first that it reported, and the newest. Times are seconds since the epoch."""

    pod: str
    from_step: int
    from_time: float
    step: int
    time: float

    def then(self, reported: Reported) -> "Pace":
        """With a report that came after this."""
        if reported.pod_uid != self.pod or reported.step < self.step:
            return _begun(reported)
        if reported.step == self.step:
            return self
        return Pace(self.pod, self.from_step, self.from_time, reported.step, reported.received)


def pace(situation: Situation, progress: Obj | None) -> Obj | None:
    """status.pace. `progress` is what is shown: a report that is not shown yet counts when it is, for one write."""
    before, reported = _recorded(situation), _heard(situation)
    if reported is None or (progress or {}).get("updated") != rfc3339(reported.received):
        found = situation.observed.owner.status.get("pace")
        return found if isinstance(found, dict) else None
    now = before.then(reported) if before else _begun(reported)
    times = {"fromTime": rfc3339(now.from_time), "stepTime": rfc3339(now.time)}
    return {"podUID": now.pod, "fromStep": now.from_step, **times}


def stalled(situation: Situation) -> Failure | None:
    """The failure, if the gang has stalled."""
    left, last = left_seconds(situation), _last(situation)
    if left is None or left > 0 or last is None:
        return None
    takes = _step_seconds(situation, last)
    message = f"step {last.step} was the last that rank 0 reported, {_bound_seconds(situation, last):.0f} s ago or more"
    return Failure(STALLED, f"{message}: a step takes {takes:.3g} s, and stall.factor is {situation.spec.stall.factor}")


def left_seconds(situation: Situation) -> float | None:
    """Until the gang counts as stalled, if no step is reported; None when there is nothing to wait for."""
    last, since = _last(situation), conditions.since(situation.observed.owner.status, conditions.RUNNING)
    runs = situation.has_run and not situation.held
    if situation.spec.stall.factor == 0 or not runs or last is None or since is None:
        return None
    if last.step >= _total_steps(situation) > 0:
        return None
    silent_since = max(last.time, since, situation.observed.listening_since)
    return max(0.0, silent_since + _bound_seconds(situation, last) - situation.now)


def _bound_seconds(situation: Situation, last: Pace) -> float:
    stall = situation.spec.stall
    return max(stall.floor_seconds, stall.factor * _step_seconds(situation, last)) + LATER_SECONDS


def _step_seconds(situation: Situation, last: Pace) -> float:
    if last.step > last.from_step:
        return max(0.0, last.time - last.from_time) / (last.step - last.from_step)
    since = conditions.since(situation.observed.owner.status, conditions.RUNNING) or 0.0
    return max(0.0, last.from_time - since)


def _last(situation: Situation) -> Pace | None:
    """The newest of the pod that is rank 0 now, shown in the status or not."""
    pods = {pod.uid for pod in situation.pods if is_rank_0(situation, pod)}
    before, reported = _recorded(situation), _heard(situation)
    newest = before if reported is None else (before.then(reported) if before else _begun(reported))
    return newest if newest and newest.pod in pods else None


def _begun(reported: Reported) -> Pace:
    return Pace(reported.pod_uid, reported.step, reported.received, reported.step, reported.received)


def _heard(situation: Situation) -> Reported | None:
    reported = situation.observed.reported
    return reported if reported and reported.pod_uid in {pod.uid for pod in situation.pods} else None


def _recorded(situation: Situation) -> Pace | None:
    """As it was shown: the newest step is progress.step, which the same report gave."""
    status = situation.observed.owner.status
    found: dict[str, Any] = status.get("pace") or {}
    try:
        begun, newest = (seconds_or(found[name], 0.0) for name in ("fromTime", "stepTime"))
        return Pace(found["podUID"], int(found["fromStep"]), begun, int(status["progress"]["step"]), newest)
    except (KeyError, TypeError, ValueError):
        return None


def _total_steps(situation: Situation) -> int:
    reported, shown = situation.observed.reported, situation.observed.owner.status.get("progress") or {}
    total = reported.total_steps if reported else shown.get("totalSteps", 0)
    return total if isinstance(total, int) else 0
