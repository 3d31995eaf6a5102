"""Whether a trained model may be handed on: `output.require`, asked once more by the operator.

The trainer measures, compares, and exits with 3 where the model is not good enough. A trainer that knows nothing of
the field would succeed all the same, so the operator compares the evaluation that rank 0's pod left. Where that pod
is gone, nobody can say more than the trainer did.
"""

from collections.abc import Iterable, Mapping

from ..conditions import Finding
from ..observed import Obj, Pod, Ref
from .failure import Failure
from .lost import known, rank_0_ref
from .situation import Situation, is_rank_0
from .termination import NOT_GOOD_ENOUGH, evaluation, exit_code, rank_exit_code, why_failed

NOT_MET = "RequirementNotMet"


def to_read(situation: Situation) -> tuple[Ref, ...]:
    """Rank 0's pod, where a success is to be compared and the watch has not told what it said."""
    ref = rank_0_ref(situation)
    unknown = situation.spec.output.require is not None and _said(situation, situation.pods) is None
    return (ref,) if unknown and ref not in situation.observed.read else ()


def of_success(situation: Situation) -> Finding | None:
    """Why a gang that succeeded hands on nothing. Everything that `to_read` names has been read."""
    require = situation.spec.output.require
    said = _said(situation, known(situation))
    unmet = require.unmet(said) if require is not None and said is not None else []
    return Finding(NOT_MET, f"spec.output.require: {'; '.join(unmet)}") if unmet else None


def of_failure(situation: Situation) -> Failure | None:
    """The trainer's own verdict, by its exit code."""
    if situation.spec.output.require is None:
        return None
    pods = [pod for pod in known(situation) if not pod.deleting and exit_code(pod) == NOT_GOOD_ENOUGH]
    return Failure(NOT_MET, why_failed(pods[0]), rank_exit_code(pods[0]), pods[0].node) if pods else None


def _said(situation: Situation, pods: Iterable[Pod]) -> Mapping[str, object] | None:
    """What rank 0's pod said at its end, {} where it measured nothing, or no finite number; None while that is not
    known."""
    ended: list[Obj] = [
        evaluation(pod) or {} for pod in pods if is_rank_0(situation, pod) and exit_code(pod) is not None
    ]
    return ended[0] if ended else None
