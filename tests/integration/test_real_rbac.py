"""The chart's table of permissions is what operator and gateway ask for: nothing is missing, nothing is unused.

Both run with the accounts of the chart and live through all that they can do; the API server's audit log says what
they asked. A verb that no longer appears here is to be taken from the table, not from this test.
"""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from slipway.api.rbac import PERMISSIONS, Component
from slipway.plan.observed import Obj
from tests.controlplane.apiserver import ApiServer

from . import realbed
from .loopbed import Bed, Replica, eventually, free_port, http
from .realbed import JOB, OPERATOR, Call, calls, says

pytestmark = [pytest.mark.level(2), pytest.mark.feature("security")]

SYSTEM = "rbac-system"
# Asked for by admission, which checks owner references, and not by a request: no log has it.
CHECKED_ONLY = {
    ("operator", "slipway.dev", "trainingjobs/finalizers", "update"),
    ("operator", "slipway.dev", "inferenceservices/finalizers", "update"),
}

Right = tuple[str, str, str, str]  # component, group, resource, verb


def table(component: Component) -> set[Right]:
    return {
        (component, each.group, resource, verb)
        for each in PERMISSIONS
        if each.component == component
        for resource in each.resources
        for verb in each.verbs
    }


def rights(component: Component, recorded: list[Call]) -> set[Right]:
    """What it takes to be allowed these calls. A server-side apply that makes an object needs `create`, too."""
    found: set[Right] = set()
    for call in recorded:
        found.add((component, call.group, call.resource, call.verb))
        if call.verb == "patch" and call.created:
            found.add((component, call.group, call.resource, "create"))
    return found


@pytest.fixture
def system(real_api: ApiServer, real_directory: Path) -> Bed:
    return realbed.namespace(real_api, SYSTEM, real_directory)


@contextmanager
def gateway(bed: Bed, kubeconfig: Path) -> Iterator[int]:
    """A running gateway; gives its admin port."""
    port, admin = free_port(), free_port()
    command = [sys.executable, "-m", "slipway_gateway", "--kubeconfig", str(kubeconfig)]
    command += ["--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"]
    with (bed.directory / "gateway.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield admin
    finally:
        process.kill()
        process.wait()


def service(name: str, **spec: object) -> Obj:
    body = {"model": {"uri": "pvc://models"}, **spec}
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "InferenceService", "metadata": {"name": name}, "spec": body}


def claim(bed: Bed) -> None:
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    bed.create("persistentvolumeclaims", {"metadata": {"name": "models"}, "spec": spec})


def a_job_that_fails_and_goes_on(bed: Bed, asked: Callable[[], bool]) -> None:
    """`asked`: whether the operator has asked for the node of what is left."""
    body = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "train"}, "spec": JOB}
    bed.create("trainingjobs", body)
    eventually(partial(bed.find, "pytorchjobs", "train-0"), "the gang")
    gang = bed.get("pytorchjobs", "train-0")
    template = gang["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    body = {
        "metadata": {"name": "train-0-master-0", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    placed = {**template["spec"], "nodeName": "nowhere", "terminationGracePeriodSeconds": 1}
    bed.create("pods", {**body, "spec": placed})
    bed.patch("pods", "train-0-master-0", {"status": {"phase": "Running"}}, "/status")
    says(bed, "trainingjobs", "train", "Running", "Running")
    bed.delete("pods", "train-0-master-0")  # read live before it counts as lost; no kubelet lets it go
    eventually(asked, "a pod that does not go: does its node answer?")
    bed.delete("pods", "train-0-master-0", grace_seconds=0)
    eventually(partial(bed.find, "pytorchjobs", "train-1"), "the next attempt")
    assert bed.find("pytorchjobs", "train-0") is None
    bed.create("pods", body)
    eventually(lambda: bed.find("pods", "train-0-master-0") is None, "what is left of the attempt before is deleted")


def a_job_that_is_over_and_goes(bed: Bed) -> None:
    spec = {**JOB, "ttlSecondsAfterFinished": 0}
    body = {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": "brief"}, "spec": spec}
    bed.create("trainingjobs", body)
    eventually(partial(bed.find, "pytorchjobs", "brief-0"), "the gang")
    done = {"type": "Succeeded", "status": "True"}
    bed.patch("pytorchjobs", "brief-0", {"status": {"conditions": [done]}}, "/status")
    eventually(lambda: bed.find("trainingjobs", "brief") is None, "its time has come")


def a_service_that_comes_and_goes(bed: Bed) -> None:
    scaling = {"minReplicas": 0, "maxReplicas": 2, "requestsPerReplica": 8, "idleSeconds": 60}
    bed.create("inferenceservices", service("chat", scaling=scaling))
    for touched in ("once", "twice"):  # the same event again is counted, which is a patch
        says(bed, "inferenceservices", "chat", "Ready", "ClaimNotFound")
        claim(bed)
        eventually(partial(bed.find, "scaledobjects", "chat"), "scaled")
        says(bed, "inferenceservices", "chat", "ModelReady", "ModelFound")
        bed.delete("persistentvolumeclaims", "models")
        bed.patch("persistentvolumeclaims", "models", {"metadata": {"finalizers": None}})  # no controller would
        bed.patch("inferenceservices", "chat", {"metadata": {"annotations": {"touched": touched}}})
    says(bed, "inferenceservices", "chat", "Ready", "ClaimNotFound")
    claim(bed)
    bed.patch("inferenceservices", "chat", {"spec": {"scaling": None, "replicas": 1}})
    eventually(lambda: bed.find("scaledobjects", "chat") is None, "no longer scaled")


def test_the_table_is_what_is_asked_for(system: Bed, real_bed: Bed, real_directory: Path) -> None:
    operator, kubeconfig = realbed.account(system, "operator")
    reader, reading = realbed.account(system, "gateway")
    environment = {"SLIPWAY_PROMETHEUS_URL": "http://prometheus:9090"}
    with (
        system.replica("one", kubeconfig=kubeconfig, program=OPERATOR, **environment) as one,
        gateway(system, reading) as admin,
    ):
        eventually(one.leads, "leads")
        a_job_that_fails_and_goes_on(
            real_bed, lambda: any(call.resource == "nodes" for call in calls(real_directory, operator))
        )
        a_job_that_is_over_and_goes(real_bed)
        a_service_that_comes_and_goes(real_bed)
        assert report(one) == 401, "whose token it is, the API server is asked"
        eventually(lambda: http("GET", f"http://127.0.0.1:{admin}/readyz")[0] == 200, "the gateway follows")
        assert one.terminate() == 0, one.said()
    recorded = {"operator": list(calls(real_directory, operator)), "gateway": list(calls(real_directory, reader))}
    assert rights("operator", recorded["operator"]) | CHECKED_ONLY == table("operator")
    assert rights("gateway", recorded["gateway"]) == table("gateway")
    assert [call for calls_ in recorded.values() for call in calls_ if not call.allowed] == []
    check_scope(recorded["operator"])


def report(one: Replica) -> int:
    url = f"http://127.0.0.1:{one.progress_port}/v1/progress"
    return http("POST", url, b'{"step": 1}', {"Authorization": f"Bearer {made_up_token()}"})[0]


def made_up_token() -> str:
    """For our audience by its own words: what says less of itself is refused without asking the API server."""
    parts: tuple[Obj, ...] = ({"alg": "RS256"}, {"aud": ["slipway.dev/progress"], "exp": 2**40}, {})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def check_scope(recorded: list[Call]) -> None:
    """What the table limits to a namespace or a name is asked for nowhere else; pods are created as a try only."""
    for call in recorded:
        if call.resource in ("leases", "endpointslices"):
            assert call.namespace == SYSTEM
        if (call.resource, call.verb) in (("pods", "create"), ("podtemplates", "create")):
            assert "dryRun=All" in call.query
        if call.resource == "leases" and call.verb != "create":
            assert call.name == "slipway"
        if call.resource == "endpointslices":
            assert call.name == "slipway-leader"
