"""Events of a TrainingJob: one for each condition that turned, and none for what stays.

A restart is told by the attempt's number, since the reason may be the same as the time before.
"""

from collections.abc import Sequence

from .. import conditions
from ..conditions import Condition, bounded, turned
from ..observed import Owner
from ..outcome import Event
from .running import NOT_ACCEPTED, RESTARTING, WAITING_FOR_CLAIM, WAITING_FOR_PODS
from .situation import recorded_attempt

QUIET = frozenset({RESTARTING, WAITING_FOR_PODS, WAITING_FOR_CLAIM, NOT_ACCEPTED.reason})


def of_turn(owner: Owner, wanted: Sequence[Condition], *, attempt: int, ended: bool) -> tuple[Event, ...]:
    """What is worth telling of the way from the owner's status to the wanted conditions."""
    turns = [condition for condition in wanted if turned(owner.status, condition)]
    events = [event for condition in turns if (event := _event(condition, ended=ended))]
    if attempt != recorded_attempt(owner.status):
        events += [_of("Warning", condition) for condition in wanted if condition.reason == RESTARTING][:1]
    return tuple(events)


def _event(condition: Condition, *, ended: bool) -> Event | None:
    holds = condition.status == "True"
    if condition.type == conditions.ACCEPTED:
        return _of("Normal" if holds else "Warning", condition)
    if condition.type == conditions.RUNNING and not ended and condition.reason not in QUIET:
        return _of("Normal" if holds else "Warning", condition)
    if condition.type == conditions.COMPLETE and holds:
        return _of("Normal", condition)
    if condition.type == conditions.FAILED and holds:
        return _of("Warning", condition)
    return None


def _of(kind: str, condition: Condition) -> Event:
    message = bounded(condition.message, conditions.EVENT_MESSAGE_MAX)
    return Event("Normal" if kind == "Normal" else "Warning", condition.reason, message)
