"""The Restarting condition: from a failure until the whole gang runs again, with what failed and whose budget pays."""

from .. import conditions
from ..conditions import Condition, Finding, false, true
from .ended import End
from .situation import Situation
from .suspension import SUSPENDED, SUSPENDING

NOT_RESTARTING = "NotRestarting"


def condition(situation: Situation, running: Condition, *, failed: Finding | None, end: End | None) -> Condition:
    """Restarting, beside what Running says. `failed`: the failure that leads to the next attempt in this very plan."""
    if failed is not None:
        return true(conditions.RESTARTING, failed.reason, failed.message)
    before = conditions.holding(situation.observed.owner.status, conditions.RESTARTING)
    over = end is not None or running.status == "True" or running.reason in (SUSPENDED, SUSPENDING)
    if before is not None and not over:
        return true(conditions.RESTARTING, before["reason"], before.get("message", ""))
    return false(conditions.RESTARTING, end.reason if end else NOT_RESTARTING)


def cause(situation: Situation) -> str | None:
    """What the restart that goes on is about, in words; None while none does."""
    before = conditions.holding(situation.observed.owner.status, conditions.RESTARTING)
    return str(before.get("message", "")) if before else None
