"""The operator starts before PyTorchJob's CRD exists, says so on the job, and goes on by itself when the CRD arrives.

First of this directory by name: it needs an API server that has not met PyTorchJobs yet.
"""

import pytest
from loopbed import PYTORCH_JOBS, Bed, establish, eventually


@pytest.mark.level(2)
@pytest.mark.feature("control-loop")
def test_a_crd_that_comes_later_needs_no_restart(bed: Bed) -> None:
    if bed.api.request("GET", "/apis/kubeflow.org/v1")[0] == 200:
        pytest.skip("another test has installed the CRD already")
    bed.job("early")
    with bed.replica("one") as replica:
        eventually(replica.is_ready, "ready without the CRD")
        reason, message = eventually(
            lambda: bed.ready("trainingjobs", "early") if bed.ready("trainingjobs", "early")[0] == "Refused" else None,
            "the status names the refusal",
        )
        assert reason == "Refused"
        assert "install its CustomResourceDefinition" in message
        assert bed.get("services", "early"), "what could be applied stands"
        establish(bed.api, PYTORCH_JOBS)
        eventually(lambda: bed.get("pytorchjobs", "early-0"), "the gang is created without a restart")
        eventually(lambda: bed.ready("trainingjobs", "early")[0] == "Made", "and watched, too")
        bed.delete("trainingjobs", "early")
        assert replica.terminate() == 0, replica.said()


@pytest.mark.level(2)
@pytest.mark.feature("control-loop")
def test_a_crd_that_goes_and_comes_back_is_watched_again(bed: Bed) -> None:
    """Reinstalling the training operator takes its kind away and brings it back; we live through both."""
    establish(bed.api, PYTORCH_JOBS)
    with bed.replica("one") as one:
        eventually(one.leads, "leads")
        bed.job("early")
        eventually(lambda: bed.ready("trainingjobs", "early")[0] == "Made", "made")
        crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/pytorchjobs.kubeflow.org"
        assert bed.api.request("DELETE", crds)[0] == 200
        eventually(lambda: bed.api.request("GET", "/apis/kubeflow.org/v1")[0] == 404, "the kind is gone")
        eventually(lambda: bed.ready("trainingjobs", "early")[0] == "Refused", f"says so {one.said()}")
        establish(bed.api, PYTORCH_JOBS)
        eventually(lambda: bed.ready("trainingjobs", "early")[0] == "Made", f"made again {one.said()}", 120)
        assert one.process.poll() is None
