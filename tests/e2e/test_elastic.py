"""An elastic gang shrinks where the node has no room for all of it, and grows when it has, from its checkpoint."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from .install import IMAGES
from .kube import Kube, Obj, condition, is_true
from .resources import JOBS, tiny_job

pytestmark = [pytest.mark.level(2), pytest.mark.feature("elastic")]

POD_MILLICORES = 250  # what a training pod asks for
LEFT_MILLICORES = POD_MILLICORES * 3 // 2  # room for one of them
OVER = ("Succeeded", "Failed")
RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def millicores(cpu: str) -> int:
    """Of a Quantity as Kubernetes writes cores: 2, 250m or 1.5."""
    return int(cpu[:-1]) if cpu.endswith("m") else int(float(cpu) * 1000)


def requested(pod: Obj) -> int:
    """What the scheduler counts: the containers together, or the one init container that asks for more."""

    def of(containers: list[Obj]) -> list[int]:
        asked = [each.get("resources", {}).get("requests", {}).get("cpu", "0") for each in containers]
        return [millicores(cpu) for cpu in asked]

    init = pod["spec"].get("initContainers", [])
    sidecars = [each for each in init if each.get("restartPolicy") == "Always"]
    before = [each for each in init if each.get("restartPolicy") != "Always"]
    return max(sum(of([*pod["spec"]["containers"], *sidecars])), *of(before), 0)


def free_millicores(kube: Kube) -> int:
    """Of the bed's only node."""
    (node,) = kube.items("default", "nodes")
    listed: Obj = json.loads(kube.kubectl("get", "pods", "--all-namespaces", "-o", "json"))
    there = [pod for pod in listed["items"] if pod["spec"].get("nodeName") and pod["status"]["phase"] not in OVER]
    return millicores(node["status"]["allocatable"]["cpu"]) - sum(requested(pod) for pod in there)


@contextmanager
def node_taken(kube: Kube, namespace: str) -> Iterator[None]:
    """Until this is left, a pod that does nothing has so much of the node that one training pod has room, not two."""
    taken = free_millicores(kube) - LEFT_MILLICORES
    assert taken > 0, "the node has no room for a training pod even before it is taken"
    main = {
        "name": "main",
        "image": IMAGES["images.trainer"],
        "command": ["python3", "-c", "import signal; signal.pause()"],
        "resources": {"requests": {"cpu": f"{taken}m"}},
        "securityContext": RESTRICTED,
    }
    spec = {"containers": [main], "terminationGracePeriodSeconds": 0}
    kube.apply(namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taker"}, "spec": spec})
    kube.until(namespace, "pods", "taker", is_true("Ready"), seconds=60)
    try:
        yield
    finally:
        kube.kubectl("-n", namespace, "delete", "pod", "taker", "--grace-period=0")


def runs_on(nodes: int) -> Callable[[Obj], bool]:
    """A predicate: the whole gang runs, and has so many nodes."""

    def holds(job: Obj) -> bool:
        has = job.get("status", {}).get("elastic", {}).get("nodes")
        return is_true("Running", "Running")(job) and has == nodes

    return holds


def has_saved(job: Obj) -> bool:
    return bool(job["status"].get("progress", {}).get("lastCheckpointStep", 0) >= 4)


def goes_on(job: Obj, status: Obj) -> bool:
    """Whether it has made steps since it had this status."""
    return bool(job["status"]["progress"]["step"] > status["progress"]["step"])


def reasons(kube: Kube, namespace: str) -> list[str]:
    return [event["reason"] for event in kube.items(namespace, "events") if event["involvedObject"]["name"] == "gang"]


def rank_0(job: Obj) -> str:
    return f"{job['metadata']['name']}-{job['status']['attempt']}-master-0"


def steps_of_curve(kube: Kube, namespace: str, job: Obj) -> list[int]:
    """Of all whole lines that rank 0 has written."""
    path = f"/slipway/output/{job['metadata']['uid']}/metrics.jsonl"
    text = kube.kubectl("-n", namespace, "exec", rank_0(job), "--container=pytorch", "--", "cat", path)
    return [json.loads(line)["step"] for line in text.splitlines(keepends=True) if line.endswith("\n")]


def test_a_gang_shrinks_to_the_room_there_is_and_grows_when_there_is_more(kube: Kube, namespace: str) -> None:
    elastic, once = {"minNodes": 1, "waitSeconds": 5, "growAfterSeconds": 30}, {"maxRestarts": 0}
    with node_taken(kube, namespace):
        kube.apply(namespace, tiny_job("gang", steps=100_000, elastic=elastic, failurePolicy=once))
        small = kube.until(namespace, JOBS, "gang", runs_on(1), seconds=240)
        assert small["status"]["attempt"] == 1
        assert "1 of 2 pods of attempt 0 had a node" in small["status"]["elastic"]["message"]
        assert "attempt 1 runs on 1 pod of 2" in condition(small, "Running")["message"]
        saved = kube.until(namespace, JOBS, "gang", has_saved, seconds=120)["status"]["progress"]

    # If it tried to grow while the node was taken, it has shrunk again since, and tries once more.
    grown = kube.until(namespace, JOBS, "gang", runs_on(2), seconds=360)
    status = grown["status"]
    assert "message" not in status["elastic"]
    assert status["attempt"] == status["elastic"]["resizes"] >= 2, "every attempt after the first is a change of size"
    assert "restarts" not in status
    assert "lastFailure" not in status
    assert {"Shrunk", "Grown"} <= set(reasons(kube, namespace))

    pods = kube.items(namespace, "pods", "slipway.dev/training-job=gang")
    assert len([pod for pod in pods if pod["status"]["phase"] == "Running"]) == 2

    further = kube.until(namespace, JOBS, "gang", lambda job: goes_on(job, status), seconds=180)
    log = kube.kubectl("-n", namespace, "logs", rank_0(further), "-c", "pytorch")
    resumed = re.search(r"event=resume step=(\d+)", log)
    assert resumed is not None, log
    assert int(resumed[1]) >= saved["lastCheckpointStep"]
    curve = steps_of_curve(kube, namespace, further)
    assert curve == list(range(1, len(curve) + 1)), "no step is missing, and none is there twice"
    assert len(curve) > int(resumed[1])
