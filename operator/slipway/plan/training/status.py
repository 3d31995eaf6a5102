"""The status of a TrainingJob: seven conditions, and what has been learnt so far.

What a plan has no news of keeps its value, so the same situation gives the same status whenever it is planned.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...api.basemodel import AdapterSpec
from ...api.trainingjob import TrainingJobSpec
from .. import conditions, names
from ..clock import rfc3339
from ..conditions import Condition, Finding, false, true
from ..observed import Obj, Owner
from . import claims, deadlines, queue, restarting, stall
from .ended import End
from .history import History
from .lost import known
from .requirement import NOT_MET
from .running import NOT_ACCEPTED
from .situation import Situation, is_rank_0
from .size import Size
from .termination import evaluation

IN_PROGRESS = "InProgress"

KEPT = (conditions.QUEUED, conditions.RUNNING, conditions.RESTARTING, conditions.COMPLETE, conditions.FAILED)


@dataclass(frozen=True, slots=True)
class Counts:
    """What is counted over attempts: the one that should run from now on, its size where that may change, failures."""

    attempt: int
    size: Size | None
    past: History


def conditions_of(
    situation: Situation, accepted: Condition, running: Condition, *, failed: Finding | None, end: End | None
) -> list[Condition]:
    """All seven, in the order in which they are shown. `Ready` repeats what stands in its way: a printer column."""
    return [
        accepted,
        queue.condition(situation, running, end),
        running,
        restarting.condition(situation, running, failed=failed, end=end),
        _complete(end),
        _failed(end),
        _ready(accepted, running, end),
    ]


def _complete(end: End | None) -> Condition:
    if end is None:
        return false(conditions.COMPLETE, IN_PROGRESS)
    return true(conditions.COMPLETE, end.reason, end.message) if end.success else false(conditions.COMPLETE, end.reason)


def _failed(end: End | None) -> Condition:
    if end is None:
        return false(conditions.FAILED, IN_PROGRESS)
    return false(conditions.FAILED, end.reason) if end.success else true(conditions.FAILED, end.reason, end.message)


def _ready(accepted: Condition, running: Condition, end: End | None) -> Condition:
    if end is not None:
        make = true if end.success else false
        return make(conditions.READY, end.reason, end.message)
    cause = running if accepted.status == "True" else accepted
    return false(conditions.READY, cause.reason, cause.message)


def write(
    situation: Situation,
    wanted: Sequence[Condition],
    counts: Counts,
    *,
    end: End | None,
    shown: Obj | None,
    allocation: Obj | None,
) -> Obj:
    """The whole status. `shown` is what rank 0 said."""
    owner = situation.observed.owner
    fields = {
        "conditions": conditions.write(owner.status, wanted, generation=owner.generation, now=situation.now),
        "observedGeneration": owner.generation,
        "attempt": counts.attempt,
        "elastic": counts.size.fields() if counts.size else None,
        **counts.past.fields(),
        "startTime": _start_time(situation, wanted, end),
        "admissionTime": _admission_time(situation, runs=_runs(wanted)),
        "runningSeconds": deadlines.recorded_seconds(situation, runs=_runs(wanted)),
        "completionTime": owner.status.get("completionTime") or (rfc3339(situation.now) if end else None),
        "progress": shown,
        "allocation": allocation,
        "pace": stall.pace(situation, shown),
        "evaluation": _evaluation(situation, end),
        "output": _output(situation, end),
    }
    return {name: value for name, value in fields.items() if value is not None}


def rejected(owner: Owner, accepted: Condition, now: float) -> tuple[Obj, list[Condition]]:
    """The status of a job whose spec cannot be read: what it says of a gang that runs is left alone."""
    kept = [_kept(owner, kind) for kind in KEPT]
    over = conditions.is_over(owner.status)
    ready = _kept(owner, conditions.READY) if over else false(conditions.READY, accepted.reason, accepted.message)
    wanted = [accepted, *kept, ready]
    written = conditions.write(owner.status, wanted, generation=owner.generation, now=now)
    return {**owner.status, "conditions": written, "observedGeneration": owner.generation}, wanted


def _kept(owner: Owner, kind: str) -> Condition:
    before = conditions.find(owner.status, kind)
    if before is None:
        reason = IN_PROGRESS if kind in (conditions.COMPLETE, conditions.FAILED) else NOT_ACCEPTED.reason
        return NOT_ACCEPTED if kind == conditions.RUNNING else false(kind, reason)
    return Condition(kind, before["status"], before["reason"], before.get("message", ""))


def _start_time(situation: Situation, wanted: Sequence[Condition], end: End | None) -> str | None:
    """When all pods were first seen to run. A job that ended unseen started with the last of its pods, if known."""
    before = situation.observed.owner.status.get("startTime")
    if before is not None:
        return str(before)
    if _runs(wanted):
        return rfc3339(situation.now)
    started = [pod.started for pod in situation.pods if pod.started is not None]
    return rfc3339(max(started)) if end and started else None


def _admission_time(situation: Situation, *, runs: bool) -> str | None:
    """Of the gang that runs. What ran is known by it again after an outage of ours: see `Situation.has_run`."""
    before: str | None = situation.observed.owner.status.get("admissionTime")
    return situation.admission_time if runs else before


def _runs(wanted: Sequence[Condition]) -> bool:
    return any(condition.type == conditions.RUNNING and condition.status == "True" for condition in wanted)


def _evaluation(situation: Situation, end: End | None) -> Obj | None:
    before: Obj | None = situation.observed.owner.status.get("evaluation")
    if end is None or not (end.success or end.reason == NOT_MET):
        return before
    told = (evaluation(pod) for pod in known(situation) if is_rank_0(situation, pod))
    return next((found for found in told if found), before)


def _output(situation: Situation, end: End | None) -> Obj | None:
    if end is None or not end.success:
        return None
    spec, uid = situation.spec, situation.observed.owner.uid
    adapts = spec.recipe in ("lora", "qlora")
    whole = not adapts or spec.output.merge == "merged"
    return {
        "claim": claims.output_ref(situation).name,
        **({"path": names.model_directory(uid)} if whole else {}),
        **(_adapter(spec, uid) if adapts else {}),
    }


def _adapter(spec: TrainingJobSpec, uid: str) -> Obj:
    """What a service needs to know of an adapter beyond its files."""
    rank = (spec.adapter or AdapterSpec()).rank
    base = {"baseUri": spec.base_model.uri} if spec.base_model else {}
    return {"adapterPath": names.adapter_directory(uid), "adapterRank": rank, **base}
