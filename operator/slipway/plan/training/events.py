"""Events of a TrainingJob: one for each condition that turned, and none for what stays.

A restart is told by the attempt's number, since the reason may be the same as the time before; one for another number
of nodes by its own reason, since nothing is wrong.
"""

from collections.abc import Sequence
from typing import Literal

from .. import conditions
from ..conditions import Condition, bounded, turned
from ..observed import Owner
from ..outcome import Event
from .elastic import GROWN, SHRUNK
from .queue import QUEUED
from .running import CLAIM_TERMINATING, NOT_ACCEPTED, RESTARTING, WAITING_FOR_CLAIM, WAITING_FOR_PODS
from .situation import recorded_attempt
from .suspension import SUSPENDED, SUSPENDING

Tone = Literal["Normal", "Warning"]

QUIET = frozenset({RESTARTING, WAITING_FOR_PODS, WAITING_FOR_CLAIM, NOT_ACCEPTED.reason, SUSPENDING, QUEUED})

# What a turn to this status is told as; a turn that is not listed is no news.
TONES: dict[tuple[str, str], Tone] = {
    (conditions.ACCEPTED, "True"): "Normal",
    (conditions.ACCEPTED, "False"): "Warning",
    (conditions.QUEUED, "True"): "Normal",
    (conditions.RUNNING, "True"): "Normal",
    (conditions.RUNNING, "False"): "Warning",
    (conditions.COMPLETE, "True"): "Normal",
    (conditions.FAILED, "True"): "Warning",
}


def of_turn(owner: Owner, wanted: Sequence[Condition], *, attempt: int, ended: bool) -> tuple[Event, ...]:
    """What is worth telling of the way from the owner's status to the wanted conditions."""
    turns = [condition for condition in wanted if turned(owner.status, condition)]
    events = [event for condition in turns if (event := _event(condition, ended=ended))]
    if attempt != recorded_attempt(owner.status):
        events += _of_restart(wanted)
    return tuple(events)


def _of_restart(wanted: Sequence[Condition]) -> list[Event]:
    planned = [_of("Normal", condition) for condition in wanted if condition.reason in (SHRUNK, GROWN)]
    return (planned or [_of("Warning", condition) for condition in wanted if condition.reason == RESTARTING])[:1]


def _event(condition: Condition, *, ended: bool) -> Event | None:
    if condition.type == conditions.RUNNING and (ended or condition.reason in QUIET):
        return None
    if (condition.type, condition.reason) == (conditions.RUNNING, CLAIM_TERMINATING):
        return _of("Warning", condition)
    if (condition.type, condition.reason) == (conditions.RUNNING, SUSPENDED):
        return _of("Normal", condition)  # as it was asked for
    kind = TONES.get((condition.type, condition.status))
    return _of(kind, condition) if kind else None


def _of(kind: Tone, condition: Condition) -> Event:
    return Event(kind, condition.reason, bounded(condition.message, conditions.EVENT_MESSAGE_MAX))
