"""What an object says of itself while it cannot be looked after; whoever reads it would otherwise see a status that
nobody updates. It is said by Ready, with an event; of the other conditions stays what was said before. The first visit
that succeeds takes it back. A job that is over stays over.

- An operator's mistake, an exception that is no answer of the API server's: said at once, and once, whatever the next
  exception's words are, so that a visit which fails for ever writes once. The log has the traceback.
- An outage, errors of the API server that are no refusal and pass by themselves (500 for one kind, say, or no answer):
  what has been told of the object stays true meanwhile, so nothing is said where the status speaks of its generation.
  One that nothing has been told of would look as if nobody looked after it: after a minute its Ready names the request
  and the answer, once for each generation.
"""

from ..kube.errors import ApiError
from ..plan import conditions
from ..plan.conditions import bounded, false, unknown
from ..plan.observed import Obj, Owner
from ..plan.outcome import Event, Plan
from .keys import Key

MISTAKE = "OperatorError"
OUTAGE = "ApiServerError"
PATIENCE_SECONDS = 60.0  # of an outage, without a visit that succeeds
MISTAKE_WORDS_MAX, OUTAGE_WORDS_MAX = 200, 400
AGAIN = "It is tried again, at least every two minutes"


def mistake(key: Key, owner: Owner, error: Exception, now: float) -> Plan | None:
    """The status that names the exception, and its event; None when there is nothing to say, or it is told already.
    `now`: seconds since the epoch"""
    if _ready(owner).get("reason") == MISTAKE:
        return None
    words = " ".join(str(error).split())
    named = f"{type(error).__name__}: {bounded(words, MISTAKE_WORDS_MAX)}" if words else type(error).__name__
    why = f"a mistake in the operator keeps it from looking after this object ({named})"
    return _told(key, owner, MISTAKE, f"{why}: see the operator's log, and report it. {AGAIN}", now)


def outage(key: Key, owner: Owner, error: ApiError, now: float) -> Plan | None:
    """The same for an answer of the API server's."""
    if owner.generation in (owner.status.get("observedGeneration"), _ready(owner).get("observedGeneration")):
        return None
    said = bounded(" ".join(str(error).split()), OUTAGE_WORDS_MAX)
    asked = f" {error.request}" if error.request else ""
    why = f"the API server keeps failing what the operator asks for this object, last{asked}: {said}"
    return _told(key, owner, OUTAGE, f"{why}. {AGAIN}", now)


def _ready(owner: Owner) -> Obj:
    return conditions.find(owner.status, conditions.READY) or {}


def _told(key: Key, owner: Owner, reason: str, message: str, now: float) -> Plan | None:
    if conditions.is_over(owner.status):
        return None
    entries = [_entry(owner, kind, reason, message, now) for kind in conditions.TYPES[key.kind]]
    event = Event("Warning", reason, bounded(message, conditions.EVENT_MESSAGE_MAX))
    return Plan(status={**owner.status, "conditions": entries}, events=(event,))


def _entry(owner: Owner, kind: str, reason: str, message: str, now: float) -> Obj:
    ready, before = kind == conditions.READY, conditions.find(owner.status, kind)
    if before is not None and not ready:
        return before
    wanted = false(kind, reason, message) if ready else unknown(kind, reason, "see condition Ready")
    return conditions.write(owner.status, [wanted], generation=owner.generation, now=now)[0]
