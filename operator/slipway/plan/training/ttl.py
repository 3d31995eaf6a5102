"""ttlSecondsAfterFinished: a job that is over is deleted after so long, as batch/v1's Job is.

The TrainingJob itself goes, and with it what belongs to it: gang, pods, their logs. The output's claim stays, unless
`output.whenDeleted` is Delete. The deletion names the very state that was looked at, and comes only when the status
that tells the end is the one that stands: whoever changes the object meanwhile keeps it, until the next look.
"""

from ...api.common import API_VERSION
from ...api.trainingjob import KIND, PLURAL
from ..clock import seconds_or
from ..observed import Ref
from ..outcome import Delete
from .situation import Situation

FULL = f"{PLURAL}.{API_VERSION.partition('/')[0]}"


def left_seconds(situation: Situation) -> float | None:
    """Until the job is deleted; None when it is kept. The job is over."""
    ttl, told = situation.spec.ttl_seconds_after_finished, situation.observed.owner.status.get("completionTime")
    if ttl is None:
        return None
    ended = situation.now if told is None else seconds_or(told, 0.0)
    return max(0.0, ended + ttl - situation.now)


def deletion(situation: Situation) -> tuple[Delete, ...]:
    """The job itself, when its time has come. Its status tells the end, as it will stay."""
    owner = situation.observed.owner
    if left_seconds(situation) != 0.0 or "completionTime" not in owner.status:
        return ()
    itself = Ref(API_VERSION, KIND, FULL, owner.namespace, owner.name)
    return (Delete(itself, owner.uid, version=owner.resource_version),)
