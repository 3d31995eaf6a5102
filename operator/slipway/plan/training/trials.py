"""What the API server is asked about a gang's pods, before they are made and when some of them do not come.

The PyTorchJob is taken whatever its pods are, and the words of a refusal end up in its events. So a pod of the gang is
tried before the gang is made; the whole gang cannot be (a dry run uses up no quota), so a pod that does not come is
tried again: then the quota is used by its peers, and the answer says so.

Jobs of one shape share an answer: what is tried bears nobody's name, uid or attempt.
"""

from dataclasses import replace

from ..conditions import Finding
from ..observed import Obj, Verdict
from ..pod.template import rejection, trial
from .lost import pod_names
from .pods import pod_template
from .situation import CONTAINER, Situation

ANYONE, ANY_UID = "trial", "00000000-0000-0000-0000-000000000000"
BEYOND_QUOTA = "exceeded quota"  # in Kubernetes' words (plugin/pkg/admission/resourcequota)
PATIENCE_SECONDS = 3.0  # after the gang was made, before it is asked why a pod does not come


def of_gang(situation: Situation, *, rank_0: bool) -> tuple[str, Obj]:
    """What is to be tried for rank 0's pod, or for any other, as `Plan.templates` wants it."""
    known = f"trial, rank 0 {rank_0}"
    if known not in situation.derived:
        # PyTorchJob's pods never restart; the backend writes that into them.
        template = _nobodys(situation, rank_0=rank_0)
        whole = {**template, "spec": {**template["spec"], "restartPolicy": "Never"}}
        situation.derived[known] = trial(situation.observed.owner.namespace, whole)
    asked: tuple[str, Obj] = situation.derived[known]
    return asked


def objection(situation: Situation, *, rank_0: bool) -> Finding | None:
    """The API server's, if it was asked and has one."""
    digest, _ = of_gang(situation, rank_0=rank_0)
    user = situation.spec.pod_template
    return rejection(
        situation.observed.verdicts.get(digest, Verdict()),
        user=user.model_dump() if user else {},
        template=_nobodys(situation, rank_0=rank_0),
        main=CONTAINER,
    )


def of_missing(situation: Situation) -> tuple[str, Obj] | None:
    """What is to be tried because a pod of the gang does not come; None while there is no such pod, or patience."""
    if not is_late(situation):
        return None
    return of_gang(situation, rank_0=_rank_0_is_missing(situation))


def refused_missing(situation: Situation) -> Finding | None:
    """Why the pod that does not come is not made, if it is the API server that will not have it."""
    return objection(situation, rank_0=_rank_0_is_missing(situation)) if is_late(situation) else None


def is_beyond_quota(situation: Situation) -> bool:
    """Whether the pod that does not come is one for which a quota has no room."""
    refusal = refused_missing(situation)
    return refusal is not None and BEYOND_QUOTA in refusal.message


def is_late(situation: Situation) -> bool:
    """Whether pods of a gang that was made a while ago are not there."""
    return some_missing(situation) and _age_seconds(situation) >= PATIENCE_SECONDS


def some_missing(situation: Situation) -> bool:
    """Whether pods of the gang are still to be made: none is missing of one that ran, or that is held back."""
    if situation.gang is None or situation.has_run or situation.held:
        return False
    return len(situation.pods) < situation.spec.nodes


def wait_seconds(situation: Situation) -> float | None:
    """How long until a pod that is still to be made is late; None when there is none, or it is late already. (That the
    refusal of one that is late has ended, the pod's own event tells.)"""
    left = PATIENCE_SECONDS - _age_seconds(situation)
    return left if left > 0 and some_missing(situation) else None


def _age_seconds(situation: Situation) -> float:
    return situation.now - situation.released_at


def _rank_0_is_missing(situation: Situation) -> bool:
    return pod_names(situation)[0] not in {pod.name for pod in situation.pods}


def _nobodys(situation: Situation, *, rank_0: bool) -> Obj:
    known = f"nobody's, rank 0 {rank_0}"
    if known not in situation.derived:
        observed = situation.observed
        anyone = replace(observed, owner=replace(observed.owner, name=ANYONE, uid=ANY_UID))
        bare = replace(situation, observed=anyone, attempt=0, derived={})
        situation.derived[known] = pod_template(bare, rank_0=rank_0)
    template: Obj = situation.derived[known]
    return template
