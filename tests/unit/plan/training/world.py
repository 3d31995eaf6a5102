"""A small cluster for the plan of a TrainingJob: objects, backend, garbage collector, and a loop that may crash.

It keeps the rules that the plan relies on and checks them at every step: a name is taken while its object exists, what
is deleted goes with a delay, the status is what was written last. What the plan asks is answered from the live objects.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.plan.clock import rfc3339
from slipway.plan.observed import Child, Observed, Pod, Ref, Reported, Verdict
from slipway.plan.outcome import Delete, Plan
from slipway.plan.training import plan

from .builders import DEFAULTS, JOB, NAMESPACE, NOW, RECIPE, UID, claim_child, container, ended, gang, owner

Obj = dict[str, Any]
ROLES = ("master-0", "worker-0")


class Violated(AssertionError):
    """The plan did what it must never do."""


@dataclass
class World:
    spec: Obj = field(default_factory=lambda: dict(RECIPE))
    status: Obj = field(default_factory=dict)
    gangs: dict[str, Child] = field(default_factory=dict)
    pods: dict[str, Pod] = field(default_factory=dict)
    claims: dict[str, Child] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)  # every gang that was ever made
    user_deleted: int = 0
    now: float = NOW
    serial: int = 0
    writes: int = 0
    behind: tuple[tuple[Pod, ...], tuple[Child, ...]] | None = None  # what a late index still shows
    reported: Reported | None = None

    # What the loop does

    def observe(self) -> Observed:
        """What the index has, which may be behind; the status is the operator's own last write."""
        pods, children = self.behind or self.index()
        return Observed(owner=owner(self.spec, self.status), pods=pods, children=children, reported=self.reported)

    def index(self) -> tuple[tuple[Pod, ...], tuple[Child, ...]]:
        return tuple(self.pods.values()), (*self.gangs.values(), *self.claims.values())

    def plan(self) -> Plan:
        """The plan, when all that it asked for has been answered."""
        observed = self.observe()
        for _ in range(4):
            made = plan(observed, self.now, DEFAULTS)
            if not made.reads and not made.templates:
                return made
            answers = {ref: self.live(ref) for ref in made.reads}
            verdicts = {digest: Verdict() for digest, _ in made.templates}
            observed = replace(observed, read={**observed.read, **answers}, verdicts={**observed.verdicts, **verdicts})
        raise Violated("the plan never stops asking")

    def visit(self, crash_after: int | None = None) -> Plan:
        """Plan once and carry it out in order; `crash_after` effects, the operator dies."""
        made = self.plan()
        effects: list[tuple[Callable[[Any], object], Any]] = [
            *((self.apply, body) for body in made.apply),
            *((self.create, body) for body in made.create),
            *((self.delete, what) for what in made.delete),
            (self.write_status, made.status),
        ]
        for effect, argument in effects[:crash_after]:
            effect(argument)
        return made

    def live(self, ref: Ref) -> Obj | None:
        if ref.kind == "Pod":
            pod = self.pods.get(ref.name)
            going = {"deletionTimestamp": "now"} if pod and pod.deleting else {}
            return {"metadata": going, "status": {"phase": pod.phase}} if pod else None
        if ref.kind == "PyTorchJob":
            found = self.gangs.get(ref.name)
            metadata = {"ownerReferences": [{"uid": UID, "controller": True}]}
            spec = {"runPolicy": {"suspend": found.suspended}} if found else {}
            return {"metadata": metadata, "spec": spec, "status": found.status} if found else None
        labels = {"app.kubernetes.io/managed-by": "slipway", "slipway.dev/training-job": JOB}
        return {"metadata": {"labels": labels}, "spec": {}} if ref.name in self.claims else None

    def apply(self, body: Obj) -> None:
        if body["metadata"]["name"] not in self.claims:
            self.writes += 1
        self.claims[body["metadata"]["name"]] = claim_child()

    def create(self, body: Obj) -> None:
        name = body["metadata"]["name"]
        if self.over:
            raise Violated(f"{name} was made after the end")
        if name in self.gangs:
            return
        if self.pods or self.gangs:
            raise Violated(f"{name} was made while {[*self.gangs, *self.pods]} are there")
        self.writes += 1
        self.created.append(name)
        self.serial += 1
        attempt = int(name.rpartition("-")[2])
        held = body["spec"]["runPolicy"].get("suspend", False)
        self.gangs[name] = gang(attempt, uid=f"gang-{self.serial}", suspended=held, created=self.now)

    def delete(self, what: Delete) -> None:
        """By uid, as the loop does it: an object that was made anew meanwhile is not the one that was meant."""
        name = what.ref.name
        if what.ref.kind == "PyTorchJob" and name in self.gangs and self.gangs[name].uid == what.uid:
            self.writes += 1
            del self.gangs[name]
        if what.ref.kind == "Pod" and name in self.pods and self.pods[name].uid == what.uid:
            self.writes += 1
            self.pods[name] = replace(self.pods[name], deleting=True)

    def write_status(self, status: Obj) -> None:
        if status != self.status:
            self.writes += 1
        if self.over and not _over(status):
            raise Violated("a job that was over is not any more")
        if status["attempt"] < self.status.get("attempt", 0):
            raise Violated("attempts are not counted down")
        self._check_allocation(status)
        self.status = status

    def _check_allocation(self, status: Obj) -> None:
        """Time is counted once, and never taken back."""
        before, after = self.status.get("allocation", {}), status.get("allocation", {})
        if any(after.get(name, 0) < before.get(name, 0) for name in ("seconds", "deviceSeconds")):
            raise Violated(f"allocated time was taken back: {before} -> {after}")
        if after.get("seconds", 0) > self.now - NOW:
            raise Violated(f"more time is allocated than has gone by since {NOW}: {after}")
        if after.get("deviceSeconds", 0) != len(ROLES) * after.get("seconds", 0):
            raise Violated(f"not all devices are counted: {after}")
        if "since" in after and _over(status):
            raise Violated("a job that is over has no nodes")

    @property
    def over(self) -> bool:
        return _over(self.status)

    @property
    def reason(self) -> str:
        return str(next(each["reason"] for each in self.status["conditions"] if each["type"] == "Ready"))

    # What others do

    def backend(self) -> None:
        """The training operator: makes missing pods, tells what has ended, and then deletes what still runs."""
        for name, found in list(self.gangs.items()):
            if _is(found.status, "Succeeded") or _is(found.status, "Failed"):
                self._clean(name)
                continue
            if found.suspended:
                self._clean(name, phases=("Pending", "Running", "Succeeded", "Failed"))
                self._tell(name, "Suspended", "True")
                continue
            if _is(found.status, "Suspended"):
                self._tell(name, "Suspended", "False")
            for role in ROLES:
                self._make_pod(name, role)
            self._judge(name)

    def _make_pod(self, gang_name: str, role: str) -> None:
        name = f"{gang_name}-{role}"
        if name in self.pods:
            return
        self.serial += 1
        labels = {"slipway.dev/owner-uid": UID, "slipway.dev/attempt": gang_name.rpartition("-")[2]}
        self.pods[name] = Pod(
            namespace=NAMESPACE,
            name=name,
            uid=f"pod-{self.serial}",
            labels=labels,
            phase="Pending",
            reason="",
            message="",
            node="",
            ready=False,
            deleting=False,
            created=self.now,
            started=None,
            scheduled=False,
            unschedulable_message="",
        )

    def _judge(self, name: str) -> None:
        mine = [pod for pod in self.pods.values() if pod.name.startswith(f"{name}-")]
        if any(pod.phase == "Succeeded" and pod.name.endswith("master-0") for pod in mine):
            self._verdict(name, "Succeeded")
        elif any(pod.phase == "Failed" for pod in mine):
            self._verdict(name, "Failed")

    def _verdict(self, name: str, kind: str) -> None:
        self._tell(name, kind, "True", since="2027-01-15T07:00:00Z")

    def _tell(self, name: str, kind: str, status: str, *, since: str = "") -> None:
        before = self.gangs[name].status.get("conditions", [])
        if any((each["type"], each["status"]) == (kind, status) for each in before):
            return
        told = {"type": kind, "status": status, "lastTransitionTime": since or rfc3339(self.now)}
        others = [each for each in before if each["type"] != kind]
        self.gangs[name] = replace(self.gangs[name], status={"conditions": [*others, told]})

    def _clean(self, name: str, phases: tuple[str, ...] = ("Pending", "Running")) -> None:
        for pod in [pod for pod in self.pods.values() if pod.name.startswith(f"{name}-")]:
            if pod.phase in phases:
                self.pods[pod.name] = replace(pod, deleting=True)

    def queue_admits(self, admit: bool) -> None:
        """Kueue lets every gang run that waits, or takes their places away. It waits for the pods to go."""
        for name, found in list(self.gangs.items()):
            over = _is(found.status, "Succeeded") or _is(found.status, "Failed")
            if not over and (not admit or not any(pod.name.startswith(f"{name}-") for pod in self.pods.values())):
                self.gangs[name] = replace(found, suspended=not admit)

    def collect(self) -> None:
        """The garbage collector and the kubelet: pods without a gang are deleted, pods that are deleted go."""
        for pod in list(self.pods.values()):
            if pod.deleting:
                del self.pods[pod.name]
            elif pod.name.removesuffix("-master-0").removesuffix("-worker-0") not in self.gangs:
                self.pods[pod.name] = replace(pod, deleting=True)

    def start_pods(self) -> None:
        for pod in list(self.pods.values()):
            if pod.phase == "Pending" and not pod.deleting:
                started = replace(pod, phase="Running", scheduled=True, bound=self.now, containers=(container(),))
                self.pods[pod.name] = started

    def end_pod(self, role: str, exit_code: int) -> None:
        for pod in list(self.pods.values()):
            if pod.name.endswith(role) and pod.phase == "Running" and not pod.deleting:
                phase = "Failed" if exit_code else "Succeeded"
                self.pods[pod.name] = replace(pod, phase=phase, containers=(ended(exit_code, finished=self.now),))

    def rank_0_reports(self, productive_seconds: float) -> None:
        for pod in self.pods.values():
            if pod.name.endswith("-master-0") and pod.phase == "Running":
                said = {"step": 1, "total_steps": 9, "productive_seconds": f"{productive_seconds:.1f}"}
                self.reported = Reported(pod_uid=pod.uid, received=self.now, **said)  # type: ignore[arg-type]

    def user_deletes_pod(self, role: str) -> None:
        for pod in list(self.pods.values()):
            if pod.name.endswith(role):
                self.pods[pod.name] = replace(pod, deleting=True)

    def user_deletes_gang(self) -> None:
        self.user_deleted += len(self.gangs)
        self.gangs.clear()

    def user_suspends(self, suspend: bool) -> None:
        self.spec["suspend"] = suspend

    def user_deletes_claim(self) -> None:
        self.claims.clear()

    # What must always hold

    def check(self) -> None:
        if len(self.gangs) > 1:
            raise Violated(f"two gangs at once: {list(self.gangs)}")
        again = len(self.created) - len(set(self.created))
        if again > self.user_deleted:
            raise Violated(f"made more than once: {self.created}")

    def settle(self, turns: int = 200) -> None:
        """Let everybody act until nothing changes; time goes on, and the index catches up."""
        self.behind = None
        for _ in range(turns):
            before = (dict(self.status), dict(self.gangs), dict(self.pods), dict(self.claims))
            made = self.visit()
            self.backend()
            self.start_pods()
            self.collect()
            self.check()
            self.now += 20
            waits = made.requeue_after is not None
            if before == (self.status, self.gangs, self.pods, self.claims) and not waits:
                return
        raise Violated("the cluster never comes to rest")


def _is(status: Obj, kind: str) -> bool:
    return any((each["type"], each["status"]) == (kind, "True") for each in status.get("conditions", []))


def _over(status: Obj) -> bool:
    conditions = {each["type"]: each["status"] for each in status.get("conditions", [])}
    return "True" in (conditions.get("Complete"), conditions.get("Failed"))
