"""Conditions of both kinds: their types, how they are written, and which changes are worth an Event.

A condition keeps its `lastTransitionTime` while its status stays the same, so a plan that changes nothing writes the
same status again, byte for byte. The list's order is the order in which the planner states its conditions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..api.inferenceservice import KIND as INFERENCE_SERVICE
from ..api.trainingjob import KIND as TRAINING_JOB
from .clock import rfc3339, seconds_or
from .observed import Obj

ACCEPTED = "Accepted"
READY = "Ready"

# TrainingJob
QUEUED = "Queued"
RUNNING = "Running"
RESTARTING = "Restarting"
COMPLETE = "Complete"
FAILED = "Failed"

# InferenceService
MODEL_READY = "ModelReady"
AVAILABLE = "Available"
SCALING = "Scaling"

# Of each kind, in the order in which its planner writes them.
TYPES = {
    TRAINING_JOB: (ACCEPTED, QUEUED, RUNNING, RESTARTING, COMPLETE, FAILED, READY),
    INFERENCE_SERVICE: (ACCEPTED, MODEL_READY, AVAILABLE, SCALING, READY),
}

MESSAGE_MAX = 4096  # api.common.Condition
EVENT_MESSAGE_MAX = 1024  # core/v1 refuses longer notes

Status = Literal["True", "False", "Unknown"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Why something is not as it should be: a reason for machines, a sentence for people. None means all is well."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Condition:
    """What a planner says of one condition type, before it is compared with what was said before."""

    type: str
    status: Status
    reason: str
    message: str = ""


def true(kind: str, reason: str, message: str = "") -> Condition:
    return Condition(kind, "True", reason, message)


def false(kind: str, reason: str, message: str = "") -> Condition:
    return Condition(kind, "False", reason, message)


def unknown(kind: str, reason: str, message: str = "") -> Condition:
    return Condition(kind, "Unknown", reason, message)


def bounded(message: str, limit: int = MESSAGE_MAX) -> str:
    """`message`, cut to `limit` characters, the last of which says that it was cut."""
    return message if len(message) <= limit else message[: limit - 1] + "…"


def find(status: Mapping[str, Any], kind: str) -> Obj | None:
    """The condition of this type in an object's `status`, if it has one. Anything malformed counts as absent."""
    listed = status.get("conditions")
    entries = listed if isinstance(listed, list) else []
    return next((entry for entry in entries if isinstance(entry, dict) and entry.get("type") == kind), None)


def holding(status: Mapping[str, Any], kind: str) -> Obj | None:
    """The condition of this type, if its status is True."""
    condition = find(status, kind)
    return condition if condition and condition.get("status") == "True" else None


def is_true(status: Mapping[str, Any], kind: str) -> bool:
    """Whether the object's `status` has a condition of this type with status True."""
    return holding(status, kind) is not None


def is_over(status: Mapping[str, Any]) -> bool:
    """Whether a job has ended, well or not: then what is said of it stays."""
    return is_true(status, COMPLETE) or is_true(status, FAILED)


def since(status: Mapping[str, Any], kind: str) -> float | None:
    """Since when this condition is what it is, in seconds since the epoch; None when it is not there."""
    condition = find(status, kind)
    return seconds_or(condition.get("lastTransitionTime"), 0.0) if condition else None


def write(previous: Mapping[str, Any], wanted: Sequence[Condition], *, generation: int, now: float) -> list[Obj]:
    """The conditions for `status`, in the order of `wanted`. Types that are not wanted are dropped.

    `previous` is the status as last seen; `now` is used only for a condition whose status changed or is new.
    """
    return [
        _write_one(find(previous, condition.type), condition, generation=generation, now=now) for condition in wanted
    ]


def _write_one(before: Obj | None, condition: Condition, *, generation: int, now: float) -> Obj:
    kept = before.get("lastTransitionTime") if before and before.get("status") == condition.status else None
    return {
        "type": condition.type,
        "status": condition.status,
        "reason": condition.reason,
        "message": bounded(condition.message),
        "observedGeneration": generation,
        "lastTransitionTime": kept or rfc3339(now),
    }


def turned(previous: Mapping[str, Any], wanted: Condition) -> bool:
    """Whether status or reason differ from what was last seen: what an Event is for. A new message alone is not."""
    before = find(previous, wanted.type)
    return before is None or (before.get("status"), before.get("reason")) != (wanted.status, wanted.reason)
