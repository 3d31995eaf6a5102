"""What is deleted: what belongs to no attempt that should run, and what of an ended one still burns its accelerators.

A PyTorchJob goes before its pods, or the backend would make them again: also one that no watch tells of, which is read
live. Pods that are left without one are deleted by Slipway, since whoever deleted it may have asked for its pods to be
kept; those of a PyTorchJob that a user made his own are his. The loop deletes by uid after a live read.
"""

from collections.abc import Iterable
from itertools import islice

from .. import conditions
from ..observed import Pod, Ref
from ..outcome import Delete
from . import requirement, unseen
from .ended import End
from .situation import Situation

ACTIVE = frozenset({"Pending", "Running"})
AT_ONCE = 100  # deletes in a visit, each with a live read: however many pods a user labels, other jobs get their turn
MORE_SECONDS = 1.0  # until the next of them, if no event comes before


def leftovers(situation: Situation) -> tuple[str, ...]:
    """Names of what must be gone before a gang may be made: everything of others, and pods without their gang."""
    gangs = (f"PyTorchJob {gang.ref.name}" for gang in situation.stale_gangs)
    return (*gangs, *(f"pod {pod.name}" for pod in left_pods(situation)))


def left_pods(situation: Situation) -> tuple[Pod, ...]:
    """The pods among `leftovers`."""
    return tuple(pod for pod in _without_gang(situation) if not _is_anothers(situation, pod))


def gangs_of_pods(situation: Situation) -> tuple[Ref, ...]:
    """The PyTorchJobs, as far as no watch tells of them, of the next pods to be deleted."""
    told = {child.ref for child in situation.observed.children}
    left = (pod for pod in _without_gang(situation) if not pod.deleting)
    refs = dict.fromkeys(unseen.gang_of(situation.observed, pod) for pod in islice(left, AT_ONCE))
    return tuple(ref for ref in refs if ref is not None and ref not in told)


def to_read(situation: Situation, *, over: bool = False) -> tuple[Ref, ...]:
    """What `gangs_of_pods` names, less what has been read. Of a job that is `over`, what has ended is left alone."""
    if over and not any(pod.phase in ACTIVE for pod in _without_gang(situation)):
        return ()
    return tuple(ref for ref in gangs_of_pods(situation) if ref not in situation.observed.read)


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
    left, present = left_pods(situation), {pod.uid for pod in situation.pods}
    own = [pod for pod in left if pod.uid in present and pod.phase in ACTIVE]
    others = [pod for pod in left if pod.uid not in present]
    return (*_pods(others), *_pods(own, unless_ended=True), *burning(situation, end))


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


def _without_gang(situation: Situation) -> tuple[Pod, ...]:
    return (*situation.stale_pods, *(() if situation.gang else situation.pods))


def _is_anothers(situation: Situation, pod: Pod) -> bool:
    gang = unseen.gang_of(situation.observed, pod)
    return gang is not None and unseen.is_anothers(situation.observed, gang)


def _pods(pods: Iterable[Pod], *, unless_ended: bool = False) -> tuple[Delete, ...]:
    return tuple(
        Delete(Ref("v1", "Pod", "pods", pod.namespace, pod.name), pod.uid, unless_ended)
        for pod in pods
        if not pod.deleting
    )
