"""One gang at a time, counted upwards, restarted for a reason, and nothing after the end. At rest a job that is
accepted and not over has one, which is its own; and undisturbed none runs on past its deadline.

But for a gang whose creation was on its way, unanswered, when its attempt was given up or the job ended: nobody can
call such a request back. What it makes must be gone at the end.
"""

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from slipway.api.gang import FREE_RESTARTS_DEFAULT
from slipway.plan.labels import ATTEMPT, OWNER_UID
from slipway.plan.observed import Obj

from ..acts import JOBS, NAMESPACE
from ..apiserver import WatchEvent
from ..hand import Hand
from .base import Oracle, is_true

if TYPE_CHECKING:
    from ..world import World

GANGS = "pytorchjobs.kubeflow.org"
CREATE = "/pytorchjobs"  # how the path ends on which one is made
LATE_SECONDS = 3.0  # past its deadline, where nobody is slow


class Attempts(Oracle):
    name: ClassVar[str] = "attempts"

    def __init__(self, world: "World") -> None:
        super().__init__(world)
        self._attempt: dict[str, int] = {}  # by the job's uid
        self._over: dict[str, str] = {}  # by the job's uid: Complete or Failed
        self._pods: dict[str, dict[str, str]] = {}  # by the job's uid: the pods that exist, with their attempts
        self._suspended: Counter[str] = Counter()  # by the job's uid: how often it was
        self._suspends: dict[str, bool] = {}  # by the job's uid: whether it is to be
        self._resizes: Counter[str] = Counter()  # by the job's uid: how often it was given another number of nodes
        self._hurt: set[tuple[str, str]] = set()  # (job's uid, attempt) of which a pod failed or was taken away
        self._turned: dict[str, float] = {}  # by the job's uid: since when it has its attempt, or is over
        self._belated: dict[str, str] = {}  # by the job's uid: the attempt of a gang that a late request made

    def changed(self, resource: str, event: WatchEvent) -> None:
        if resource == JOBS and event.type != "DELETED":
            self._job(event.object)
        elif resource == "pods":
            self._pod(event)
        elif resource == GANGS:
            self._gang(event)

    def _job(self, job: Obj) -> None:
        uid, status = job["metadata"]["uid"], job.get("status") or {}
        self._suspension(uid, job["spec"].get("suspend", False))
        before, attempt = self._attempt.get(uid, 0), status.get("attempt", 0)
        if attempt < before:
            self.wrong(f"attempt goes from {before} back to {attempt}")
        if attempt > before + 1:
            self.wrong(f"attempt jumps from {before} to {attempt}")
        self._budgets(job, status)
        self._deadline(job, status)
        resized = self._sizes(job, attempt > before)
        given_up = resized or self._suspended[uid] or (uid, str(before)) in self._hurt or self._hangs(status)
        if attempt > before and not given_up:
            self.wrong(f"attempt {before} is given up though no pod of it failed or was taken away")
        if attempt != before:
            self._turned[uid] = self.world.time()
        self._attempt[uid] = attempt
        over = next((kind for kind in ("Complete", "Failed") if is_true(job, kind)), None)
        if (known := self._over.get(uid)) and over != known:
            self.wrong(f"the job was {known} and is {over} now")
        if over:
            self._over[uid] = over
            self._turned[uid] = self._turned.get(uid, 0.0) if known else self.world.time()

    def _deadline(self, job: Obj, status: Obj) -> None:
        limit, ran = job["spec"].get("deadlineSeconds"), (status.get("allocation") or {}).get("seconds", 0)
        undisturbed = not self.world.faults and self.world.script.timing == "calm"
        if limit is not None and undisturbed and ran > limit + LATE_SECONDS:
            self.wrong(f"{job['metadata']['name']} has run for {ran} s, where its deadline is {limit} s")

    def _sizes(self, job: Obj, new_attempt: bool) -> bool:
        """Whether this is an attempt for another number of nodes. Each of those is counted, and within its bounds."""
        uid, spec, told = job["metadata"]["uid"], job["spec"], (job.get("status") or {}).get("elastic") or {}
        before, resizes = self._resizes[uid], told.get("resizes", 0)
        self._resizes[uid] = resizes
        if told and not spec["elastic"]["minNodes"] <= told["nodes"] <= spec["nodes"]:
            self.wrong(f"{told['nodes']} nodes are not within spec.elastic")
        if told and ("message" in told) != (told["nodes"] < spec["nodes"]):
            self.wrong(f"{told} says why there are fewer nodes, and there are not; or the other way about")
        if resizes != before and not (new_attempt and resizes == before + 1):
            self.wrong(f"resizes go from {before} to {resizes}")
        return bool(resizes == before + 1)

    def _hangs(self, status: Obj) -> bool:
        """Whether it is said to have stalled, and rank 0 does fall silent in this scenario."""
        silent = any(fate.reports is not None for fate in self.world.fates)
        return silent and (status.get("lastFailure") or {}).get("reason") == "Stalled"

    def _suspension(self, uid: str, suspend: bool) -> None:
        if suspend and not self._suspends.get(uid, False):
            self._suspended[uid] += 1
        self._suspends[uid] = suspend

    def _budgets(self, job: Obj, status: Obj) -> None:
        """Each restart counts somewhere: towards the job's budget, or towards that of a rule which is free of it."""
        policy, suspended = job["spec"]["failurePolicy"], self._suspended[job["metadata"]["uid"]]
        restarts, by_rule = status.get("restarts", 0), status.get("ruleRestarts") or []
        if restarts > policy["maxRestarts"]:
            self.wrong(f"{restarts} restarts are more than failurePolicy.maxRestarts allows")
        free = 0
        for rule, count in zip(policy.get("rules") or [], by_rule, strict=False):
            free += count * (rule["action"] == "RestartGangFree")
            if count > rule.get("maxRestarts", FREE_RESTARTS_DEFAULT if rule["action"] == "RestartGangFree" else count):
                self.wrong(f"{count} restarts are more than the rule {rule} allows")
        resizes = (status.get("elastic") or {}).get("resizes", 0)
        if status.get("attempt", 0) > restarts + free + suspended + resizes:
            planned = f"{suspended} suspensions, {resizes} changes of size"
            self.wrong(f"attempt {status['attempt']} came of {restarts} + {free} restarts, {planned}")

    def _pod(self, event: WatchEvent) -> None:
        metadata = event.object["metadata"]
        labels = metadata.get("labels") or {}
        uid, attempt = labels.get(OWNER_UID), labels.get(ATTEMPT)
        if uid is None or attempt is None:
            return
        if "deletionTimestamp" in metadata and self.by_operator():
            self._deleted(uid, attempt, event.object)
        pods = self._pods.setdefault(uid, {})
        failed = (event.object.get("status") or {}).get("phase") == "Failed"
        going = event.type == "DELETED" or "deletionTimestamp" in metadata
        if (failed and not going) or (going and not self._held(event.object)):
            self._hurt.add((uid, attempt))
        if event.type == "DELETED":
            pods.pop(metadata["name"], None)
            return
        if metadata["name"] not in pods and (others := self._beside(uid, attempt)):
            self.wrong(f"pod {metadata['name']} is made while pods of attempts {sorted(others)} exist")
        pods[metadata["name"]] = attempt

    def _beside(self, uid: str, attempt: str) -> set[str]:
        """The other attempts of which pods exist, where neither is that of a gang that a late request made."""
        belated = self._belated.get(uid)
        return {each for each in self._pods[uid].values() if each != attempt and belated not in (each, attempt)}

    def _is_belated(self, uid: str, gang: Obj) -> bool:
        """Whether it was asked for before the job turned to what it is now, and whoever asked has heard nothing yet."""
        name, turned = gang["metadata"]["name"], self._turned.get(uid, float("-inf"))
        asked = (sent for sent in self.world.network.history if sent.method == "POST" and sent.path.endswith(CREATE))
        ours = [sent for sent in asked if sent.body is not None and sent.body["metadata"]["name"] == name]
        return all(sent.at <= turned for sent in ours) and any(sent.status is None for sent in ours)

    def ends(self) -> None:
        for gang in Hand(self.world.api, "oracle").list(GANGS, NAMESPACE, ""):
            labels = gang["metadata"].get("labels") or {}
            uid, attempt = labels.get(OWNER_UID, ""), labels.get(ATTEMPT, "")
            if self._belated.get(uid) == attempt != str(self._attempt.get(uid, 0)):
                self.wrong(f"gang {gang['metadata']['name']}, which a late request made, is left")
        for job in self.world.api.list(JOBS, None, "")[0]:
            over = is_true(job, "Complete") or is_true(job, "Failed")
            wanted = is_true(job, "Accepted") and not over and not job["spec"].get("suspend")
            if wanted and "deletionTimestamp" not in job["metadata"] and not self._has_gang(job):
                self.wrong(f"{job['metadata']['name']} is accepted and not over, and no gang of its own is there")

    def _has_gang(self, job: Obj) -> bool:
        metadata = job["metadata"]
        gangs = self.world.api.list(GANGS, metadata["namespace"], "")[0]
        owners = {o["uid"] for gang in gangs for o in gang["metadata"].get("ownerReferences") or []}
        return metadata["uid"] in owners

    def _held(self, pod: Obj) -> bool:
        """Whether its gang is suspended, by a queue or another hand: then it goes because it shall."""
        live = self._gang_of(pod)
        return live is not None and bool((live["spec"].get("runPolicy") or {}).get("suspend"))

    def _gang_of(self, pod: Obj) -> Obj | None:
        gang = next((o["name"] for o in pod["metadata"].get("ownerReferences") or [] if o.get("controller")), "")
        return Hand(self.world.api, "oracle").get(GANGS, pod["metadata"]["namespace"], gang) if gang else None

    def _deleted(self, uid: str, attempt: str, pod: Obj) -> None:
        """The operator deletes what is left over and what runs on after the end, never a pod of the gang that should
        run, nor one that has ended with it."""
        live = self._gang_of(pod)
        whole = live is not None and "deletionTimestamp" not in live["metadata"]
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        if whole and ended and attempt == str(self._attempt.get(uid, 0)):
            self.wrong(f"pod {pod['metadata']['name']} has ended and is deleted, with its logs and its last words")
        if live is not None and (is_true(live, "Succeeded") or is_true(live, "Failed")):
            return  # it is over, though the status does not say so yet
        if whole and uid not in self._over and attempt == str(self._attempt.get(uid, 0)):
            self.wrong(f"pod {pod['metadata']['name']} of the attempt that should run is deleted")

    def _gang(self, event: WatchEvent) -> None:
        labels, metadata = event.object["metadata"].get("labels") or {}, event.object["metadata"]
        uid = labels.get(OWNER_UID, "")
        if any(c["type"] == "Failed" for c in (event.object.get("status") or {}).get("conditions") or []):
            self._hurt.add((uid, labels.get(ATTEMPT, "")))
        if event.type == "ADDED" and self._is_belated(uid, event.object):
            self._belated[uid] = labels.get(ATTEMPT, "")
            return
        if event.type == "ADDED" and uid in self._over:
            self.wrong(f"gang {metadata['name']} is made though the job is {self._over[uid]}")
        if event.type == "ADDED" and int(labels.get(ATTEMPT, 0)) != self._attempt.get(uid, 0):
            self.wrong(f"gang {metadata['name']} is made while the status says attempt {self._attempt.get(uid, 0)}")
