"""Where the model lies: from spec.model to a claim and a directory in it, or the reason why there is none yet.

A TrainingJob is read live, because the index need not hold it, and its claim likewise, because a claim that Slipway did
not make is not watched. What no watch will announce is looked at again every few seconds.

A model that is served already (served.py) is not lost with its source. Without the job it is served on from its claim;
without the claim its pods run on, though none can start. A job that was made anew under the same name takes over when
it is Complete, as spec.model asks for its model by that name; until then the one before is served on.
"""

from dataclasses import dataclass

from ...api.common import API_VERSION
from ...api.inferenceservice import InferenceServiceSpec
from ...api.trainingjob import KIND, PLURAL
from ..conditions import COMPLETE, FAILED, READY, Finding, find, is_true
from ..observed import Obj, Observed, Ref
from ..volumes import Access, ClaimPath, claim_ref, modes, parse_pvc, readers, unusable
from .served import Served, address, recorded

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
class Found:
    """A model that can be rendered, and what the status is to record of it.

    `source_lost`: the job that wrote it is no longer to be asked; replicas start all the same.
    `claim_lost`: the claim cannot be mounted any more; what runs goes on, and nothing new can start.
    """

    model: Model
    served: Served
    source_lost: Finding | None = None
    claim_lost: Finding | None = None


@dataclass(frozen=True, slots=True)
class Missing:
    """No model to serve yet: either `reads` are to be answered first, or `finding` says why.

    `watched`: a watch will announce the change that is waited for.
    """

    finding: Finding | None = None
    reads: tuple[Ref, ...] = ()
    watched: bool = False


@dataclass(frozen=True, slots=True)
class _Located:
    """The place that spec.model comes to; `field` is its path in the spec."""

    at: ClaimPath
    field: str
    job: str = ""
    job_uid: str = ""
    source_lost: Finding | None = None


def resolve(spec: InferenceServiceSpec, observed: Observed) -> Found | Missing:
    """The model of an accepted `spec`."""
    served = recorded(observed.owner.status)
    located = _from_job(spec.model.source.training_job, observed, served) if spec.model.source else _from_uri(spec)
    if isinstance(located, Missing):
        return located
    ref = claim_ref(observed.owner.namespace, located.at.claim)
    if ref not in observed.read:
        return Missing(reads=(ref,))
    return _in_claim(spec, located, observed.read[ref], served)


def parse_uri(uri: str) -> ClaimPath:
    """The claim and directory of `spec.model.uri`. Raises ValueError, whose message is for the user."""
    return parse_pvc(uri)


def _from_uri(spec: InferenceServiceSpec) -> _Located:
    return _Located(parse_uri(spec.model.uri or ""), URI_FIELD)


# ------------------------------------------------------------------ the job


def _from_job(name: str, observed: Observed, served: Served | None) -> _Located | Missing:
    ref = Ref(API_VERSION, KIND, f"{PLURAL}.{API_VERSION.partition('/')[0]}", observed.owner.namespace, name)
    if ref not in observed.read:
        return Missing(reads=(ref,))
    job = observed.read[ref]
    uid = _uid(job)
    found = _output(name, job)
    if isinstance(found, ClaimPath):
        return _Located(found, FROM_FIELD, name, uid)
    if found.finding is None or served is None or served.training_job != name:
        return found
    lost = _source_lost(job, served, found.finding)
    return _Located(served.at, FROM_FIELD, name, served.training_job_uid, source_lost=lost)


def _uid(job: Obj | None) -> str:
    uid: str = (job or {}).get("metadata", {}).get("uid", "")
    return uid


def _output(name: str, job: Obj | None) -> ClaimPath | Missing:
    if job is None:
        message = f"{FROM_FIELD}: the namespace has no TrainingJob {name!r}: create it, or name another"
        return Missing(Finding("TrainingJobNotFound", message))
    status = job.get("status") or {}
    if not is_true(status, COMPLETE):
        return Missing(_unfinished(name, status), watched=True)
    output = status.get("output")
    if not output:
        message = (
            f"{FROM_FIELD}: TrainingJob {name!r} is Complete but reports no output: serve its claim with model.uri"
        )
        return Missing(Finding("TrainingJobHasNoOutput", message), watched=True)
    if "path" not in output:
        message = f"{FROM_FIELD}: TrainingJob {name!r} wrote an adapter alone: train it anew with output.merge merged"
        return Missing(Finding("TrainingJobHasNoModel", message), watched=True)
    return parse_pvc(f"pvc://{output['claim']}/{output['path']}")


def _unfinished(name: str, status: Obj) -> Finding:
    failed = find(status, FAILED) or {}
    if failed.get("status") == "True":
        message = f"TrainingJob {name!r} failed ({failed.get('reason')}): {failed.get('message')}"
        return Finding("TrainingJobFailed", f"{FROM_FIELD}: {message}")
    reason = (find(status, READY) or {}).get("reason", "not looked at yet")
    return Finding("WaitingForTrainingJob", f"waiting for TrainingJob {name!r} to complete; it says: {reason}")


def _source_lost(job: Obj | None, served: Served, why: Finding) -> Finding:
    """What a person must know while the record stands in for the job; `why` is what the job itself comes to."""
    name, place = served.training_job, address(served.at)
    keep = f"to keep this model whatever becomes of the job, set {URI_FIELD} to that address"
    if job is None:
        went_on = f"its model is served on from {place}, and new replicas start as long as that claim is there"
        return Finding("SourceDeleted", f"{FROM_FIELD}: TrainingJob {name!r} is gone; {went_on}; {keep}")
    if _uid(job) != served.training_job_uid:
        until = f"the model of the one before is served on from {place}, until the new one is Complete and takes over"
        anew = f"TrainingJob {name!r} was made anew"
        return Finding("SourceReplaced", f"{FROM_FIELD}: {anew}: {why.message}; {until}; {keep}")
    return Finding("SourceUnfinished", f"{why.message}; what it wrote before is served on from {place}; {keep}")


# ------------------------------------------------------------------ the claim


def _in_claim(
    spec: InferenceServiceSpec, located: _Located, claim: Obj | None, served: Served | None
) -> Found | Missing:
    finding = unusable(located.at.claim, claim, field=located.field)
    if claim is not None and finding is None:
        return _mounted(spec, located, claim, claim_lost=None)
    if finding is None or served is None or served.at != located.at:
        return Missing(finding)
    as_it_was: Obj = {"spec": {"accessModes": list(served.access_modes)}}
    lost = Finding(finding.reason, f"{finding.message}; the replicas that run go on serving, but no new one can start")
    return _mounted(spec, located, as_it_was, claim_lost=lost)


def _mounted(
    spec: InferenceServiceSpec, located: _Located, claim: Obj, *, claim_lost: Finding | None
) -> Found | Missing:
    access = readers(claim)
    most = spec.scaling.max_replicas if spec.scaling else spec.replicas
    if access == "pod" and most > 1:
        return Missing(_one_pod_only(spec, located.at.claim, most))
    allowed = modes(claim)
    model = Model(located.at.claim, located.at.path, access, read_only_volume=allowed == {"ReadOnlyMany"})
    served = Served(located.at, tuple(sorted(allowed)), located.job, located.job_uid)
    return Found(model, served, located.source_lost, claim_lost)


def _one_pod_only(spec: InferenceServiceSpec, claim: str, most: int) -> Finding:
    field = "spec.scaling.maxReplicas" if spec.scaling else "spec.replicas"
    return Finding(
        "ClaimAllowsOnePod",
        f"{field} is {most}, but PersistentVolumeClaim {claim!r} is ReadWriteOncePod, which one pod can mount: "
        f"set {field} to 1, or use a claim with another access mode",
    )
