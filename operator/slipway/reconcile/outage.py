"""What an object says of itself while the API server keeps failing what the operator asks for it, with an error that is
no refusal and passes by itself: 500 for one kind, say, or no answer.

What has been told of the object stays true meanwhile, so nothing is said of one whose status speaks of its generation.
One that nothing has been told of would look as if nobody looked after it: after a minute of failures its Ready names
the request and the answer. It is said once for each generation, whatever the next error's words are, so an outage costs
an object one write at most; the first visit that succeeds takes it back. A job that is over stays over.
"""

from ..kube.errors import ApiError
from ..kube.kinds import INFERENCE_SERVICE, TRAINING_JOB
from ..plan import conditions
from ..plan.conditions import Condition, bounded, false, unknown
from ..plan.observed import Obj, Owner
from ..plan.outcome import Event, Plan
from .keys import Key

REASON = "ApiServerError"
PATIENCE_SECONDS = 60.0  # of failures without a visit that succeeds
WORDS_MAX = 400  # of the error

# In the order in which the planners write them.
TYPES = {
    TRAINING_JOB.kind: (
        conditions.ACCEPTED,
        conditions.QUEUED,
        conditions.RUNNING,
        conditions.RESTARTING,
        conditions.COMPLETE,
        conditions.FAILED,
        conditions.READY,
    ),
    INFERENCE_SERVICE.kind: (
        conditions.ACCEPTED,
        conditions.MODEL_READY,
        conditions.AVAILABLE,
        conditions.SCALING,
        conditions.READY,
    ),
}


def outage(key: Key, owner: Owner, error: ApiError, now: float) -> Plan | None:
    """The status that names the error, and its event; None when there is nothing to say, or it is told already.
    `now`: seconds since the epoch"""
    if _is_told(owner):
        return None
    ready = false(conditions.READY, REASON, _message(error))
    entries = [_entry(owner, kind, ready, now) for kind in TYPES[key.kind]]
    event = Event("Warning", REASON, bounded(ready.message, conditions.EVENT_MESSAGE_MAX))
    return Plan(status={**owner.status, "conditions": entries}, events=(event,))


def _is_told(owner: Owner) -> bool:
    ready = conditions.find(owner.status, conditions.READY) or {}
    told = (owner.status.get("observedGeneration"), ready.get("observedGeneration"))
    return conditions.is_over(owner.status) or owner.generation in told


def _entry(owner: Owner, kind: str, ready: Condition, now: float) -> Obj:
    """Ready as it is to be; of the others what was said of them before, if anything was."""
    before = conditions.find(owner.status, kind)
    if kind != conditions.READY and before is not None:
        return before
    wanted = ready if kind == conditions.READY else unknown(kind, REASON, "see condition Ready")
    return conditions.write(owner.status, [wanted], generation=owner.generation, now=now)[0]


def _message(error: ApiError) -> str:
    said = bounded(" ".join(str(error).split()), WORDS_MAX)
    asked = f" {error.request}" if error.request else ""
    return (
        f"the API server keeps failing what the operator asks for this object, last{asked}: {said}. It is tried again, "
        "at least every two minutes"
    )
