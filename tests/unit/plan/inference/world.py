"""A small cluster for the tests of the inference planner: what the loop would answer when a plan asks."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from slipway.plan.inference import plan
from slipway.plan.observed import Child, Container, Obj, Observed, Owner, Pod, Ref, Verdict
from slipway.plan.outcome import Defaults, Plan

NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
THEN = "2027-01-15T08:00:00Z"
UID = "uid-of-chat"

DEFAULTS = Defaults(
    trainer_image="trainer:1",
    engine_sidecar_image="sidecar:1",
    vllm_images=(("cpu", "vllm-cpu:1"), ("nvidia", "vllm-gpu:1")),
    sglang_images=(("cpu", ""), ("nvidia", "sglang-gpu:1")),
    progress_url="",
    gateway_url="http://gateway.example",
    prometheus_url="http://prometheus:9090",
)

DEPLOYMENT = Ref("apps/v1", "Deployment", "deployments.apps", "team", "chat")
SERVICE = Ref("v1", "Service", "services", "team", "chat")
SCALED_OBJECT = Ref("keda.sh/v1alpha1", "ScaledObject", "scaledobjects.keda.sh", "team", "chat")
JOB = Ref("slipway.dev/v1alpha1", "TrainingJob", "trainingjobs.slipway.dev", "team", "stdlib")
CLAIM = Ref("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "team", "models")
JOB_CLAIM = replace(CLAIM, name="stdlib-output")

SCALING = {"minReplicas": 0, "maxReplicas": 4, "requestsPerReplica": 8, "idleSeconds": 60}


def spec(**fields: Any) -> Obj:
    """A spec that serves pvc://models/llama, with these fields (as written in YAML) over it."""
    return {"model": {"uri": "pvc://models/llama"}, **fields}


def from_job(**fields: Any) -> Obj:
    return spec(**{"model": {"from": {"trainingJob": "stdlib"}}, **fields})


def owner(body: Obj | None = None, *, status: Obj | None = None, generation: int = 3, deleting: bool = False) -> Owner:
    return Owner(
        namespace="team",
        name="chat",
        uid=UID,
        generation=generation,
        resource_version="1",
        deleting=deleting,
        spec=spec() if body is None else body,
        status=status or {},
    )


def claim(*access_modes: str, **metadata: Any) -> Obj:
    return {"metadata": metadata, "spec": {"accessModes": list(access_modes or ("ReadWriteMany",))}}


def job(*conditions: Obj, output: Obj | None = None, uid: str = "uid-7") -> Obj:
    status: Obj = {"conditions": list(conditions)}
    return {"metadata": {"uid": uid}, "status": {**status, "output": output} if output else status}


def condition(kind: str, status: str, reason: str = "Because", message: str = "words") -> Obj:
    return {"type": kind, "status": status, "reason": reason, "message": message}


COMPLETE_JOB = job(condition("Complete", "True"), output={"claim": "stdlib-output", "path": "uid-7/model"})


def served(**fields: Any) -> Obj:
    """A status that says that COMPLETE_JOB's model is served."""
    record = {
        "claim": "stdlib-output",
        "path": "uid-7/model",
        "accessModes": ["ReadWriteMany"],
        "trainingJob": "stdlib",
        "trainingJobUid": "uid-7",
    }
    return {"model": {**record, **fields}}


def child(ref: Ref, *, uid: str = UID, status: Obj | None = None, deleting: bool = False) -> Child:
    """`uid` is the owner's."""
    return Child(
        ref=ref,
        uid=f"{ref.kind}-uid",
        resource_version="5",
        generation=1,
        labels={},
        owner_uid=uid,
        deleting=deleting,
        created=NOW - 100,
        status=status or {},
    )


def container(name: str = "main", **fields: Any) -> Container:
    return Container(**{"name": name, "ready": False, "restarts": 0, "state": "running", **fields})


def pod(name: str, revision: str = "", *containers: Container, **fields: Any) -> Pod:
    base: dict[str, Any] = {
        "namespace": "team",
        "name": name,
        "uid": f"{name}-uid",
        "labels": {"slipway.dev/owner-uid": UID} | ({"slipway.dev/revision": revision} if revision else {}),
        "phase": "Running",
        "reason": "",
        "message": "",
        "node": "node-1",
        "ready": False,
        "deleting": False,
        "created": NOW - 50,
        "started": NOW - 40,
        "scheduled": True,
        "unschedulable_message": "",
        "containers": containers,
    }
    return Pod(**{**base, **fields})


ROUNDS = 4  # the loop calls a plan no oftener within one visit


@dataclass(frozen=True)
class World:
    """What the API server would answer. Anything not in `objects` does not exist, but the claims always do.

    `complaint` is its verdict on every pod template, which is invalid by it or only refused.
    """

    observed: Observed
    objects: Mapping[Ref, Obj | None] = field(default_factory=dict)
    complaint: str = ""
    complaint_invalid: bool = True
    defaults: Defaults = DEFAULTS
    now: float = NOW

    def settle(self) -> Plan:
        """Answer what the plan asks until it asks no more, as the loop does within one visit."""
        observed = self.observed
        for _ in range(ROUNDS):
            outcome = plan(observed, self.now, self.defaults)
            if not outcome.reads and not outcome.templates:
                return outcome
            observed = self._answered(observed, outcome)
        raise AssertionError(f"the plan keeps asking: {outcome.reads} {outcome.templates}")

    def _answered(self, observed: Observed, outcome: Plan) -> Observed:
        assert not set(outcome.reads) & set(observed.read), "asked twice for the same object"
        standing = {CLAIM: claim(), JOB_CLAIM: claim(), JOB: COMPLETE_JOB, **self.objects}
        reads = {**observed.read, **{ref: standing.get(ref) for ref in outcome.reads}}
        verdict = Verdict(self.complaint, invalid=self.complaint_invalid)
        verdicts = {**observed.verdicts, **{digest: verdict for digest, _ in outcome.templates}}
        return replace(observed, read=reads, verdicts=verdicts)


def world(body: Obj | None = None, **fields: Any) -> World:
    """A world around one InferenceService. Takes World's fields, Observed's and, of the owner, `status`."""
    status, generation = fields.pop("status", None), fields.pop("generation", 3)
    names = ("objects", "complaint", "complaint_invalid", "defaults", "now")
    outer = {name: fields.pop(name) for name in names if name in fields}
    return World(Observed(owner(body, status=status, generation=generation), **fields), **outer)


def settle(body: Obj | None = None, **fields: Any) -> Plan:
    return world(body, **fields).settle()


def applied(outcome: Plan, kind: str) -> Obj:
    return next(obj for obj in outcome.apply if obj["kind"] == kind)


def revision_of(outcome: Plan) -> str:
    labels = applied(outcome, "Deployment")["spec"]["template"]["metadata"]["labels"]
    revision: str = labels["slipway.dev/revision"]
    return revision


def said(outcome: Plan, kind: str) -> tuple[str, str, str]:
    """(status, reason, message) of a condition in the outcome's status."""
    found = next(entry for entry in outcome.status["conditions"] if entry["type"] == kind)
    return found["status"], found["reason"], found["message"]
