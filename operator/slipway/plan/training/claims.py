"""The claim of a job's output, made by Slipway or named by the user. What a job reads is in inputs.py."""

from ...api.common import API_VERSION
from ...api.trainingjob import KIND, TrainingJobSpec
from .. import labels, names
from ..observed import Child, Obj, Owner, Ref
from ..volumes import Access, claim_ref, writers
from .situation import Situation
from .unseen import owner_uid

DEFAULT_SIZE = "10Gi"


def output_ref(situation: Situation) -> Ref:
    owner = situation.observed.owner
    return claim_ref(owner.namespace, situation.spec.output.claim or names.output_claim(owner.name))


def is_own(spec: TrainingJobSpec) -> bool:
    """Whether Slipway makes the output's claim."""
    return spec.output.claim is None


def seen(situation: Situation) -> Child | None:
    """The output's claim, if it is one of Slipway's and in the index."""
    wanted = output_ref(situation)
    return next((child for child in situation.observed.children if child.ref == wanted), None)


def is_going(situation: Situation) -> bool:
    """Whether the output's claim is being deleted, which Kubernetes does when no pod of the job is left."""
    if not is_own(situation.spec):
        ref = output_ref(situation)
        return ref in situation.observed.read and _is_lost(situation.observed.read[ref])
    claim = seen(situation)
    return claim is not None and claim.deleting


def to_watch(situation: Situation) -> tuple[Ref, ...]:
    """The output's claim where no watch tells of it, less what has been read: the user's own, or one of Slipway's that
    is gone or has lost its label."""
    ref, told = output_ref(situation), is_own(situation.spec) and seen(situation) is not None
    return () if told or ref in situation.observed.read else (ref,)


def _is_lost(claim: Obj | None) -> bool:
    return claim is None or bool(claim.get("metadata", {}).get("deletionTimestamp"))


def belongs(owner: Owner, claim: Obj) -> bool:
    """Whether Slipway made this claim for a job of this name; one that was kept from an earlier job is taken up."""
    found = claim.get("metadata", {}).get("labels") or {}
    return found.get(labels.MANAGED_BY) == labels.MANAGER and found.get(labels.TRAINING_JOB) == owner.name


def is_taken(situation: Situation) -> bool:
    """Whether the claim of Slipway's own name is somebody else's: a user made it, or took labels and owner off it to
    keep it. It is left alone, whatever the job needs."""
    if not is_own(situation.spec) or seen(situation):
        return False
    owner, claim = situation.observed.owner, situation.observed.read.get(output_ref(situation))
    return claim is not None and not belongs(owner, claim) and owner_uid(claim) != owner.uid


def exists(situation: Situation) -> bool:
    """Whether the output's claim is there, as far as is known. Its own is not there while it is being deleted."""
    if is_own(situation.spec) and (child := seen(situation)):
        return not child.deleting
    claim = situation.observed.read.get(output_ref(situation))
    return claim is not None and not (is_own(situation.spec) and is_deleted(claim))


def own_is_going(situation: Situation) -> bool:
    """Whether the output's claim, of Slipway's own, is being deleted: as the index says, or a live read."""
    if child := seen(situation):
        return child.deleting
    claim = situation.observed.read.get(output_ref(situation))
    return claim is not None and is_deleted(claim)


def is_deleted(claim: Obj) -> bool:
    """Whether a claim that was read is on its way out."""
    return bool(claim.get("metadata", {}).get("deletionTimestamp"))


def output_access(situation: Situation) -> Access:
    """Which pods can write the output: Slipway's own claims are ReadWriteOnce."""
    claim = situation.observed.read.get(output_ref(situation))
    return "node" if is_own(situation.spec) or claim is None else writers(claim)


def is_nobodys(situation: Situation) -> bool:
    """Whether the output's claim, of Slipway's own, is there and would go with no job: it was kept from an earlier one,
    or a user took its owner off."""
    if child := seen(situation):
        return not child.owner_uid
    claim = situation.observed.read.get(output_ref(situation))
    return claim is not None and not owner_uid(claim)


def own_claim(situation: Situation) -> Obj:
    """The claim that Slipway makes. Only with whenDeleted Delete does the job own it, so that it goes with the job.

    One that is there without an owner gets none: what an earlier job was to leave must not go with this one.
    """
    owner, output = situation.observed.owner, situation.spec.output
    metadata: Obj = {
        "name": names.output_claim(owner.name),
        "namespace": owner.namespace,
        "labels": {labels.MANAGED_BY: labels.MANAGER, labels.TRAINING_JOB: owner.name},
    }
    if output.when_deleted == "Delete" and not is_nobodys(situation):
        metadata["ownerReferences"] = [owner_reference(owner)]
    spec: Obj = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": output.size or DEFAULT_SIZE}},
    }
    if output.storage_class_name is not None:
        spec["storageClassName"] = output.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def owner_reference(owner: Owner) -> Obj:
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
