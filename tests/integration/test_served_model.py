"""The product's own planner at a real API server: a service whose job, and then whose claim, is deleted under it.

There are no controllers: nothing collects garbage, no pod is made. What is seen is what the operator writes.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.plan.observed import Obj
from tests.controlplane.apiserver import ApiServer

from .loopbed import Bed, Replica, eventually, owner

pytestmark = [pytest.mark.level(2), pytest.mark.feature("serving")]

CRDS = Path(__file__).parents[2] / "charts" / "slipway-crds" / "templates"
TINY = {"command": ["true"], "output": {"claim": "models"}}


@pytest.fixture
def own(kube_api: ApiServer, loop_directory: Path) -> Iterator[Bed]:
    """A namespace of an API server with the product's CRDs, and the product's operator on it."""
    kube_api.kubectl("apply", "--server-side", "-f", str(CRDS))
    kube_api.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CRDS))
    kube_api.kubectl("create", "namespace", "served")
    bed = Bed(kube_api, "served", loop_directory)
    metadata = {
        "name": "models",
        "labels": {"app.kubernetes.io/managed-by": "slipway", "slipway.dev/training-job": "job"},
    }
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    bed.create("persistentvolumeclaims", {"metadata": metadata, "spec": spec})
    yield bed
    for plural in ("trainingjobs", "inferenceservices"):
        assert kube_api.request("DELETE", bed.path(plural))[0] == 200


def complete(bed: Bed) -> str:
    """A TrainingJob `job` that says it is Complete; returns its uid."""
    uid: str = (bed.find("trainingjobs", "job") or bed.job("job", **TINY))["metadata"]["uid"]
    done: Obj = {"type": "Complete", "status": "True", "reason": "Succeeded", "message": ""}
    done |= {"observedGeneration": 1, "lastTransitionTime": "2027-01-15T08:00:00Z"}
    status = {"conditions": [done], "output": {"claim": "models", "path": f"{uid}/model"}}
    bed.patch("trainingjobs", "job", {"status": status}, "/status")
    return uid


def deployment(bed: Bed) -> Obj | None:
    status, answer = bed.api.request("GET", f"/apis/apps/v1/namespaces/{bed.namespace}/deployments/chat")
    return answer if status == 200 else None


def is_deployed(bed: Bed, replicas: int, uid: str) -> bool:
    found = deployment(bed)
    if found is None:
        return False
    path = found["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return bool(found["spec"]["replicas"] == replicas and path == f"/slipway/model/{uid}/model")


def model_ready(bed: Bed) -> tuple[str, str]:
    """Status and reason."""
    listed = bed.get("inferenceservices", "chat").get("status", {}).get("conditions", [])
    return next(((each["status"], each["reason"]) for each in listed if each["type"] == "ModelReady"), ("", ""))


def scaled(bed: Bed, replicas: int) -> None:
    bed.patch("inferenceservices", "chat", {"spec": {"replicas": replicas}}, "/scale")


def awaits(bed: Bed, operator: Replica, status: str, reason: str) -> None:
    eventually(lambda: model_ready(bed) == (status, reason), f"{reason}; the operator said {operator.said()}")


def test_a_served_model_outlives_its_job_and_its_pods_the_claim(own: Bed) -> None:
    first = complete(own)
    own.create("inferenceservices", owner("InferenceService", "chat", {"model": {"from": {"trainingJob": "job"}}}))
    with own.replica("product", program=("-m", "slipway", "run")) as operator:
        eventually(lambda: is_deployed(own, 1, first), "the model is deployed")
        awaits(own, operator, "True", "ModelFound")

        own.delete("trainingjobs", "job")
        awaits(own, operator, "True", "SourceDeleted")
        scaled(own, 3)
        eventually(lambda: is_deployed(own, 3, first), "scaled up without the job")

        own.job("job", **TINY)
        awaits(own, operator, "True", "SourceReplaced")
        scaled(own, 2)
        eventually(lambda: is_deployed(own, 2, first), "scaled down while the new job has no model")

        second = complete(own)
        eventually(lambda: is_deployed(own, 2, second), "the new job's model takes over")
        awaits(own, operator, "True", "ModelFound")
        told = eventually(lambda: [each for each in own.list("events") if each["reason"] == "ModelReplaced"], "is told")
        assert (len(told), told[0]["type"]) == (1, "Warning")

        own.delete("persistentvolumeclaims", "models")
        awaits(own, operator, "False", "ClaimTerminating")
        scaled(own, 1)
        eventually(lambda: is_deployed(own, 1, second), "scaled down without the claim")

        own.api.kubectl("-n", own.namespace, "set", "env", "deployment/chat", "-c", "main", "ADDED=1")
        additions = ["spec.containers[name=main].env[name=ADDED] (kubectl-set)"]
        eventually(
            lambda: own.get("inferenceservices", "chat")["status"].get("podTemplateAdditions") == additions,
            f"the addition is told; the operator said {operator.said()}",
        )
