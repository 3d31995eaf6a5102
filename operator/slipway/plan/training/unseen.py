"""PyTorchJobs that no watch tells of, because a user took Slipway's label off them, or not yet: they are known by a
live read, and count as any other.

Who controls a PyTorchJob decides whose it is; the label only says who watches it. Of a gang that nobody looks for the
backend makes pods again as fast as they are deleted, and its end is never noticed.
"""

from .. import labels, names
from ..clock import epoch
from ..observed import Child, Obj, Observed, Pod, Ref
from ..pod.policytypes import mapping

API_VERSION = "kubeflow.org/v1"
KIND = "PyTorchJob"
PLURAL = "pytorchjobs.kubeflow.org"


def ref(namespace: str, name: str) -> Ref:
    return Ref(API_VERSION, KIND, PLURAL, namespace, name)


def gangs(observed: Observed) -> tuple[Child, ...]:
    """The job's own PyTorchJobs that were read and are not among the children."""
    told = {child.ref for child in observed.children}
    read = ((target, body) for target, body in observed.read.items() if target.plural == PLURAL and target not in told)
    return tuple(_child(target, body) for target, body in read if body and owner_uid(body) == observed.owner.uid)


def gang_of(observed: Observed, pod: Pod) -> Ref | None:
    """The PyTorchJob of which a pod of this job says that it is; None for a pod of another."""
    attempt = pod.labels.get(labels.ATTEMPT, "")
    if pod.labels.get(labels.OWNER_UID) != observed.owner.uid or not attempt.isdecimal():
        return None
    return ref(observed.owner.namespace, names.pytorchjob(observed.owner.name, int(attempt)))


def is_anothers(observed: Observed, target: Ref) -> bool:
    """Whether a PyTorchJob was read that is there and is not this job's: what it makes again is not ours to delete."""
    body = observed.read.get(target)
    return body is not None and owner_uid(body) != observed.owner.uid


def owner_uid(body: Obj) -> str:
    """The uid of an object's controller, "" without one."""
    references = mapping(body.get("metadata")).get("ownerReferences") or []
    return next((str(entry.get("uid", "")) for entry in references if entry.get("controller")), "")


def _child(target: Ref, body: Obj) -> Child:
    metadata, policy = mapping(body.get("metadata")), mapping(mapping(body.get("spec")).get("runPolicy"))
    return Child(
        ref=target,
        uid=str(metadata.get("uid", "")),
        resource_version=str(metadata.get("resourceVersion", "")),
        generation=int(metadata.get("generation", 0)),
        labels=dict(mapping(metadata.get("labels"))),
        owner_uid=owner_uid(body),
        deleting=bool(metadata.get("deletionTimestamp")),
        created=epoch(metadata.get("creationTimestamp")) or 0.0,
        status=dict(mapping(body.get("status"))),
        suspended=policy.get("suspend") is True,
    )
