"""Where the model lies: from spec.model to a claim and a directory in it, or the reason why there is none yet.

A TrainingJob is read live, because the index need not hold it, and its claim likewise, because a claim that Slipway did
not make is not watched. What no watch will announce is looked at again every few seconds.
"""

from dataclasses import dataclass

from ...api.common import API_VERSION
from ...api.inferenceservice import InferenceServiceSpec
from ...api.trainingjob import KIND, PLURAL
from ..conditions import COMPLETE, FAILED, READY, Finding, find, is_true
from ..observed import Obj, Observed, Ref
from ..volumes import Access, ClaimPath, claim_ref, modes, parse_pvc, readers, unusable

FROM_FIELD = "spec.model.from.trainingJob"
URI_FIELD = "spec.model.uri"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that can be mounted. `directory` is the path in the claim; `access` says where its pods may run.

    `read_only_volume`: the claim allows no writer at all, and some drivers want to be told so.
    """

    claim: str
    directory: str
    access: Access
    read_only_volume: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """No model to serve yet: either `reads` are to be answered first, or `finding` says why.

    `watched`: a watch will announce the change that is waited for.
    """

    finding: Finding | None = None
    reads: tuple[Ref, ...] = ()
    watched: bool = False


def resolve(spec: InferenceServiceSpec, observed: Observed) -> Model | Missing:
    """The model of an accepted `spec`."""
    located = _from_job(spec, observed) if spec.model.source else _from_uri(spec)
    if isinstance(located, Missing):
        return located
    field = FROM_FIELD if spec.model.source else URI_FIELD
    ref = claim_ref(observed.owner.namespace, located.claim)
    if ref not in observed.read:
        return Missing(reads=(ref,))
    return _in_claim(spec, located, observed.read[ref], field)


def parse_uri(uri: str) -> ClaimPath:
    """The claim and directory of `spec.model.uri`. Raises ValueError, whose message is for the user."""
    return parse_pvc(uri)


def _from_uri(spec: InferenceServiceSpec) -> ClaimPath:
    return parse_uri(spec.model.uri or "")


def _from_job(spec: InferenceServiceSpec, observed: Observed) -> ClaimPath | Missing:
    name = spec.model.source.training_job if spec.model.source else ""
    ref = Ref(API_VERSION, KIND, f"{PLURAL}.{API_VERSION.partition('/')[0]}", observed.owner.namespace, name)
    if ref not in observed.read:
        return Missing(reads=(ref,))
    job = observed.read[ref]
    if job is None:
        message = f"{FROM_FIELD}: the namespace has no TrainingJob {name!r}: create it, or name another"
        return Missing(Finding("TrainingJobNotFound", message))
    return _output(name, job.get("status") or {})


def _output(name: str, status: Obj) -> ClaimPath | Missing:
    if not is_true(status, COMPLETE):
        return Missing(_unfinished(name, status), watched=True)
    output = status.get("output")
    if not output:
        message = (
            f"{FROM_FIELD}: TrainingJob {name!r} is Complete but reports no output: serve its claim with model.uri"
        )
        return Missing(Finding("TrainingJobHasNoOutput", message), watched=True)
    return parse_pvc(f"pvc://{output['claim']}/{output['path']}")


def _unfinished(name: str, status: Obj) -> Finding:
    failed = find(status, FAILED) or {}
    if failed.get("status") == "True":
        message = f"TrainingJob {name!r} failed ({failed.get('reason')}): {failed.get('message')}"
        return Finding("TrainingJobFailed", f"{FROM_FIELD}: {message}")
    reason = (find(status, READY) or {}).get("reason", "not looked at yet")
    return Finding("WaitingForTrainingJob", f"waiting for TrainingJob {name!r} to complete; it says: {reason}")


def _in_claim(spec: InferenceServiceSpec, located: ClaimPath, claim: Obj | None, field: str) -> Model | Missing:
    finding = unusable(located.claim, claim, field=field)
    if claim is None or finding is not None:
        return Missing(finding)
    access = readers(claim)
    most = spec.scaling.max_replicas if spec.scaling else spec.replicas
    if access == "pod" and most > 1:
        return Missing(_one_pod_only(spec, located.claim, most))
    return Model(located.claim, located.path, access, read_only_volume=modes(claim) == {"ReadOnlyMany"})


def _one_pod_only(spec: InferenceServiceSpec, claim: str, most: int) -> Finding:
    field = "spec.scaling.maxReplicas" if spec.scaling else "spec.replicas"
    return Finding(
        "ClaimAllowsOnePod",
        f"{field} is {most}, but PersistentVolumeClaim {claim!r} is ReadWriteOncePod, which one pod can mount: "
        f"set {field} to 1, or use a claim with another access mode",
    )
