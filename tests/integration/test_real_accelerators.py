"""A class of GPUs that comes, and goes, is seen by an operator on a real API server, with the chart's permissions."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.plan.observed import Obj
from tests.controlplane.apiserver import ApiServer
from tests.crd.crdtable import ACCELERATOR, COLLECTIONS

from . import realbed
from .loopbed import Bed, Replica, eventually
from .realbed import JOB, OPERATOR, says

pytestmark = [pytest.mark.level(2), pytest.mark.feature("planner")]

ACCELERATORS = COLLECTIONS["Accelerator"]
NAME = "of-a-test"
SPEC: Obj = {**JOB, "accelerator": "nvidia", "acceleratorClass": NAME}


@pytest.fixture
def operator(real_api: ApiServer, real_directory: Path) -> Iterator[Replica]:
    system = realbed.namespace(real_api, "accelerators-system", real_directory)
    _, kubeconfig = realbed.account(system, "operator")
    with system.replica("one", kubeconfig=kubeconfig, program=OPERATOR) as replica:
        eventually(replica.leads, "leads")
        yield replica


def test_a_class_that_comes_is_used_and_one_that_goes_is_missed(operator: Replica, real_bed: Bed) -> None:
    real_bed.job("train", **SPEC)
    message = says(real_bed, "trainingjobs", "train", "Accepted", "UnknownAccelerator")
    assert message.startswith(f"spec.acceleratorClass: there is no Accelerator '{NAME}': there are a100-40gb, ")
    assert real_bed.list("pytorchjobs") == []

    made = {**ACCELERATOR, "metadata": {"name": NAME}}
    assert real_bed.api.request("POST", ACCELERATORS, made)[0] == 201
    says(real_bed, "trainingjobs", "train", "Accepted", "Accepted")
    eventually(lambda: real_bed.find("pytorchjobs", "train-0"), "the gang is made")
    gang = real_bed.get("pytorchjobs", "train-0")
    pod = gang["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]
    assert pod["nodeSelector"] == ACCELERATOR["spec"]["nodeLabels"]

    real_bed.job("waiting", **SPEC, suspend=True)
    says(real_bed, "trainingjobs", "waiting", "Accepted", "Accepted")
    assert real_bed.api.request("DELETE", f"{ACCELERATORS}/{NAME}")[0] == 200
    says(real_bed, "trainingjobs", "waiting", "Accepted", "UnknownAccelerator")
    says(real_bed, "trainingjobs", "train", "Accepted", "Accepted")  # its gang is there
