"""How long a restart waits: failurePolicy.backoffSeconds, doubled with each failure that follows, to a limit.

The pause is chosen when an attempt fails and written with the failure, so that whoever plans later waits for the same
moment. An attempt that ran as long as the longest pause has made progress: the next pause is the first again. One that
stalled has not, however long it hung.
"""

from .. import conditions
from ..clock import rfc3339, seconds_or
from . import history
from .failure import STALLED, Failure
from .situation import Situation

AHEAD_SECONDS = 60.0  # a failure later than now by more than this was told by another clock: nobody waits for that


def pause_seconds(situation: Situation, failure: Failure) -> int:
    """Between this failure of the present attempt and the next attempt."""
    policy, past = situation.spec.failure_policy, history.read(situation.observed.owner.status)
    before = past.pause_seconds
    if before is None or (_ran_seconds(situation) >= policy.backoff_limit_seconds and failure.reason != STALLED):
        return policy.backoff_seconds
    return min(max(2 * before, policy.backoff_seconds), policy.backoff_limit_seconds)


def left_seconds(situation: Situation) -> float:
    """Until the present attempt's gang may be made; 0 when it may be now."""
    last = history.read(situation.observed.owner.status)
    if last.pause_seconds is None or last.attempt != situation.attempt - 1:
        return 0.0
    waited = situation.now - _failed_at(last)
    return max(0.0, last.pause_seconds - waited) if waited > -AHEAD_SECONDS else 0.0


def words(situation: Situation) -> str:
    """What is waited for, while `left_seconds` is not 0."""
    last = history.read(situation.observed.owner.status)
    pause = last.pause_seconds or 0
    return f"a pause of {pause} s to end at {rfc3339(_failed_at(last) + pause)}"


def _ran_seconds(situation: Situation) -> float:
    """For how long the whole gang of the present attempt has run."""
    since = conditions.since(situation.observed.owner.status, conditions.RUNNING) if situation.has_run else None
    return situation.now - since if since is not None else 0.0


def _failed_at(past: history.History) -> float:
    return seconds_or(past.last.get("time"), 0.0)
