"""The operator dies in the middle of each phase; what was asked for comes all the same, and nothing is made twice."""

import pytest

from .install import ask
from .killing import at_work, kill_operator
from .kube import Kube, Obj, is_true
from .resources import JOBS, PYTORCHJOBS, SERVICES, command_job, simulated_service, tiny_job

FLEETING = {"size": "1Gi", "whenDeleted": "Delete"}


@pytest.mark.level(2)
@pytest.mark.feature("crash")
@pytest.mark.usefixtures("mended")
def test_the_chain_survives_the_operator(kube: Kube, gateway: str, namespace: str) -> None:
    serve = simulated_service("llm", {"from": {"trainingJob": "job"}}, behaves={"startSeconds": 15})
    kube.apply(namespace, tiny_job("job", steps=1500), serve)
    kill_operator(kube)  # before anything is made, or just after
    made = kube.until(namespace, PYTORCHJOBS, "job-0", exists, seconds=120)
    kill_operator(kube)  # while the gang starts
    kube.until(namespace, JOBS, "job", is_true("Running"), seconds=240)
    kill_operator(kube)  # while it trains
    job = kube.until(namespace, JOBS, "job", is_true("Complete"), seconds=300)
    assert job["status"]["attempt"] == 0
    assert "bitsPerByte" in job["status"]["evaluation"]
    again = kube.get(namespace, PYTORCHJOBS, "job-0")
    assert again is not None
    assert again["metadata"]["uid"] == made["metadata"]["uid"]

    kube.until(namespace, "deployments", "llm", exists, seconds=60)
    kill_operator(kube)  # while the engine starts
    served = kube.until(namespace, SERVICES, "llm", is_true("Ready"), seconds=300)
    assert [each["metadata"]["name"] for each in kube.items(namespace, PYTORCHJOBS)] == ["job-0"]

    kill_operator(kube)  # while it serves: the data plane does not need the operator
    body = {"model": served["status"]["modelName"], "prompt": "def", "max_tokens": 4}
    assert ask(gateway, "/v1/completions", body)["usage"]["completion_tokens"] == 4

    loses_its_job(kube, namespace)
    scales(kube, namespace)
    tells_of_additions(kube, namespace)
    cascades(kube, namespace)


def loses_its_job(kube: Kube, namespace: str) -> None:
    """A job is deleted, and the operator with it: all of it goes but the model, which is served on, as is said."""
    kube.kubectl("-n", namespace, "delete", JOBS, "job", "--wait=false")
    kill_operator(kube)
    kube.gone(namespace, PYTORCHJOBS, "job-0", seconds=60)
    service = kube.until(namespace, SERVICES, "llm", is_true("ModelReady", "SourceDeleted"), seconds=90)
    assert is_true("Ready", "Serving")(service)
    assert kube.get(namespace, "persistentvolumeclaim", service["status"]["model"]["claim"]) is not None
    assert kube.items(namespace, PYTORCHJOBS) == []


def scales(kube: Kube, namespace: str) -> None:
    """Up, though the job is gone: the new pod finds the model. Down to nothing. The operator dies at each."""
    old = {pod["metadata"]["name"] for pod in kube.items(namespace, "pods", "slipway.dev/inference-service=llm")}
    kube.kubectl("-n", namespace, "scale", SERVICES, "llm", "--replicas=2")
    kill_operator(kube)
    selector = "slipway.dev/inference-service=llm"
    new = kube.until(
        namespace,
        "pods",
        selector,
        lambda pod: pod["metadata"]["name"] not in old and model_was_found(pod),
        seconds=120,
        selector=True,
    )
    assert new["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == "job-output"
    kube.kubectl("-n", namespace, "scale", SERVICES, "llm", "--replicas=0")
    kill_operator(kube)
    kube.until(namespace, "deployments", "llm", lambda seen: bool(seen["spec"]["replicas"] == 0), seconds=90)
    kube.until(namespace, SERVICES, "llm", is_true("Ready", "ScaledToZero"), seconds=60)


def model_was_found(pod: Obj) -> bool:
    ended = {each["name"]: each["state"].get("terminated") for each in pod["status"].get("initContainerStatuses", [])}
    check = ended.get("model-check")
    return check is not None and check["exitCode"] == 0


def tells_of_additions(kube: Kube, namespace: str) -> None:
    """At zero, where a changed pod template costs no engine's start."""
    kube.kubectl("-n", namespace, "set", "env", "deployment/llm", "-c", "main", "ADDED=1")
    path = "spec.containers[name=main].env[name=ADDED] (kubectl-set)"
    kube.until(
        namespace, SERVICES, "llm", lambda seen: seen["status"].get("podTemplateAdditions") == [path], seconds=60
    )


def cascades(kube: Kube, namespace: str) -> None:
    """A service is deleted, and the operator with it: nothing remains, and the new operator makes nothing anew."""
    kube.kubectl("-n", namespace, "delete", SERVICES, "llm", "--wait=false")
    kill_operator(kube)
    kube.gone(namespace, "deployment", "llm", seconds=60)
    kube.gone(namespace, "service", "llm", seconds=60)
    at_work(kube, namespace)
    left = [kube.items(namespace, kind, "app.kubernetes.io/managed-by=slipway") for kind in ("deployments", "services")]
    assert left == [[], []]


# Each process waits until it is told to fail, so that a rank dies exactly when the test wants it.
WAIT = """
import os, time

while not os.path.exists("/tmp/fail"):
    time.sleep(0.1)
raise SystemExit(1)
"""


@pytest.mark.level(2)
@pytest.mark.feature("crash")
@pytest.mark.usefixtures("mended")
def test_a_gang_restarts_and_goes_though_the_operator_dies(kube: Kube, namespace: str) -> None:
    """A rank dies while no operator leads; then the job is deleted while it runs, and the operator with it. Between the
    two gangs of a restart it dies in test_gang_restart.py.
    """
    kube.apply(namespace, command_job("gang", "python3", "-c", WAIT, nodes=2, output=FLEETING))
    kube.until(namespace, JOBS, "gang", is_true("Running"), seconds=120)
    kill_operator(kube)  # nobody leads until its Lease has run out
    kube.kubectl("-n", namespace, "exec", "gang-0-worker-0", "-c", "pytorch", "--", "touch", "/tmp/fail")
    kube.until(namespace, JOBS, "gang", lambda job: in_attempt(job, 1), seconds=120)
    assert [each["metadata"]["name"] for each in kube.items(namespace, PYTORCHJOBS)] == ["gang-1"]

    kube.kubectl("-n", namespace, "delete", JOBS, "gang", "--wait=false")
    kill_operator(kube)
    kube.gone(namespace, PYTORCHJOBS, "gang-1", seconds=60)
    kube.kubectl("-n", namespace, "wait", "--for=delete", "pod", "--all", "--timeout=90s")
    kube.gone(namespace, "persistentvolumeclaim", "gang-output", seconds=60)
    at_work(kube, namespace)
    assert [kube.items(namespace, kind) for kind in (PYTORCHJOBS, "pods", "persistentvolumeclaims")] == [[], [], []]


def in_attempt(job: Obj, attempt: int) -> bool:
    """Whether all pods of that attempt run."""
    return is_true("Running")(job) and bool(job["status"]["attempt"] == attempt)


def exists(obj: Obj) -> bool:
    return "uid" in obj["metadata"]
