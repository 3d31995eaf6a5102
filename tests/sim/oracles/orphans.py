"""Nothing is left behind: no child of an owner that is gone, no gang of another attempt, nothing that still runs of a
job that is over, no scaler that nobody asks for. (A claim that is to be kept is kept. Pods that a user took from their
Deployment or their PyTorchJob, with `kubectl delete --cascade=orphan`, and then deleted the service or the job, are the
user's, until a job of the name is made again: it does not start beside them. So is what lost its owner reference to a
user, who keeps it, and was not taken again before its new owner went. What a user labelled as nobody's still goes with
its owner.)
"""

from typing import TYPE_CHECKING, ClassVar

from slipway.kube.kinds import CHILDREN, INFERENCE_SERVICE, TRAINING_JOB
from slipway.plan.labels import ATTEMPT, OWNER_UID, SELECTOR
from slipway.plan.observed import Obj
from slipway.reconcile.keys import owner_of

from ..apiserver import WatchEvent
from ..hand import Hand
from .base import CHILD_KINDS, Oracle, is_true

if TYPE_CHECKING:
    from ..world import World

TAKEN = frozenset({"pods", "persistentvolumeclaims"})  # may stand alone, once nobody owns them
BY_KIND = {TRAINING_JOB.kind: TRAINING_JOB.full, INFERENCE_SERVICE.kind: INFERENCE_SERVICE.full}


class Orphans(Oracle):
    name: ClassVar[str] = "orphans"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._owned: set[str] = set()  # uids of children that have an owner
        self._kept: set[str] = set()  # and of those from which somebody else took it

    def changed(self, resource: str, event: WatchEvent) -> None:
        metadata = event.object["metadata"]
        if resource not in CHILD_KINDS or event.type == "DELETED":
            return
        if metadata.get("ownerReferences"):
            self._owned.add(metadata["uid"])
            self._kept.discard(metadata["uid"])
        elif metadata["uid"] in self._owned and not self.by_operator():
            self._kept.add(metadata["uid"])

    def ends(self) -> None:
        owners = {
            (kind, body["metadata"]["name"]): body
            for kind, resource in BY_KIND.items()
            for body in self.world.api.list(resource, None, "")[0]
        }
        uids = {body["metadata"]["uid"] for body in owners.values()}
        for resource in CHILDREN:
            for child in Hand(self.world.api, "oracle").list(resource.full, None, SELECTOR):
                if not _is_mislabelled(child, owners, uids):
                    self._child(resource.full, child, owners)

    def _child(self, resource: str, child: Obj, owners: dict[tuple[str, str], Obj]) -> None:
        metadata = child["metadata"]
        key = owner_of(metadata["namespace"], metadata.get("labels") or {})
        owner = owners.get((key.kind, key.name)) if key else None
        if key is None and not metadata.get("ownerReferences") and self.world.meddled:
            return  # a user took the labels off, and the owner: nothing says any more whose it was
        if owner is None:
            if metadata.get("ownerReferences") or (resource not in TAKEN and metadata["uid"] not in self._kept):
                self.wrong(f"{resource} {metadata['name']} is left without its owner")
        elif resource in ("pods", "pytorchjobs.kubeflow.org") and key and key.kind == TRAINING_JOB.kind:
            self._gang(resource, child, owner)
        elif resource == "scaledobjects.keda.sh" and not owner["spec"].get("scaling") and is_true(owner, "Accepted"):
            self.wrong(f"ScaledObject {metadata['name']} is left though no scaling is asked for")

    def _gang(self, resource: str, child: Obj, job: Obj) -> None:
        labels, name = child["metadata"]["labels"], child["metadata"]["name"]
        if labels.get(OWNER_UID) != job["metadata"]["uid"]:
            self.wrong(f"{resource} {name} is of an earlier job of the name")
        elif labels.get(ATTEMPT) != str((job.get("status") or {}).get("attempt", 0)):
            self.wrong(f"{resource} {name} is of another attempt")
        over = is_true(job, "Complete") or is_true(job, "Failed")
        if (
            over
            and resource == "pods"
            and (child.get("status") or {}).get("phase", "Pending") in ("Pending", "Running")
        ):
            self.wrong(f"pod {name} still runs though the job is over")


def _is_mislabelled(child: Obj, owners: dict[tuple[str, str], Obj], uids: set[str]) -> bool:
    """Its labels name nobody who is there, but its owner, by uid, is."""
    metadata = child["metadata"]
    key = owner_of(metadata["namespace"], metadata.get("labels") or {})
    owned = any(reference["uid"] in uids for reference in metadata.get("ownerReferences") or [])
    return owned and (key is None or (key.kind, key.name) not in owners)
