"""The status tells the truth: all conditions from the first visit, and none that nothing in the cluster bears out.

While things move it may be behind, so a claim must have been true at some time; at the end it must be true.
"""

from typing import TYPE_CHECKING, ClassVar

from slipway.plan.labels import ATTEMPT, INFERENCE_SERVICE, OWNER_UID, REVISION
from slipway.plan.observed import Obj

from ..acts import JOBS, SERVICES
from ..apiserver import WatchEvent
from .base import Oracle, condition, is_true

if TYPE_CHECKING:
    from ..world import World

CONDITIONS = {
    JOBS: ["Accepted", "Queued", "Running", "Restarting", "Complete", "Failed", "Ready"],
    SERVICES: ["Accepted", "ModelReady", "Available", "Scaling", "Ready"],
}
GANGS = "pytorchjobs.kubeflow.org"


class Status(Oracle):
    name: ClassVar[str] = "status"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        # (job's uid, attempt) -> pods that ever ran: the watch tells of two pods as they were at two moments
        self._ran: dict[tuple[str, str], set[str]] = {}
        self._succeeded: set[str] = set()  # uids of jobs whose rank 0 or gang has succeeded
        self._allocated: dict[str, int] = {}  # seconds, by the job's uid
        self._answered: set[tuple[str, str]] = set()  # (service, revision) of which a pod was ready

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource == "pods":
            self._pod(event.object)
        elif resource == GANGS and is_true(event.object, "Succeeded"):
            self._succeeded.add((event.object["metadata"].get("labels") or {}).get(OWNER_UID, ""))
        elif resource in CONDITIONS and event.type != "DELETED" and event.object.get("status"):
            self._told(resource, event.object)

    def _pod(self, pod: Obj) -> None:
        labels, phase = pod["metadata"].get("labels") or {}, (pod.get("status") or {}).get("phase", "Pending")
        if ATTEMPT in labels:
            key = labels.get(OWNER_UID, ""), labels[ATTEMPT]
            if phase in ("Running", "Succeeded"):
                self._ran.setdefault(key, set()).add(pod["metadata"]["name"])
            if phase == "Succeeded" and pod["metadata"]["name"].endswith("-master-0"):
                self._succeeded.add(key[0])
        elif is_true(pod, "Ready"):
            self._answered.add((labels.get(INFERENCE_SERVICE, ""), labels.get(REVISION, "")))

    def _told(self, resource: str, owner: Obj) -> None:
        metadata, status = owner["metadata"], owner["status"]
        kinds = [c["type"] for c in status.get("conditions") or []]
        if kinds != CONDITIONS[resource]:
            self.wrong(f"{metadata['name']} has conditions {kinds}")
        if not all(c.get("reason") for c in status.get("conditions") or []):
            self.wrong(f"a condition of {metadata['name']} has no reason")
        if status.get("observedGeneration", 0) > metadata["generation"]:
            self.wrong(f"{metadata['name']} has observed a generation that never was")
        (self._job if resource == JOBS else self._service)(owner)

    def _job(self, job: Obj) -> None:
        uid, attempt = job["metadata"]["uid"], str(job["status"].get("attempt", 0))
        if is_true(job, "Complete") and uid not in self._succeeded:
            self.wrong("the job is Complete though nothing of it succeeded")
        if is_true(job, "Complete") and is_true(job, "Failed"):
            self.wrong("the job is both Complete and Failed")
        if is_true(job, "Ready") != is_true(job, "Complete"):
            self.wrong("Ready is not what Complete is")
        nodes = (job["status"].get("elastic") or {}).get("nodes", job["spec"].get("nodes", 1))
        if is_true(job, "Running") and len(self._ran.get((uid, attempt), ())) < nodes:
            self.wrong(f"the job is Running though attempt {attempt} never ran on all nodes")
        self._allocation(uid, job)

    def _allocation(self, uid: str, job: Obj) -> None:
        """Time with all nodes is never taken back, and goes on exactly while the gang runs."""
        told = job["status"].get("allocation") or {}
        before, now = self._allocated.get(uid, 0), told.get("seconds", 0)
        if now < before:
            self.wrong(f"allocated seconds go from {before} back to {now}")
        if ("since" in told) != is_true(job, "Running"):
            self.wrong(f"the condition Running and {told} contradict each other")
        self._allocated[uid] = now

    def _service(self, service: Obj) -> None:
        ready, name = condition(service, "Ready"), service["metadata"]["name"]
        if ready.get("status") != "True":
            return
        if (name, service["status"].get("answeredRevision", "")) not in self._answered:
            self.wrong(f"{name} is Ready though no pod of its revision was")

    # ------------------------------------------------------------------ the end

    def ends(self) -> None:
        for resource in CONDITIONS:
            for owner in self.world.api.list(resource, None, "")[0]:
                if "deletionTimestamp" not in owner["metadata"]:
                    self._final(resource, owner)

    def _final(self, resource: str, owner: Obj) -> None:
        metadata, status = owner["metadata"], owner.get("status") or {}
        if status.get("observedGeneration") != metadata["generation"]:
            self.wrong(f"at the end {metadata['name']} has not observed its generation")
        (self._final_service if resource == SERVICES else self._final_job)(owner)

    def _final_job(self, job: Obj) -> None:
        uid, name = job["metadata"]["uid"], job["metadata"]["name"]
        left = [pod["metadata"]["name"] for pod in self.world.api.list("pods", None, f"{OWNER_UID}={uid}")[0]]
        if condition(job, "Running").get("reason") == "Suspended" and left:
            self.wrong(f"{name} says that it is suspended, and {left} are there")

    def _final_service(self, service: Obj) -> None:
        name, status = service["metadata"]["name"], service["status"]
        pods = [p for p in self.world.api.list("pods", None, f"{INFERENCE_SERVICE}={name}")[0] if _counts(p)]
        ready = [pod for pod in pods if is_true(pod, "Ready")]
        counts = (status.get("replicas", 0), status.get("readyReplicas", 0))
        if counts != (len(pods), len(ready)):
            self.wrong(f"{name} tells of {counts} replicas, but there are {(len(pods), len(ready))}")
        said = condition(service, "Ready")
        revisions = {pod["metadata"]["labels"].get(REVISION) for pod in ready}
        if said.get("reason") == "Serving" and status.get("answeredRevision") not in revisions:
            self.wrong(f"{name} says that it serves, and no pod of its revision is ready")


def _counts(pod: Obj) -> bool:
    ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"] and bool(pod["metadata"]["labels"].get(OWNER_UID))
