"""The operator dies in the middle of each phase; the chain completes all the same, and nothing is made twice."""

import subprocess
from collections.abc import Iterator

import pytest

from .install import SYSTEM, ask
from .kube import Kube, Obj, is_true
from .resources import JOBS, PYTORCHJOBS, SERVICES, service, tiny_job

OPERATOR = "app.kubernetes.io/name=slipway-operator"
PROCESS = "/opt/slipway/bin/slipway run"


def kill_operator(kube: Kube) -> None:
    """SIGKILL from the node, as the kernel would: nothing is flushed, the Lease is not released."""
    pod = kube.until(SYSTEM, "pods", OPERATOR, lambda seen: runs_since(seen) is not None, seconds=180, selector=True)
    subprocess.run(["docker", "exec", pod["spec"]["nodeName"], "pkill", "-KILL", "-f", PROCESS], check=True)

    kube.until(SYSTEM, "pods", pod["metadata"]["name"], lambda seen: runs_since(seen) != runs_since(pod), seconds=30)


@pytest.fixture
def mended(kube: Kube) -> Iterator[None]:
    """A new operator pod after the test: the kubelet waits minutes before it starts the killed one again."""
    yield
    kube.kubectl("-n", SYSTEM, "delete", "pod", "-l", OPERATOR)
    kube.kubectl("-n", SYSTEM, "rollout", "status", "deployment/slipway-operator", "--timeout=120s")


def runs_since(pod: Obj) -> object:
    """When its process was started; None while there is none, as in the kubelet's growing pauses between restarts."""
    [status] = pod["status"]["containerStatuses"]
    return status["state"].get("running", {}).get("startedAt")


@pytest.mark.level(2)
@pytest.mark.feature("crash")
@pytest.mark.usefixtures("mended")
def test_the_chain_survives_the_operator(kube: Kube, gateway: str, namespace: str) -> None:
    kube.apply(namespace, tiny_job("job", steps=1500), service("llm", {"from": {"trainingJob": "job"}}))
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


def exists(obj: Obj) -> bool:
    return "uid" in obj["metadata"]
