"""Whether a job can be started as it is written: ordered checks, the first complaint of which is the condition.

`CHECKS` look at what the user gave; nothing is made while one of them complains. `refusal` is what the API server
answered to what was made: it is asked again until it says yes. All of them run again before every attempt, and none
while a gang is there: what runs was accepted.
"""

from collections.abc import Callable

from .. import conditions
from ..capacity.refusal import misfit
from ..conditions import Finding
from ..observed import NO_SUCH_KIND, Ref
from ..pod import policy
from ..pod.template import INVALID, steady
from ..volumes import unusable
from . import claims, cleanup, inputs, rules, trials, unseen
from .pods import RESERVED
from .situation import Situation

INVALID_SPEC = "InvalidSpec"
DOES_NOT_FIT = "DoesNotFit"
BACKEND_UNAVAILABLE = "BackendUnavailable"
REFUSED = "Refused"

# What the API server says of a claim that was kept from an earlier job, when this one asks for another size or class.
KEPT_CLAIM_DIFFERS = (
    "spec is immutable after creation",
    "field can not be less than",
    "only dynamically provisioned pvc can be resized",
)
DEAF_BACKEND = ("failed calling webhook", "no endpoints available for service")


def _one_program(situation: Situation) -> Finding | None:
    if (situation.spec.recipe is None) != (situation.spec.command is None):
        return None
    return Finding(INVALID_SPEC, "spec: exactly one of recipe and command must be set")


def _recipe_has_data(situation: Situation) -> Finding | None:
    spec = situation.spec
    if spec.recipe is None or (spec.dataset and spec.training):
        return None
    return Finding(INVALID_SPEC, f"spec: recipe {spec.recipe} needs dataset and training")


def _patterns_are_some(situation: Situation) -> Finding | None:
    """The API server has asked its own RE2; one of another age may know more than ours."""
    spec = situation.spec
    cleaning = spec.dataset.cleaning if spec.dataset else None
    scrubbed = (f"spec.dataset.cleaning.{each}" for each in (cleaning.wrong_patterns() if cleaning else ()))
    wrong = "; ".join((*rules.wrong_patterns(spec.failure_policy), *scrubbed))
    return Finding(INVALID_SPEC, wrong) if wrong else None


def _base_model(situation: Situation) -> Finding | None:
    spec = situation.spec
    if (spec.base_model is not None) == (spec.recipe not in (None, "pretrain")):
        return None
    return Finding(INVALID_SPEC, "spec.baseModel: it belongs to recipes sft, lora and qlora, and they need it")


def _addresses(situation: Situation) -> Finding | None:
    for each in inputs.inputs(situation.spec):
        try:
            assert each.claim is None or each.claim.claim
        except ValueError as error:
            return Finding(INVALID_SPEC, f"{each.field}: {error}")
    return None


def _fits(situation: Situation) -> Finding | None:
    """Before the first attempt only: a job that was let run once is not stopped by another version's arithmetic."""
    if situation.spec.recipe is None or situation.attempt > 0:
        return None
    complaint = misfit(situation.spec)
    return Finding(DOES_NOT_FIT, complaint) if complaint else None


def _inputs_usable(situation: Situation) -> Finding | None:
    read = situation.observed.read
    found = (unusable(ref.name, read[ref], field=each.field) for each, ref in inputs.refs(situation))
    return next((finding for finding in found if finding), None)


def _inputs_shared(situation: Situation) -> Finding | None:
    if situation.spec.nodes == 1:
        return None
    for each, ref in inputs.refs(situation):
        if inputs.access(situation, ref) not in ("many", "node"):
            message = f"{each.field}: PersistentVolumeClaim {ref.name!r} can be read by one pod only, and nodes is "
            return Finding(
                "ClaimNotShared", f"{message}{situation.spec.nodes}: use ReadWriteOnce, ReadOnlyMany or ReadWriteMany"
            )
    return None


def _output_usable(situation: Situation) -> Finding | None:
    if claims.is_own(situation.spec):
        return None
    ref = claims.output_ref(situation)
    return unusable(ref.name, situation.observed.read[ref], field="spec.output.claim")


def _output_writable(situation: Situation) -> Finding | None:
    if claims.output_access(situation) != "none":
        return None
    name = claims.output_ref(situation).name
    message = (
        f"spec.output.claim: PersistentVolumeClaim {name!r} is read-only: use one with ReadWriteOnce or ReadWriteMany"
    )
    return Finding("ClaimReadOnly", message)


def _output_shared(situation: Situation) -> Finding | None:
    """Where every process writes its shard of a checkpoint. One pod's processes share what that pod mounts."""
    spec = situation.spec
    if spec.nodes == 1 or spec.checkpoint is None or spec.checkpoint.layout == "Full":
        return None
    if claims.output_access(situation) == "many":
        return None
    name = claims.output_ref(situation).name
    message = (
        f"spec.output.claim: PersistentVolumeClaim {name!r} can be written by one pod only, and with checkpoint.layout "
        f"Sharded all {spec.nodes} write: use one with ReadWriteMany, or layout Full"
    )
    return Finding("ClaimNotShared", message)


def _own_claim_free(situation: Situation) -> Finding | None:
    ref = claims.output_ref(situation)
    claim = situation.observed.read.get(ref)
    if not claims.is_own(situation.spec) or claim is None or claims.belongs(situation.observed.owner, claim):
        return None
    message = (
        f"PersistentVolumeClaim {ref.name!r} exists and is not Slipway's: name it as spec.output.claim, or delete it"
    )
    return Finding("ClaimConflict", message)


def _own_claim_stays(situation: Situation) -> Finding | None:
    if not claims.is_own(situation.spec) or not claims.own_is_going(situation):
        return None
    name = claims.output_ref(situation).name
    message = f"PersistentVolumeClaim {name!r} of an earlier job is being deleted: the job starts when it is gone"
    return Finding("ClaimTerminating", message)


def _own_claim_may_go(situation: Situation) -> Finding | None:
    """Before the first attempt only: a claim from which a user takes the owner later is kept, and the job goes on."""
    output = situation.spec.output
    if output.when_deleted != "Delete" or situation.attempt > 0 or not claims.is_nobodys(situation):
        return None
    name = claims.output_ref(situation).name
    message = (
        f"spec.output.whenDeleted: PersistentVolumeClaim {name!r} was kept from an earlier job, whose output Delete "
        "would remove with this one: leave whenDeleted at Retain, rename the job, or delete the claim"
    )
    return Finding("ClaimKept", message)


def _gang_name_free(situation: Situation) -> Finding | None:
    refs = (situation.gang_ref, *cleanup.gangs_of_pods(situation))
    found = next((ref.name for ref in refs if unseen.is_anothers(situation.observed, ref)), None)
    if found is None:
        return None
    return Finding("GangConflict", f"PyTorchJob {found!r} exists and is not this job's: delete it, or rename the job")


def _template_policy(situation: Situation) -> Finding | None:
    user = situation.spec.pod_template
    found = policy.violations(user.model_dump(), RESERVED) if user else []
    if not found:
        return None
    return Finding(INVALID, "; ".join(f"{violation.path}: {violation.message}" for violation in found))


def _template_verdict(situation: Situation) -> Finding | None:
    before = conditions.find(situation.observed.owner.status, conditions.ACCEPTED)
    return steady(trials.objection(situation, rank_0=True), before)


CHECKS: tuple[Callable[[Situation], Finding | None], ...] = (
    _one_program,
    _recipe_has_data,
    _patterns_are_some,
    _base_model,
    _addresses,
    _fits,
    _inputs_usable,
    _inputs_shared,
    _output_usable,
    _output_writable,
    _output_shared,
    _own_claim_free,
    _own_claim_stays,
    _own_claim_may_go,
    _gang_name_free,
    _template_policy,
    _template_verdict,
)
BEFORE_READING = CHECKS[: CHECKS.index(_inputs_usable)]


def complaint(situation: Situation) -> Finding | None:
    """The first complaint of `CHECKS`. Everything that `to_read` names has been read."""
    if "complaint" not in situation.derived:
        situation.derived["complaint"] = _first(situation, CHECKS)
    found: Finding | None = situation.derived["complaint"]
    return found


def early_complaint(situation: Situation) -> Finding | None:
    """The first complaint that needs nothing to be read."""
    return _first(situation, BEFORE_READING)


def _first(situation: Situation, checks: tuple[Callable[[Situation], Finding | None], ...]) -> Finding | None:
    return next((finding for check in checks if (finding := check(situation))), None)


def to_read(situation: Situation) -> tuple[Ref, ...]:
    """What must be read live before a gang is made, less what has been read."""
    output = () if claims.is_own(situation.spec) and claims.seen(situation) else (claims.output_ref(situation),)
    wanted = dict.fromkeys((situation.gang_ref, *output, *(ref for _, ref in inputs.refs(situation))))
    return tuple(ref for ref in wanted if ref not in situation.observed.read)


def refused_claim(situation: Situation) -> Finding | None:
    """What the API server has against the claim that Slipway would make."""
    ref = claims.output_ref(situation)
    answer = situation.observed.refused.get(ref)
    if not answer or not claims.is_own(situation.spec):
        return None
    if any(sign in answer for sign in KEPT_CLAIM_DIFFERS):
        return Finding("ClaimDiffers", _differs(ref.name, situation))
    return Finding("ClaimRefused", f"the API server refuses PersistentVolumeClaim {ref.name!r}: {answer}")


def _differs(name: str, situation: Situation) -> str:
    """The API server's own words are a difference of two Go structures."""
    output = situation.spec.output
    asked = f"size {output.size or claims.DEFAULT_SIZE}"
    asked += f", storageClassName {output.storage_class_name}" if output.storage_class_name is not None else ""
    return (
        f"spec.output: PersistentVolumeClaim {name!r} is there from before and cannot become what this job asks for "
        f"({asked}): a claim never shrinks nor changes its class, and grows only once it is bound, if its class "
        f"allows it. Ask for what it has (kubectl get pvc {name}), name it as spec.output.claim, or delete it"
    )


def refused_gang(situation: Situation) -> Finding | None:
    """What the API server has against the PyTorchJob; an absent or silent training operator is told apart."""
    answer = situation.observed.refused.get(situation.gang_ref, "")
    if answer == NO_SUCH_KIND:
        message = "the cluster has no pytorchjobs.kubeflow.org: install the training operator"
        return Finding(BACKEND_UNAVAILABLE, message)
    if any(sign in answer for sign in DEAF_BACKEND):
        return Finding(BACKEND_UNAVAILABLE, f"the training operator does not answer: {answer}")
    if answer:
        return Finding(REFUSED, f"the API server refuses PyTorchJob {situation.gang_ref.name!r}: {answer}")
    return None
