"""Objects for the tests of the loop, as short as they can be."""

from collections.abc import Callable
from typing import Any

from slipway.kube.kinds import PYTORCH_JOB, SERVICE, TRAINING_JOB, Resource
from slipway.plan.labels import ATTEMPT, MANAGED_BY, MANAGER
from slipway.plan.labels import TRAINING_JOB as JOB_LABEL
from slipway.plan.observed import Observed
from slipway.plan.outcome import Defaults, Plan
from slipway.reconcile.gate import Gate
from slipway.reconcile.keys import Key
from slipway.telemetry.metrics import Metrics

Obj = dict[str, Any]

JOB = Key("TrainingJob", "ns", "job")
SERVE = Key("InferenceService", "ns", "serve")
JOB_PATH = "/apis/slipway.dev/v1alpha1/namespaces/ns/trainingjobs/job"
SERVICE_PATH = "/api/v1/namespaces/ns/services/job"
GANG_PATH = "/apis/kubeflow.org/v1/namespaces/ns/pytorchjobs/job-0"
DEFAULTS = Defaults("trainer", "sidecar", (("cpu", "vllm"),), "", "", "")

ENVIRONMENT = {
    "SLIPWAY_NAMESPACE": "slipway",
    "SLIPWAY_TRAINER_IMAGE": "trainer:1",
    "SLIPWAY_ENGINE_IMAGE": "engine:1",
    "SLIPWAY_VLLM_CPU_IMAGE": "vllm-cpu:1",
    "SLIPWAY_VLLM_NVIDIA_IMAGE": "vllm:1",
    "POD_NAME": "operator-0",
}

Planner = Callable[[Observed, float, Defaults], Plan]


def body(
    resource: Resource,
    name: str,
    *,
    uid: str = "uid",
    version: int | str = 1,
    labels: dict[str, str] | None = None,
    namespace: str = "ns",
    **more: Any,
) -> Obj:
    metadata: Obj = {"name": name, "namespace": namespace, "uid": uid, "resourceVersion": str(version)}
    metadata |= {"labels": labels} if labels else {}
    metadata |= more.pop("metadata", {})
    return {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": metadata, **more}


def job(version: int | str = 1, *, uid: str = "job-uid", name: str = "job", **more: Any) -> Obj:
    return body(TRAINING_JOB, name, uid=uid, version=version, **more)


def child_labels(job: str = "job", **more: str) -> dict[str, str]:
    return {MANAGED_BY: MANAGER, JOB_LABEL: job, **more}


def service(port: int = 80) -> Obj:
    """A Service as a plan asks for it."""
    return {
        "apiVersion": "v1",
        "kind": SERVICE.kind,
        "metadata": {"name": "job", "namespace": "ns", "labels": child_labels()},
        "spec": {"port": port},
    }


def gang(attempt: int = 0, *, owner_uid: str = "job-uid") -> Obj:
    """A PyTorchJob as a plan asks for it."""
    return {
        "apiVersion": PYTORCH_JOB.api_version,
        "kind": PYTORCH_JOB.kind,
        "metadata": {
            "name": f"job-{attempt}",
            "namespace": "ns",
            "labels": child_labels(**{ATTEMPT: str(attempt)}),
            "ownerReferences": [{"uid": owner_uid, "controller": True, "kind": "TrainingJob", "name": "job"}],
        },
        "spec": {"size": 1},
    }


def open_gate(metrics: Metrics | None = None) -> Gate:
    return Gate(lambda: 10.0, rate=1e6, burst=1000, metrics=metrics or Metrics())
