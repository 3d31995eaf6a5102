"""Whether a pod was lost after the whole gang ran: deleted, evicted, or replaced by the backend with a new one.

Restarting a gang throws work away, and the index of a new leader may be behind the status that its predecessor wrote:
so a pod that seems to be missing, or not to have started, is read live before it counts as lost.
"""

from .. import conditions, labels
from ..observed import Pod, Ref
from ..pod import record
from .failure import POD_LOST, Failure, of_taken
from .situation import Situation

SUSPECTS_MAX = 8  # one lost pod is enough; the rest are looked at in the visits after


def to_read(situation: Situation) -> tuple[Ref, ...]:
    """The pods that must be read live before anything is said of them, less what has been read."""
    return tuple(ref for ref in suspects(situation) if ref not in situation.observed.read)


def suspects(situation: Situation) -> tuple[Ref, ...]:
    """Pods that ran, by the status, and do not run, by the index."""
    if situation.gang is None or situation.held or not situation.has_run:
        return ()
    started = {pod.name for pod in situation.pods if pod.phase != "Pending"}
    missing = [name for name in pod_names(situation) if name not in started]
    return tuple(_pod_ref(situation, name) for name in missing[:SUSPECTS_MAX])


def lost_pod(situation: Situation) -> Failure | None:
    """The first pod that was taken away while the gang ran. After the backend's verdict only one that says by whom: the
    backend takes the others away itself, and then the verdict or the pod that caused it says why. A drain's pods end
    within a second, and its own verdict is no reason to forget the drain."""
    over = judged(situation)
    going = [pod for pod in situation.pods if pod.deleting and (pod.disruption or not over)]
    if going and situation.has_run:
        lost = min(going, key=lambda pod: not pod.disruption)  # who took it, where one of them knows
        return Failure(of_taken(lost), _taken(lost.name, lost.disruption), node=lost.node)
    if over:
        return None
    gone = [ref.name for ref in suspects(situation) if _is_gone(situation, ref)]
    return Failure(POD_LOST, _taken(gone[0])) if gone else None


def _taken(name: str, disruption: str = "") -> str:
    why = f" ({disruption})" if disruption else ""
    return f"pod {name} was taken away while it ran{why}: its peers cannot go on without it"


def judged(situation: Situation) -> bool:
    """Whether the backend says that the gang has ended, by the index or by a live read."""
    live = (situation.observed.read.get(situation.gang_ref) or {}).get("status") or {}
    told = situation.gang.status if situation.gang else {}
    return any(conditions.is_true(status, kind) for status in (told, live) for kind in ("Succeeded", "Failed"))


def rank_0_ref(situation: Situation) -> Ref:
    return _pod_ref(situation, pod_names(situation)[0])


def known(situation: Situation) -> tuple[Pod, ...]:
    """The pods of the attempt by the index, and then rank 0's as it was read live, where it was: the watch may be
    behind."""
    body = situation.observed.read.get(rank_0_ref(situation)) or {}
    ours = body.get("metadata", {}).get("labels", {}).get(labels.OWNER_UID) == situation.observed.owner.uid
    return (*situation.pods, record.pod(body)) if ours else situation.pods


def pod_names(situation: Situation) -> list[str]:
    """What the backend calls the pods of the gang, rank 0's first."""
    name = situation.gang_ref.name
    return [f"{name}-master-0", *(f"{name}-worker-{index}" for index in range(situation.spec.nodes - 1))]


def _is_gone(situation: Situation, ref: Ref) -> bool:
    """By the live read: not there, going, or a new one that has not started."""
    pod = situation.observed.read[ref]
    if pod is None or pod.get("metadata", {}).get("deletionTimestamp"):
        return True
    return bool(pod.get("status", {}).get("phase", "Pending") == "Pending")


def _pod_ref(situation: Situation, name: str) -> Ref:
    return Ref("v1", "Pod", "pods", situation.observed.owner.namespace, name)
