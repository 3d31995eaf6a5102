"""What an object says of itself when the operator makes a mistake over it: an exception that is no answer of the API
server's. The log has the traceback; whoever looks at the object would otherwise see a status that nobody updates.

Said once: while Ready says OperatorError it is left as it is, whatever the next exception's words are, so that a visit
that fails for ever writes once. The first visit that succeeds takes it back. A job that is over stays over.
"""

from ..plan import conditions
from ..plan.conditions import Condition, bounded, false
from ..plan.observed import Obj, Owner
from ..plan.outcome import Event, Plan

REASON = "OperatorError"
WORDS_MAX = 200  # of the exception


def confession(owner: Owner, mistake: Exception, now: float) -> Plan | None:
    """The status that names the mistake, and its event; None when it is told already. `now`: seconds since the epoch"""
    before = conditions.find(owner.status, conditions.READY) or {}
    if conditions.is_over(owner.status) or before.get("reason") == REASON:
        return None
    ready = false(conditions.READY, REASON, _message(mistake))
    written = conditions.write(owner.status, [ready], generation=owner.generation, now=now)
    event = Event("Warning", REASON, bounded(ready.message, conditions.EVENT_MESSAGE_MAX))
    return Plan(status={**owner.status, "conditions": [*_others(owner, ready), *written]}, events=(event,))


def _others(owner: Owner, ready: Condition) -> list[Obj]:
    listed = owner.status.get("conditions")
    entries = listed if isinstance(listed, list) else []
    return [entry for entry in entries if not (isinstance(entry, dict) and entry.get("type") == ready.type)]


def _message(mistake: Exception) -> str:
    words = " ".join(str(mistake).split())
    named = f"{type(mistake).__name__}: {bounded(words, WORDS_MAX)}" if words else type(mistake).__name__
    return (
        f"a mistake in the operator keeps it from looking after this object ({named}): see the operator's log, and "
        "report it. It is tried again, at least every two minutes"
    )
