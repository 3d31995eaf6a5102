"""Where the model lies: from spec.model to a claim and a directory in it, or the reason why there is none yet.

A TrainingJob is read live, because the index need not hold it, and its claim likewise, because a claim that Slipway did
not make is not watched. What no watch will announce is looked at again every few seconds.

What a lora or qlora job wrote without merging is served on the model that it was trained for, from that model's claim.

A model that is served already (served.py) is not lost with its source. Without the job it is served on from its claim;
without the claim its pods run on, though none can start. A job that was made anew under the same name takes over when
it is Complete, as spec.model asks for its model by that name; until then the one before is served on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ...api.common import API_VERSION
from ...api.inferenceservice import InferenceServiceSpec
from ...api.trainingjob import KIND, PLURAL
from ..conditions import COMPLETE, FAILED, READY, Finding, find, is_true
from ..observed import Obj, Observed, Ref
from ..volumes import ClaimPath, claim_ref, modes, parse_pvc, unusable
from .served import Adapter, Served, described, recorded

FROM_FIELD = "spec.model.from.trainingJob"
URI_FIELD = "spec.model.uri"

ADAPTER_RANK_MAX = 512  # of vLLM's --max-lora-rank


@dataclass(frozen=True, slots=True)
class Found:
    """A model that can be rendered, as the status is to record it.

    `source_lost`: the job that wrote it is no longer to be asked; replicas start all the same.
    `claim_lost`: the claim cannot be mounted any more; what runs goes on, and nothing new can start.
    """

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
    """What spec.model comes to: where the model is, and then, if there is one, an adapter of `rank` on it. `field` is
    its path in the spec."""

    places: tuple[ClaimPath, ...]
    field: str
    job: str = ""
    job_uid: str = ""
    rank: int = 0
    source_lost: Finding | None = None


def resolve(spec: InferenceServiceSpec, observed: Observed) -> Found | Missing:
    """The model of an accepted `spec`."""
    served = recorded(observed.owner.status)
    located = _from_job(spec.model.source.training_job, observed, served) if spec.model.source else _from_uri(spec)
    if isinstance(located, Missing):
        return located
    refs = [claim_ref(observed.owner.namespace, place.claim) for place in located.places]
    if unread := tuple(ref for ref in dict.fromkeys(refs) if ref not in observed.read):
        return Missing(reads=unread)
    return _in_claims(spec, located, [observed.read[ref] for ref in refs], served)


def parse_uri(uri: str) -> ClaimPath:
    """The claim and directory of `spec.model.uri`. Raises ValueError, whose message is for the user."""
    return parse_pvc(uri)


def _from_uri(spec: InferenceServiceSpec) -> _Located:
    return _Located((parse_uri(spec.model.uri or ""),), URI_FIELD)


# ------------------------------------------------------------------ the job


def _from_job(name: str, observed: Observed, served: Served | None) -> _Located | Missing:
    ref = Ref(API_VERSION, KIND, f"{PLURAL}.{API_VERSION.partition('/')[0]}", observed.owner.namespace, name)
    if ref not in observed.read:
        return Missing(reads=(ref,))
    job = observed.read[ref]
    found = _output(name, job)
    if isinstance(found, _Located) or found.finding is None or served is None or served.training_job != name:
        return found
    places, rank = tuple(place.at for place in served.places), served.adapter.rank if served.adapter else 0
    lost = _source_lost(job, served, found.finding)
    return _Located(places, FROM_FIELD, name, served.training_job_uid, rank, lost)


def _uid(job: Obj | None) -> str:
    uid: str = (job or {}).get("metadata", {}).get("uid", "")
    return uid


def _output(name: str, job: Obj | None) -> _Located | Missing:
    """What the job wrote."""
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
        return _adapter(name, job, output)
    return _Located((parse_pvc(f"pvc://{output['claim']}/{output['path']}"),), FROM_FIELD, name, _uid(job))


def _adapter(name: str, job: Obj, output: Obj) -> _Located | Missing:
    """What can be served of an adapter alone: its base must be on a claim, and its rank one that the engine takes."""
    base, rank = output.get("baseUri", ""), output.get("adapterRank", 0)
    if base.startswith("pvc://") and 0 < rank <= ADAPTER_RANK_MAX:
        adapter = parse_pvc(f"pvc://{output['claim']}/{output['adapterPath']}")
        return _Located((parse_pvc(base), adapter), FROM_FIELD, name, _uid(job), rank)
    why = (
        f"of rank {rank}, and the engine takes {ADAPTER_RANK_MAX} at most"
        if rank > ADAPTER_RANK_MAX
        else f"for the model {base or 'of its image'}, which is on no claim that a replica could mount"
    )
    wrote = f"TrainingJob {name!r} wrote an adapter alone, {why}"
    message = f"{FROM_FIELD}: {wrote}: train it anew with output.merge merged"
    return Missing(Finding("TrainingJobHasNoModel", message), watched=True)


def _unfinished(name: str, status: Obj) -> Finding:
    failed = find(status, FAILED) or {}
    if failed.get("status") == "True":
        message = f"TrainingJob {name!r} failed ({failed.get('reason')}): {failed.get('message')}"
        return Finding("TrainingJobFailed", f"{FROM_FIELD}: {message}")
    reason = (find(status, READY) or {}).get("reason", "not looked at yet")
    return Finding("WaitingForTrainingJob", f"waiting for TrainingJob {name!r} to complete; it says: {reason}")


def _source_lost(job: Obj | None, served: Served, why: Finding) -> Finding:
    """What a person must know while the record stands in for the job; `why` is what the job itself comes to."""
    name, place = served.training_job, described(served)
    keep = _keep(served)
    if job is None:
        went_on = f"its model is served on from {place}, and new replicas start as long as that claim is there"
        return Finding("SourceDeleted", f"{FROM_FIELD}: TrainingJob {name!r} is gone; {went_on}; {keep}")
    if _uid(job) != served.training_job_uid:
        until = f"the model of the one before is served on from {place}, until the new one is Complete and takes over"
        anew = f"TrainingJob {name!r} was made anew"
        return Finding("SourceReplaced", f"{FROM_FIELD}: {anew}: {why.message}; {until}; {keep}")
    return Finding("SourceUnfinished", f"{why.message}; what it wrote before is served on from {place}; {keep}")


def _keep(served: Served) -> str:
    if served.adapter:
        return "to serve it whatever becomes of the job, train it with output.merge merged, and name that model"
    return f"to keep this model whatever becomes of the job, set {URI_FIELD} to that address"


# ------------------------------------------------------------------ the claims


def _in_claims(
    spec: InferenceServiceSpec, located: _Located, claims: Sequence[Obj | None], served: Served | None
) -> Found | Missing:
    """`claims` are those of `located.places`."""
    findings = [
        unusable(place.claim, claim, field=located.field) for place, claim in zip(located.places, claims, strict=True)
    ]
    finding = next((found for found in findings if found), None)
    if finding is None:
        allowed = [tuple(sorted(modes(claim))) for claim in claims if claim is not None]
        return _mounted(spec, Found(_served(located, allowed), located.source_lost))
    if served is None or tuple(place.at for place in served.places) != located.places:
        return Missing(finding)
    as_they_were = [place.access_modes for place in served.places]
    lost = Finding(finding.reason, f"{finding.message}; the replicas that run go on serving, but no new one can start")
    return _mounted(spec, Found(_served(located, as_they_were), located.source_lost, lost))


def _served(located: _Located, allowed: Sequence[tuple[str, ...]]) -> Served:
    """With the access modes of each place's claim."""
    (at, *adapters), (modes_of_model, *others) = located.places, allowed
    adapter = Adapter(adapters[0], others[0], located.rank) if adapters else None
    return Served(at, modes_of_model, located.job, located.job_uid, adapter)


def _mounted(spec: InferenceServiceSpec, found: Found) -> Found | Missing:
    most, narrowest = spec.scaling.max_replicas if spec.scaling else spec.replicas, found.served.narrowest
    if narrowest.access == "pod" and most > 1:
        return Missing(_one_pod_only(spec, narrowest.at.claim, most))
    return found


def _one_pod_only(spec: InferenceServiceSpec, claim: str, most: int) -> Finding:
    field = "spec.scaling.maxReplicas" if spec.scaling else "spec.replicas"
    return Finding(
        "ClaimAllowsOnePod",
        f"{field} is {most}, but PersistentVolumeClaim {claim!r} is ReadWriteOncePod, which one pod can mount: "
        f"set {field} to 1, or use a claim with another access mode",
    )
