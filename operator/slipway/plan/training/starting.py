"""From no gang to the gang: what is left of others goes first, then comes the pause after a failure, then the checks of
what the user asked for, then the claim, and when that is there, the gang.
"""

from dataclasses import replace

from .. import conditions
from ..conditions import Finding, false
from ..observed import Obj
from ..pod import template as podtemplate
from . import accepted, backoff, claims, cleanup, deadnode, running, suspension
from .gang import pytorchjob
from .situation import Situation
from .step import Step


def start(situation: Situation) -> Step:
    """What is done about a gang that is not there: remove, wait, refuse, or make."""
    if early := accepted.early_complaint(situation):
        return _refuse(early)
    if leftovers := cleanup.leftovers(situation):
        return Step(
            running=running.clearing(situation, leftovers),
            delete=cleanup.stale(situation),
            wait_seconds=deadnode.look_again_seconds(situation),
            look_again=situation.is_unseen,
        )
    if left := pause_seconds(situation):
        return Step(running=running.pausing(situation), wait_seconds=left)
    complaint = accepted.complaint(situation)
    if suspension.asked(situation) and (complaint is None or complaint.reason == podtemplate.REFUSED):
        return Step(running=suspension.stopped())  # what others leave of a quota is no matter until it goes on
    return _refuse(complaint) if complaint else _make(situation)


def pause_seconds(situation: Situation) -> float:
    """Until the gang may be made, after a failure; nobody waits for that while nothing is to be made."""
    return 0.0 if suspension.asked(situation) else backoff.left_seconds(situation)


def _refuse(complaint: Finding) -> Step:
    immutable = complaint.reason in (accepted.INVALID_SPEC, accepted.DOES_NOT_FIT, podtemplate.INVALID)
    return Step(
        accepted=false(conditions.ACCEPTED, complaint.reason, complaint.message),
        running=running.NOT_ACCEPTED,
        look_again=not immutable,
    )


def _make(situation: Situation) -> Step:
    """The claim, and once it is there the gang. What the API server refused is asked for again."""
    claim, gang = accepted.refused_claim(situation), accepted.refused_gang(situation)
    there = claims.exists(situation) and claim is None
    refusal = podtemplate.steady(claim or gang, conditions.find(situation.observed.owner.status, conditions.ACCEPTED))
    step = _refuse(refusal) if refusal else Step(running=running.making(situation, claim_exists=there))
    return replace(step, apply=own_claim(situation), create=(pytorchjob(situation),) if there else ())


def own_claim(situation: Situation) -> tuple[Obj, ...]:
    """The claim that Slipway makes, for a job that names none; nothing where somebody else has it."""
    own = claims.is_own(situation.spec) and not claims.is_taken(situation)
    return (claims.own_claim(situation),) if own else ()
