"""spec.suspend: nothing of the job runs while it is true.

A gang that runs is stopped as one that failed is: the next attempt's number is written first, which makes it an attempt
that should not run, and what belongs to that is deleted. Its pods get SIGTERM and save a checkpoint. The next attempt
waits until `suspend` is false, and its number is all that going on costs: no budget, no pause.

The backend has a `suspend` of its own, which is not used: under a queue it belongs to the queue.
"""

from .. import conditions
from ..conditions import Condition, Finding, false
from .situation import Situation

SUSPENDING = "Suspending"
SUSPENDED = "Suspended"

STOPPING = Finding(SUSPENDING, "spec.suspend is true: the gang is stopped")


def asked(situation: Situation) -> bool:
    """Whether nothing of the job is to run."""
    return situation.spec.suspend


def stopping() -> Condition:
    """Running, of a gang that is given up, but not for a failure."""
    return false(conditions.RUNNING, STOPPING.reason, STOPPING.message)


def stopped() -> Condition:
    """Running, when nothing is there any more, or never was."""
    message = "spec.suspend is true and no pod of the job is left: it goes on when that is false"
    return false(conditions.RUNNING, SUSPENDED, message)
