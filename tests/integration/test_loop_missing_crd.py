"""The operator starts before PyTorchJob's CRD exists, says so on the job, and goes on when the CRD arrives."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.apiserver import api_server

from .loopbed import OURS, PYTORCH_JOBS, Bed, establish, eventually


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Bed]:
    """An API server of the test's own, which has not met PyTorchJobs."""
    with api_server(tmp_path / "control-plane") as server:
        establish(server, *OURS)
        yield Bed(server, "default", tmp_path)


@pytest.mark.level(2)
@pytest.mark.feature("control-loop")
def test_a_crd_that_comes_later_needs_no_restart(bare: Bed) -> None:
    bare.job("early")
    with bare.replica("one") as replica:
        eventually(replica.is_ready, "ready without the CRD")
        eventually(lambda: bare.ready("trainingjobs", "early")[0] == "Refused", "the status names the refusal")
        assert "install its CustomResourceDefinition" in bare.ready("trainingjobs", "early")[1]
        assert bare.get("services", "early"), "what could be applied stands"
        establish(bare.api, PYTORCH_JOBS)
        eventually(lambda: bare.find("pytorchjobs", "early-0"), "the gang is created without a restart")
        eventually(lambda: bare.ready("trainingjobs", "early")[0] == "Made", "and watched, too")
        assert replica.terminate() == 0, replica.said()


@pytest.mark.level(2)
@pytest.mark.feature("control-loop")
def test_a_crd_that_goes_and_comes_back_is_watched_again(bare: Bed) -> None:
    """Reinstalling the training operator takes its kind away and brings it back; we live through both."""
    establish(bare.api, PYTORCH_JOBS)
    with bare.replica("one") as one:
        eventually(one.leads, "leads")
        bare.job("early")
        eventually(lambda: bare.ready("trainingjobs", "early")[0] == "Made", "made")
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pytorchjobs.kubeflow.org"
        assert bare.api.request("DELETE", crds)[0] == 200
        eventually(lambda: bare.api.request("GET", "/apis/kubeflow.org/v1")[0] == 404, "the kind is gone")
        eventually(lambda: bare.ready("trainingjobs", "early")[0] == "Refused", f"says so {one.said()}")
        establish(bare.api, PYTORCH_JOBS)
        eventually(lambda: bare.ready("trainingjobs", "early")[0] == "Made", f"made again {one.said()}", 120)
        assert one.process.poll() is None
