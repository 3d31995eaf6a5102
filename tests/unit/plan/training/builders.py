"""Observations of a TrainingJob for the tests of its plan, with good defaults: a test says only what matters."""

from dataclasses import replace
from typing import Any

from slipway.api.trainingjob import TrainingJob
from slipway.plan.observed import Child, Container, Observed, Owner, Pod, Ref, Verdict
from slipway.plan.outcome import Defaults, Plan
from slipway.plan.training import plan
from slipway.plan.training.situation import Situation, look

Obj = dict[str, Any]

NOW = 1_800_000_000.0
NOW_TEXT = "2027-01-15T08:00:00Z"
EARLIER_TEXT = "2027-01-15T07:00:00Z"
NAMESPACE = "team"
JOB = "demo"
UID = "11111111-2222-3333-4444-555555555555"

DEFAULTS = Defaults(
    trainer_image="trainer:1",
    engine_sidecar_image="sidecar:1",
    vllm_images=(("cpu", "vllm:1"),),
    progress_url="http://slipway-leader.slipway:8090/v1/progress",
    gateway_url="",
    prometheus_url="",
)

RECIPE: Obj = {
    "recipe": "pretrain",
    "nodes": 2,
    "dataset": {"uri": "file:///data", "include": ["*.py"]},
    "training": {"steps": 200, "batchSize": 16},
}
COMMAND: Obj = {"command": ["python3", "train.py"]}

GANG_PLURAL = "pytorchjobs.kubeflow.org"


def apart(value: Any) -> Any:
    """The same JSON from other strings, as it comes from a network: identity must never be taken for equality."""
    if isinstance(value, str):
        return "".join([value[:1], value[1:]])
    if isinstance(value, list):
        return [apart(entry) for entry in value]
    if isinstance(value, dict):
        return {name: apart(entry) for name, entry in value.items()}
    return value


def gang_ref(attempt: int = 0, job: str = JOB) -> Ref:
    return Ref("kubeflow.org/v1", "PyTorchJob", apart(GANG_PLURAL), NAMESPACE, f"{job}-{attempt}")


def claim_ref(name: str = f"{JOB}-output") -> Ref:
    return Ref("v1", "PersistentVolumeClaim", "persistentvolumeclaims", NAMESPACE, name)


def pod_ref(name: str) -> Ref:
    return Ref("v1", "Pod", "pods", NAMESPACE, apart(name))


def owner(spec: Obj | None = None, status: Obj | None = None, **changes: Any) -> Owner:
    fields: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": JOB,
        "uid": UID,
        "generation": 1,
        "resource_version": "10",
        "deleting": False,
        "spec": apart(RECIPE if spec is None else spec),
        "status": apart(status or {}),
    }
    return Owner(**{**fields, **changes})


def gang(attempt: int = 0, status: Obj | None = None, **changes: Any) -> Child:
    fields: dict[str, Any] = {
        "ref": gang_ref(attempt),
        "uid": f"gang-{attempt}",
        "resource_version": "1",
        "generation": 1,
        "labels": {},
        "owner_uid": apart(UID),
        "deleting": False,
        "created": NOW - 60,
        "status": apart(status or {}),
    }
    return Child(**{**fields, **changes})


def claim_child(**changes: Any) -> Child:
    fields: dict[str, Any] = {
        "ref": claim_ref(),
        "uid": "claim",
        "resource_version": "1",
        "generation": 0,
        "labels": {},
        "owner_uid": "",
        "deleting": False,
        "created": NOW - 60,
        "status": {"phase": "Bound"},
    }
    return Child(**{**fields, **changes})


def backend_condition(kind: str, *, since: str = EARLIER_TEXT, message: str = "") -> Obj:
    return {"conditions": [{"type": kind, "status": "True", "lastTransitionTime": since, "message": message}]}


def container(state: str = "running", **changes: Any) -> Container:
    fields: dict[str, Any] = {"name": apart("pytorch"), "ready": True, "restarts": 0, "state": apart(state)}
    return Container(**{**fields, **apart(changes)})


def ended(exit_code: int, message: str = "", reason: str = "Error", *, finished: float | None = None) -> Container:
    return container("terminated", exit_code=exit_code, message=message, reason=reason, finished=finished)


def pod(role: str = "master-0", attempt: int = 0, *, phase: str = "Running", **changes: Any) -> Pod:
    name = f"{JOB}-{attempt}-{role}"
    fields: dict[str, Any] = {
        "namespace": NAMESPACE,
        "name": name,
        "uid": f"uid-{name}",
        "labels": {"slipway.dev/owner-uid": apart(UID), "slipway.dev/attempt": str(attempt)},
        "phase": apart(phase),
        "reason": "",
        "message": "",
        "node": "node-1",
        "ready": phase == "Running",
        "deleting": False,
        "created": NOW - 50,
        "started": NOW - 40,
        "scheduled": True,
        "unschedulable_message": "",
        "containers": (container(),) if phase == "Running" else (),
    }
    return Pod(**{**fields, **changes})


def gang_pods(attempt: int = 0, *, phase: str = "Running") -> tuple[Pod, Pod]:
    return pod("master-0", attempt, phase=phase), pod("worker-0", attempt, phase=phase)


def claim(*modes: str, **metadata: Any) -> Obj:
    body: Obj = apart({"metadata": metadata, "spec": {"accessModes": list(modes or ("ReadWriteOnce",))}})
    return body


def observed(who: Owner | None = None, **changes: Any) -> Observed:
    return Observed(**{"owner": who or owner(), **changes})


NOTHING_THERE: dict[Ref, Obj | None] = {claim_ref(): None, **{gang_ref(k): None for k in range(5)}}


def fresh(spec: Obj | None = None, *, status: Obj | None = None, **changes: Any) -> Observed:
    """A job whose own claim is there, and nothing else; the live read found nothing more."""
    fields: dict[str, Any] = {"children": (claim_child(),), "read": NOTHING_THERE}
    return observed(owner(spec, status), **{**fields, **changes})


def running_status(attempt: int = 0, **more: Any) -> Obj:
    return {"conditions": conditions(Running=("True", "Running", "")), "attempt": attempt, **more}


def conditions(**given: tuple[str, str, str]) -> list[Obj]:
    return [
        {
            "type": kind,
            "status": status,
            "reason": reason,
            "message": message,
            "observedGeneration": 1,
            "lastTransitionTime": EARLIER_TEXT,
        }
        for kind, (status, reason, message) in given.items()
    ]


def situation(what: Observed) -> Situation:
    spec = TrainingJob.read({"spec": what.owner.spec}).spec
    return look(what, spec, NOW, DEFAULTS)


def asked(what: Observed, now: float = NOW, *, defaults: Defaults = DEFAULTS) -> Plan:
    """The plan as it is, even if it only asks whether pods would be taken."""
    return plan(what, now, defaults)


def planned(what: Observed, now: float = NOW, *, defaults: Defaults = DEFAULTS) -> Plan:
    """The plan once the API server has taken every pod that was tried, but for what `what` already says of them."""
    made = asked(what, now, defaults=defaults)
    if not made.templates:
        return made
    return asked(replace(what, verdicts={digest: Verdict() for digest, _ in made.templates}), now, defaults=defaults)


def all_told(made: Plan) -> dict[str, tuple[str, str, str]]:
    """The conditions of a plan's status: type -> (status, reason, message)."""
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in made.status["conditions"]}


def told(made: Plan) -> dict[str, tuple[str, str, str]]:
    """The same without those that only sometimes have something to tell, when they have nothing."""
    silent = {kind for kind in ("Queued", "Restarting") if all_told(made)[kind][0] == "False"}
    return {kind: said for kind, said in all_told(made).items() if kind not in silent}


def with_gang(
    *pods: Any, status: Any = None, backend: Any = None, attempt: Any = 0, spec: Any = None, **changes: Any
) -> Any:
    children = (claim_child(), gang(attempt, backend))
    return observed(owner(spec, status), **{"children": children, "pods": pods, **changes})


def live(phase: str = "Running", attempt: int = 0, uid: str = UID, **terminated: Any) -> Obj:
    """Rank 0's pod as a live read has it; `terminated` is how its container ended."""
    metadata = {"name": f"{JOB}-{attempt}-master-0", "labels": {"slipway.dev/owner-uid": uid}}
    states = [{"name": "pytorch", "state": {"terminated": terminated}}] if terminated else []
    body: Obj = apart({"metadata": metadata, "status": {"phase": phase, "containerStatuses": states}})
    return body


LIVE = live()


def failing(*pods: Any, **changes: Any) -> Any:
    """Why the attempt failed, as the message of the restart tells it. Live reads tell of no end."""
    read = {pod_ref(f"{JOB}-0-master-0"): LIVE, gang_ref(): {"status": {}}, **changes.pop("read", {})}
    made = planned(with_gang(*pods, read=read, **changes))
    status, reason, message = told(made)["Running"]
    assert (status, reason) == ("False", "Restarting")
    assert message.startswith("restart 1 of 3: ")
    return message.removeprefix("restart 1 of 3: ")


def failed(role: Any = "master-0", message: Any = "", code: Any = 1, **changes: Any) -> Any:
    return pod(role, phase="Failed", containers=(ended(code, message),), **changes)


def goes_on(*pods: Any, **changes: Any) -> Any:
    made = planned(with_gang(*pods, **changes))
    assert told(made)["Running"][1] != "Restarting"
    assert told(made)["Failed"][0] == told(made)["Complete"][0] == "False"
    assert made.status["attempt"] == changes.get("attempt", 0)
    return made
