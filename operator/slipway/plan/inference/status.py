"""The status of an InferenceService: five conditions, the counts of the scale subresource, the address.

Ready is True only when the revision asked for answers, or is at zero and once did. Available counts replicas, so that
a service may be Ready while it is not fully Available. Reasons: docs/conditions-inferenceservice.md.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..conditions import (
    ACCEPTED,
    AVAILABLE,
    EVENT_MESSAGE_MAX,
    MODEL_READY,
    READY,
    SCALING,
    Condition,
    Finding,
    bounded,
    false,
    true,
    turned,
    unknown,
    write,
)
from ..names import qualified_model
from ..observed import Obj, Owner
from ..outcome import Event
from . import drift, starting, wedges
from .children import selector
from .replicas import Replicas
from .served import FIELD, Served, described, record, recorded

SCALED_TO_ZERO = "ScaledToZero"
# What passes by itself. Everything else that is not True wants somebody's attention: an Event of type Warning.
IN_PROGRESS = frozenset({"NotAnsweredYet", "RollingOut", "Starting", "WaitingForTrainingJob"})


@dataclass(frozen=True, slots=True)
class View:
    """What the conditions are told from.

    `refused`: why the spec is not accepted; `missing`: why there is no model to start a pod from; `trouble`: why
    replicas do not answer. `served` is what the Deployment is made from, None when it is left as it is; `source_lost`
    why it is no longer what its TrainingJob says. `revision` is what the pods should be, None when that is not known;
    `desired` likewise. `additions` are others', in the Deployment's pod template. `starting`: how far they are.
    """

    replicas: Replicas
    refused: Finding | None = None
    missing: Finding | None = None
    source_lost: Finding | None = None
    served: Served | None = None
    trouble: Finding | None = None
    revision: str | None = None
    desired: int | None = None
    additions: tuple[str, ...] = ()
    starting: str = starting.GENERAL
    scaling: Condition = unknown(SCALING, "NotAccepted", "not looked at while Accepted is False")  # noqa: RUF009


def status(owner: Owner, view: View, *, gateway_url: str, now: float) -> Obj:
    """The whole status. Fed back, it comes out the same."""
    wanted = conditions(owner, view)
    result: Obj = {
        "conditions": write(owner.status, wanted, generation=owner.generation, now=now),
        "observedGeneration": owner.generation,
        "replicas": len(view.replicas.active),
        "readyReplicas": view.replicas.ready,
        "selector": selector(owner.name),
        "modelName": qualified_model(owner.namespace, owner.name),
        "answeredRevision": answered_revision(owner, view),
    }
    if served := view.served or recorded(owner.status):
        result[FIELD] = record(served)
    if wedged := wedges.listed(view.replicas.active):
        result[wedges.FIELD] = wedged
    if view.additions:
        result[drift.FIELD] = drift.listed(view.additions)
    return {**result, "url": f"{gateway_url.rstrip('/')}/v1"} if gateway_url else result


def events(owner: Owner, view: View) -> tuple[Event, ...]:
    """One for each of Ready and Scaling whose status or reason changed (Ready repeats what the others say), and for
    what Ready does not repeat: that a model has lost its source, or was replaced without a change of the spec, each
    wedge of an engine, and what others added to the pod template."""
    wanted = [condition for condition in conditions(owner, view) if condition.type in (READY, SCALING)]
    told = tuple(_event(condition) for condition in wanted if _worth_telling(owner, condition))
    wedged = wedges.events(owner, wedges.listed(view.replicas.active))
    return (*told, *_source_lost(owner, view), *_replaced(owner, view), *wedged, *drift.events(owner, view.additions))


def _source_lost(owner: Owner, view: View) -> tuple[Event, ...]:
    condition, lost = _model_ready(view), view.source_lost
    if lost is None or condition.reason != lost.reason or not turned(owner.status, condition):
        return ()
    return (Event("Warning", lost.reason, bounded(lost.message, EVENT_MESSAGE_MAX)),)


def _replaced(owner: Owner, view: View) -> tuple[Event, ...]:
    before, served = recorded(owner.status), view.served
    if before is None or served is None or not before.is_replaced_by(served):
        return ()
    still = "" if before.adapter else ", which spec.model.uri can still name"
    message = (
        f"TrainingJob {served.training_job!r} was made anew and is Complete: its model at {described(served)} "
        f"replaces the one at {described(before)}{still}"
    )
    return (Event("Warning", "ModelReplaced", bounded(message, EVENT_MESSAGE_MAX)),)


def conditions(owner: Owner, view: View) -> list[Condition]:
    return [_accepted(view), _model_ready(view), _available(view), view.scaling, _ready(owner, view)]


def answered_revision(owner: Owner, view: View) -> str:
    """The revision that last answered: the one asked for as soon as one of its pods is ready."""
    before: str = owner.status.get("answeredRevision", "")
    return view.revision if view.revision and view.replicas.current_ready else before


def _worth_telling(owner: Owner, condition: Condition) -> bool:
    silent = condition.type == SCALING and (condition.status == "Unknown" or condition.reason == "NotRequested")
    silent = silent or condition.reason == wedges.WEDGED  # each wedge has an Event of its own
    return not silent and turned(owner.status, condition)


def _event(condition: Condition) -> Event:
    calm = condition.status == "True" or condition.reason in IN_PROGRESS
    return Event("Normal" if calm else "Warning", condition.reason, bounded(condition.message, EVENT_MESSAGE_MAX))


def _accepted(view: View) -> Condition:
    if view.refused:
        return false(ACCEPTED, view.refused.reason, view.refused.message)
    return true(ACCEPTED, "Accepted")


def _model_ready(view: View) -> Condition:
    if view.refused:
        return unknown(MODEL_READY, "NotAccepted", "not looked at while Accepted is False")
    if view.missing:
        return false(MODEL_READY, view.missing.reason, view.missing.message)
    if view.source_lost:
        return true(MODEL_READY, view.source_lost.reason, view.source_lost.message)
    return true(MODEL_READY, "ModelFound", _place(view.served))


def _place(served: Served | None) -> str:
    if served is None:
        return ""
    writer = f", written by TrainingJob {served.training_job!r}" if served.training_job else ""
    return f"{described(served)}{writer}"


def _available(view: View) -> Condition:
    told, wedged = _counted(view), wedges.told(wedges.listed(view.replicas.active))
    return replace(told, message=told.message + wedged + drift.told(view.additions))


def _counted(view: View) -> Condition:
    ready = view.replicas.ready
    if view.desired is None:
        counts = f"{ready} replicas ready"
    elif view.desired == 0:
        return false(AVAILABLE, SCALED_TO_ZERO, "no replicas are asked for")
    else:
        counts = f"{ready} of {view.desired} replicas ready"
    if ready >= (view.desired or 1):
        return true(AVAILABLE, "ReplicasReady", counts)
    finding = view.refused or view.missing or view.trouble
    if finding is None:
        return _starting(AVAILABLE, view, counts)
    if finding.reason == wedges.WEDGED:  # each wedge is told behind the counts, whatever the reason is
        return false(AVAILABLE, finding.reason, counts)
    return false(AVAILABLE, finding.reason, f"{counts}; {finding.message}")


def _starting(kind: str, view: View, counts: str) -> Condition:
    return false(kind, "Starting", f"{counts}; {view.starting}")


def _not_servable(_: Owner, view: View) -> Condition | None:
    finding = view.refused or view.missing
    return false(READY, finding.reason, finding.message) if finding else None


def _rolling_out(_: Owner, view: View) -> Condition | None:
    if not view.replicas.older:
        return None
    if view.trouble:
        return false(READY, view.trouble.reason, view.trouble.message)
    message = f"{len(view.replicas.older)} replicas of an older revision remain"
    return false(READY, "RollingOut", f"{message}; they serve until the new ones answer")


def _serving(_: Owner, view: View) -> Condition | None:
    return true(READY, "Serving", "the newest revision answers") if view.replicas.current_ready else None


def _at_zero(owner: Owner, view: View) -> Condition | None:
    if view.desired != 0:
        return None
    if view.revision == owner.status.get("answeredRevision"):
        return true(READY, SCALED_TO_ZERO, "no replicas are asked for; this revision has answered before")
    return false(READY, "NotAnsweredYet", "no replicas are asked for, and this revision has never answered a request")


def _in_trouble(_: Owner, view: View) -> Condition | None:
    return false(READY, view.trouble.reason, view.trouble.message) if view.trouble else None


# The first that has something to say is the Ready condition.
READY_CHECKS: tuple[Callable[[Owner, View], Condition | None], ...] = (
    _not_servable,
    _rolling_out,
    _serving,
    _at_zero,
    _in_trouble,
)


def _ready(owner: Owner, view: View) -> Condition:
    said = next((condition for check in READY_CHECKS if (condition := check(owner, view))), None)
    return said or _starting(READY, view, f"0 of {view.desired} replicas ready")
