"""The status of a TrainingJob: five conditions, and what has been learnt so far.

What a plan has no news of keeps its value, so the same situation gives the same status whenever it is planned.
"""

from collections.abc import Sequence

from .. import conditions, names
from ..clock import rfc3339
from ..conditions import Condition, false, true
from ..observed import Obj, Owner
from . import claims, progress
from .ended import End
from .requirement import NOT_MET
from .running import NOT_ACCEPTED
from .situation import Situation, is_rank_0
from .termination import evaluation

IN_PROGRESS = "InProgress"


def conditions_of(accepted: Condition, running: Condition, end: End | None) -> list[Condition]:
    """All five, in the order in which they are shown. `Ready` repeats what stands in its way: a printer column."""
    return [
        accepted,
        running,
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
    situation: Situation, wanted: Sequence[Condition], *, attempt: int, end: End | None, shown: progress.Shown
) -> Obj:
    """The whole status. `attempt` is the one that should run from now on."""
    owner = situation.observed.owner
    fields = {
        "conditions": conditions.write(owner.status, wanted, generation=owner.generation, now=situation.now),
        "observedGeneration": owner.generation,
        "attempt": attempt,
        "startTime": _start_time(situation, wanted, end),
        "completionTime": owner.status.get("completionTime") or (rfc3339(situation.now) if end else None),
        "progress": shown.progress,
        "evaluation": _evaluation(situation, end),
        "output": _output(situation, end),
    }
    return {name: value for name, value in fields.items() if value is not None}


def rejected(owner: Owner, accepted: Condition, now: float) -> tuple[Obj, list[Condition]]:
    """The status of a job whose spec cannot be read: what it says of a gang that runs is left alone."""
    kept = {kind: _kept(owner, kind) for kind in (conditions.RUNNING, conditions.COMPLETE, conditions.FAILED)}
    over = any(conditions.is_true(owner.status, kind) for kind in (conditions.COMPLETE, conditions.FAILED))
    ready = _kept(owner, conditions.READY) if over else false(conditions.READY, accepted.reason, accepted.message)
    wanted = [accepted, *kept.values(), ready]
    written = conditions.write(owner.status, wanted, generation=owner.generation, now=now)
    return {**owner.status, "conditions": written, "observedGeneration": owner.generation}, wanted


def _kept(owner: Owner, kind: str) -> Condition:
    before = conditions.find(owner.status, kind)
    if before is None:
        return NOT_ACCEPTED if kind == conditions.RUNNING else false(kind, IN_PROGRESS)
    return Condition(kind, before["status"], before["reason"], before.get("message", ""))


def _start_time(situation: Situation, wanted: Sequence[Condition], end: End | None) -> str | None:
    """When all pods were first seen to run. A job that ended unseen started with the last of its pods, if known."""
    before = situation.observed.owner.status.get("startTime")
    if before is not None:
        return str(before)
    if any(condition.type == conditions.RUNNING and condition.status == "True" for condition in wanted):
        return rfc3339(situation.now)
    started = [pod.started for pod in situation.pods if pod.started is not None]
    return rfc3339(max(started)) if end and started else None


def _evaluation(situation: Situation, end: End | None) -> Obj | None:
    before: Obj | None = situation.observed.owner.status.get("evaluation")
    if end is None or not (end.success or end.reason == NOT_MET):
        return before
    said = (evaluation(pod) for pod in situation.pods if is_rank_0(situation, pod))
    return next((found for found in said if found), before)


def _output(situation: Situation, end: End | None) -> Obj | None:
    if end is None or not end.success:
        return None
    spec, uid = situation.spec, situation.observed.owner.uid
    adapts = spec.recipe in ("lora", "qlora")
    whole = not adapts or spec.output.merge == "merged"
    return {
        "claim": claims.output_ref(situation).name,
        **({"path": names.model_directory(uid)} if whole else {}),
        **({"adapterPath": names.adapter_directory(uid)} if adapts else {}),
    }
