"""What is deleted: what belongs to no attempt that should run, and what of an ended one still burns its accelerators.

A PyTorchJob goes before its pods, or the backend would make them again. Pods that are left without one are deleted by
Slipway, since whoever deleted it may have asked for its pods to be kept. The loop deletes by uid after a live read.
"""

from collections.abc import Iterable

from .. import conditions
from ..observed import Pod, Ref
from ..outcome import Delete
from . import requirement
from .ended import End
from .situation import Situation

ACTIVE = frozenset({"Pending", "Running"})


def leftovers(situation: Situation) -> tuple[str, ...]:
    """Names of what must be gone before a gang may be made: everything of others, and pods without their gang."""
    gangs = (f"PyTorchJob {gang.ref.name}" for gang in situation.stale_gangs)
    return (*gangs, *(f"pod {pod.name}" for pod in left_pods(situation)))


def left_pods(situation: Situation) -> tuple[Pod, ...]:
    """The pods among `leftovers`."""
    return (*situation.stale_pods, *_orphans(situation))


def stale(situation: Situation) -> tuple[Delete, ...]:
    """Delete what `leftovers` names, less what is already being deleted."""
    if situation.stale_gangs:
        return tuple(Delete(gang.ref, gang.uid) for gang in situation.stale_gangs if not gang.deleting)
    return _pods(left_pods(situation))


def after_the_end(situation: Situation, end: End) -> tuple[Delete, ...]:
    """Of a job that is over: what is left of other attempts, and what still burns. What has ended with the job stays,
    for its logs, though its gang may be gone."""
    if situation.stale_gangs:
        return (*stale(situation), *burning(situation, end))
    left = [pod for pod in _orphans(situation) if pod.phase in ACTIVE]
    return (*_pods(situation.stale_pods), *_pods(left, unless_ended=True), *burning(situation, end))


def burning(situation: Situation, end: End) -> tuple[Delete, ...]:
    """Of a job that is over: pods that still run. What has ended stays, for its logs.

    While the backend has not noticed the end, it would make deleted pods again. It will notice where rank 0 ended by
    itself, with a model that is not good enough too, and where a pod failed; else only the gang itself can be deleted.
    """
    gang = situation.gang
    if gang is None:
        return ()
    if any(conditions.is_true(gang.status, kind) for kind in ("Succeeded", "Failed")):
        # The backend's verdict may be told before the pods' own ends, so what is active here may have ended.
        return _pods([pod for pod in situation.pods if pod.phase in ACTIVE], unless_ended=True)
    by_itself = end.success or end.reason == requirement.NOT_MET
    noticed = by_itself or any(pod.phase == "Failed" for pod in situation.pods)
    return () if noticed else (Delete(gang.ref, gang.uid),)


def _orphans(situation: Situation) -> tuple[Pod, ...]:
    return () if situation.gang else situation.pods


def _pods(pods: Iterable[Pod], *, unless_ended: bool = False) -> tuple[Delete, ...]:
    return tuple(
        Delete(Ref("v1", "Pod", "pods", pod.namespace, pod.name), pod.uid, unless_ended)
        for pod in pods
        if not pod.deleting
    )
