"""Contract 1 at a real API server: the operator gets there, stays there, repairs what others do, and then rests."""

import time
from collections.abc import Iterator

import pytest

from slipway.kube.leader_slice import leader_slice, shows

from .loopbed import PYTORCH_JOBS, Bed, Replica, establish, eventually, owner

pytestmark = [pytest.mark.level(2), pytest.mark.feature("control-loop")]

REST_SECONDS = 4.0


@pytest.fixture
def operator(bed: Bed) -> Iterator[Replica]:
    establish(bed.api, PYTORCH_JOBS)
    with bed.replica("one") as replica:
        eventually(replica.leads, "leads")
        yield replica


def made(bed: Bed, name: str) -> None:
    eventually(lambda: bed.ready("trainingjobs", name)[0] == "Made", f"{name} is made")


def test_a_job_gets_its_children_its_status_and_an_event(bed: Bed, operator: Replica) -> None:
    bed.job("plain", port=81)
    made(bed, "plain")
    assert bed.get("services", "plain")["spec"]["ports"][0]["port"] == 81
    assert bed.get("pytorchjobs", "plain-0")["metadata"]["labels"]["slipway.dev/attempt"] == "0"
    status = bed.get("trainingjobs", "plain")["status"]
    assert (status["observedGeneration"], status["attempt"]) == (1, 0)
    events = eventually(lambda: [e for e in bed.list("events") if e["reason"] == "Made"], "the event")
    assert [e["regarding"]["name"] for e in events] == ["plain"]
    eventually(lambda: bed.find("endpointslices", "slipway-leader"), "the leader's address")
    slice_ = bed.get("endpointslices", "slipway-leader")
    wanted = leader_slice(
        service="slipway-leader", namespace=bed.namespace, address="10.1.2.3", port=operator.progress_port
    )
    assert shows(slice_, wanted), "what is read is what was written, so it is written once"


def test_deleted_and_edited_children_are_repaired(bed: Bed, operator: Replica) -> None:
    bed.job("mend", port=81)
    made(bed, "mend")
    before = bed.get("services", "mend")["metadata"]["uid"]
    bed.delete("services", "mend")
    eventually(
        lambda: (bed.find("services", "mend") or {"metadata": {"uid": before}})["metadata"]["uid"] != before,
        "made anew",
    )
    port = {"name": "http", "port": 9999, "protocol": "TCP", "targetPort": 8000}
    bed.patch("services", "mend", {"spec": {"ports": [port]}})
    eventually(lambda: [p["port"] for p in bed.get("services", "mend")["spec"]["ports"]] == [81], "the port is back")
    bed.patch("services", "mend", {"metadata": {"labels": {"app.kubernetes.io/managed-by": None}}})
    label = eventually(
        lambda: bed.get("services", "mend")["metadata"]["labels"].get("app.kubernetes.io/managed-by"),
        "the label is back",
    )
    assert label == "slipway"
    bed.patch("services", "mend", {"metadata": {"labels": {"theirs": "kept"}}})
    bed.patch("trainingjobs", "mend", {"spec": {"port": 82}})
    eventually(
        lambda: [p["port"] for p in bed.get("services", "mend")["spec"]["ports"]] == [82], "the new spec arrives"
    )
    assert bed.get("services", "mend")["metadata"]["labels"]["theirs"] == "kept", "what is not ours is left alone"


def test_a_gang_is_never_touched_after_its_creation(bed: Bed, operator: Replica) -> None:
    bed.job("once")
    made(bed, "once")
    bed.patch("pytorchjobs", "once-0", {"spec": {"size": 7}, "metadata": {"annotations": {"kueue": "was here"}}})
    bed.patch("trainingjobs", "once", {"spec": {"port": 83}})
    eventually(lambda: [p["port"] for p in bed.get("services", "once")["spec"]["ports"]] == [83], "a visit has passed")
    assert bed.get("pytorchjobs", "once-0")["spec"]["size"] == 7


def test_at_rest_nothing_is_written(bed: Bed, operator: Replica) -> None:
    for number in range(5):
        bed.job(f"rest-{number}")
    for number in range(5):
        made(bed, f"rest-{number}")
    eventually(lambda: len([e for e in bed.list("events") if e["reason"] == "Made"]) == 5, "all events are out")
    time.sleep(1.0)
    before = bed.writes()
    # A status update of a child, of which a real cluster has many, is no reason to write either.
    bed.patch("pytorchjobs", "rest-0-0", {"status": {"conditions": [{"type": "Running", "status": "True"}]}}, "/status")
    time.sleep(REST_SECONDS)
    assert bed.writes() - before == 1, f"only the test's own write\n{operator.said()}"


def test_a_service_waits_for_its_job_and_is_told_of_it(bed: Bed, operator: Replica) -> None:
    spec = {"model": {"from": {"trainingJob": "source"}}}
    bed.create("inferenceservices", owner("InferenceService", "serve", spec))
    eventually(lambda: bed.ready("inferenceservices", "serve")[0] == "NoModel", "waits")
    bed.job("source")
    made(bed, "source")
    bed.patch("trainingjobs", "source", {"metadata": {"annotations": {"touched": "yes"}}})
    eventually(lambda: bed.find("services", "serve"), "the job's event visits the service")


def test_a_bad_template_is_refused_by_the_api_server_itself(bed: Bed, operator: Replica) -> None:
    bed.job("source")
    spec = {"model": {"from": {"trainingJob": "source"}}, "containers": [{"name": "Main!", "image": "image"}]}
    bed.create("inferenceservices", owner("InferenceService", "bad", spec))
    eventually(lambda: bed.ready("inferenceservices", "bad")[0] == "InvalidPodTemplate", "refused")
    assert "template.spec.containers[0].name" in bed.ready("inferenceservices", "bad")[1]
    assert bed.find("services", "bad") is None
    assert bed.find("podtemplates", "bad") is None, "the try left nothing behind"


def test_a_foreign_object_is_left_alone_and_named(bed: Bed, operator: Replica) -> None:
    foreign = {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "taken-0"},
        "spec": {"size": 5},
    }
    uid = bed.create("pytorchjobs", foreign)["metadata"]["uid"]
    bed.job("taken")
    eventually(lambda: bed.ready("trainingjobs", "taken")[0] == "Refused", "refused")
    assert "belongs to something else" in bed.ready("trainingjobs", "taken")[1]
    assert bed.get("pytorchjobs", "taken-0")["metadata"]["uid"] == uid
    bed.delete("pytorchjobs", "taken-0")
    made(bed, "taken")


def test_a_deleted_job_is_forgotten_and_a_new_one_of_its_name_starts_afresh(bed: Bed, operator: Replica) -> None:
    bed.job("again", port=81)
    made(bed, "again")
    bed.delete("trainingjobs", "again")
    for plural, name in (("services", "again"), ("pytorchjobs", "again-0")):
        bed.delete(plural, name)  # there is no garbage collector here
    bed.job("again", port=82)
    made(bed, "again")
    uid = bed.get("trainingjobs", "again")["metadata"]["uid"]
    assert bed.get("services", "again")["metadata"]["ownerReferences"][0]["uid"] == uid
    assert bed.get("pytorchjobs", "again-0")["metadata"]["ownerReferences"][0]["uid"] == uid
