"""What kubectl and the subresources show of the kinds: columns, names, explain, defaults, status, scale."""

import json

import pytest

from slipway.api.inferenceservice import InferenceService
from slipway.api.trainingjob import TrainingJob
from tests.controlplane.apiserver import ApiServer

from .crdmaker import Maker
from .crdtable import COLLECTIONS, COMMAND_JOB, RECIPE_JOB, SERVICE, Obj, changed

NOW = "2026-01-02T03:04:05Z"


def condition(status: str, reason: str) -> Obj:
    return {"type": "Ready", "status": status, "reason": reason, "message": "", "lastTransitionTime": NOW}


JOB_STATUS: Obj = {
    "conditions": [condition("False", "Training")],
    "attempt": 2,
    "elastic": {"nodes": 3, "message": "no room", "resizes": 1},
    "progress": {
        "step": 40,
        "totalSteps": 200,
        "loss": "4.1234",
        "tokensPerSecond": 5120,
        "mfuPercent": "41.2",
        "goodputPercent": "93.4",
        "estimatedCompletionTime": NOW,
        "updated": NOW,
    },
    "allocation": {"seconds": 99, "deviceSeconds": 198, "until": NOW, "estimatedCost": "12.30", "currency": "EUR"},
}
SERVICE_STATUS: Obj = {
    "conditions": [condition("True", "Serving")],
    "replicas": 3,
    "readyReplicas": 2,
    "selector": "slipway.dev/inference-service=x",
    "modelName": "x",
}


@pytest.fixture(scope="module")
def job(make: Maker) -> Obj:
    stored = make.create(RECIPE_JOB)
    status, answer = make.merge(stored, {"status": JOB_STATUS}, "/status")
    assert status == 200, answer
    return answer


@pytest.fixture(scope="module")
def service(make: Maker) -> Obj:
    stored = make.create(SERVICE)
    status, answer = make.merge(stored, {"status": SERVICE_STATUS}, "/status")
    assert status == 200, answer
    return answer


def columns(make: Maker, resource: str, stored: Obj, *arguments: str) -> dict[str, str]:
    head, row = make.kubectl("get", resource, stored["metadata"]["name"], *arguments).splitlines()
    return dict(zip(head.split(), row.split(), strict=True))


def test_columns_of_a_training_job(make: Maker, job: Obj) -> None:
    shown = columns(make, "tj", job)
    assert list(shown) == ["NAME", "READY", "REASON", "STEP", "OF", "LOSS", "ATTEMPT", "AGE"]
    assert list(shown.values())[1:-1] == ["False", "Training", "40", "200", "4.1234", "2"]


def test_wide_columns_of_a_training_job(make: Maker, job: Obj) -> None:
    shown = list(columns(make, "tj", job, "-o", "wide").items())[8:]
    assert shown == [
        ("NODES", str(job["spec"]["nodes"])),
        ("HASNODES", "3"),
        ("TOKENS/S", "5120"),
        ("MFU%", "41.2"),
        ("GOODPUT%", "93.4"),
        ("ENDS", NOW),
        ("COST", "12.30"),
    ]


def test_describe_reads_as_words(make: Maker, job: Obj) -> None:
    """kubectl makes titles of field names: each must be words, with its unit in it."""
    lines = [line.strip() for line in make.kubectl("describe", "tj", job["metadata"]["name"]).splitlines()]
    told = {title: value.strip() for title, _, value in (line.partition(":") for line in lines)}
    wanted = {"Goodput Percent": "93.4", "Tokens Per Second": "5120", "Total Steps": "200", "Estimated Cost": "12.30"}
    assert {title: told.get(title) for title in wanted} == wanted


def test_columns_of_an_inference_service(make: Maker, service: Obj) -> None:
    shown = columns(make, "sis", service)
    assert list(shown) == ["NAME", "READY", "REASON", "REPLICAS", "READYREPLICAS", "MODEL", "AGE"]
    assert list(shown.values())[1:-1] == ["True", "Serving", "3", "2", "x"]


@pytest.mark.parametrize("resource", ["trainingjobs.slipway.dev", "trainingjob", "tj"])
def test_names_of_training_jobs(make: Maker, job: Obj, resource: str) -> None:
    assert job["metadata"]["name"] in make.kubectl("get", resource, "-o", "name")


@pytest.mark.parametrize("resource", ["inferenceservices.slipway.dev", "inferenceservice", "sis"])
def test_names_of_inference_services(make: Maker, service: Obj, resource: str) -> None:
    assert service["metadata"]["name"] in make.kubectl("get", resource, "-o", "name")


def test_category_shows_both_kinds(make: Maker, job: Obj, service: Obj) -> None:
    listed = make.kubectl("get", "slipway", "-o", "name").split()
    assert f"trainingjob.slipway.dev/{job['metadata']['name']}" in listed
    assert f"inferenceservice.slipway.dev/{service['metadata']['name']}" in listed


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("trainingjob", "starts, restarts and ends as one"),
        ("trainingjob.spec.training.batchSize", "Sequences of contextLength per step"),
        ("trainingjob.spec.strategy", "ENUM:\n    auto\n    ddp"),
        ("inferenceservice.spec.model.from", "trainingJob\t<string> -required-"),
        ("inferenceservice.status.conditions", "Why, in a sentence for people."),
    ],
)
def test_explain(make: Maker, path: str, text: str) -> None:
    assert text in make.kubectl("explain", path)


def test_defaults_of_the_api_server_are_those_of_the_types(make: Maker) -> None:
    """What a pod's recipe is rendered from must be the same whether or not the API server has filled it in."""
    full = make.create(changed(RECIPE_JOB, {"spec.model": {}, "spec.checkpoint": {}}))
    assert (
        TrainingJob.read(full).spec
        == TrainingJob.read(changed(RECIPE_JOB, {"spec.model": {}, "spec.checkpoint": {}})).spec
    )
    assert full["spec"]["model"] == {
        "vocabSize": 2048,
        "contextLength": 256,
        "hiddenSize": 192,
        "layers": 4,
        "heads": 6,
        "kvHeads": 2,
        "experts": 1,
        "expertsPerToken": 2,
    }
    given = changed(SERVICE, {"spec.scaling": {"maxReplicas": 2}})
    service = make.create(given)
    assert InferenceService.read(service).spec == InferenceService.read(given).spec
    assert service["spec"]["replicas"] == 1


def test_the_api_server_adds_nothing_to_a_status(job: Obj, service: Obj) -> None:
    """The operator compares the status it wants with the one there is: a default would make it write for ever."""
    assert job["status"] == JOB_STATUS
    assert service["status"] == SERVICE_STATUS


def test_status_is_written_only_through_its_subresource(make: Maker) -> None:
    stored = make.create(changed(COMMAND_JOB, {"status.attempt": 7}))
    assert "status" not in stored
    make.merge(stored, {"status": {"attempt": 5}})
    assert "status" not in make.read(stored)
    make.merge(stored, {"status": {"attempt": 5}, "metadata": {"labels": {"a": "b"}}}, "/status")
    read = make.read(stored)
    assert (read["status"], read["metadata"]["generation"]) == ({"attempt": 5}, 1)


def test_a_condition_is_merged_by_its_type_in_a_server_side_apply(crds: ApiServer, make: Maker) -> None:
    stored = make.create(COMMAND_JOB)
    path = f"{COLLECTIONS['TrainingJob']}/{stored['metadata']['name']}/status"
    for manager, kind in (("one", "Ready"), ("two", "Accepted")):
        conditions = [condition("True", "Yes") | {"type": kind}]
        body = {"apiVersion": stored["apiVersion"], "kind": stored["kind"], "status": {"conditions": conditions}}
        query = f"?fieldManager={manager}"
        status, answer = crds.request("PATCH", path + query, body, content_type="application/apply-patch+yaml")
        assert status == 200, answer
    assert [each["type"] for each in make.read(stored)["status"]["conditions"]] == ["Ready", "Accepted"]


def test_scale_reads_replicas_and_selector(make: Maker, service: Obj) -> None:
    scale = make.read(service, "/scale")
    assert scale["spec"] == {"replicas": 1}
    assert scale["status"] == {"replicas": 3, "selector": "slipway.dev/inference-service=x"}


def test_scale_writes_replicas(make: Maker) -> None:
    stored = make.create(SERVICE)
    make.kubectl("scale", "sis", stored["metadata"]["name"], "--replicas=4")
    assert make.read(stored)["spec"]["replicas"] == 4


def test_scale_is_bounded_like_the_field(make: Maker) -> None:
    status, answer = make.merge(make.create(SERVICE), {"spec": {"replicas": 1001}}, "/scale")
    assert (status, "less than or equal to 1000" in answer["message"]) == (422, True)


def test_a_training_job_has_no_scale(make: Maker, job: Obj) -> None:
    status, _ = make.merge(job, {"spec": {"replicas": 2}}, "/scale")
    assert status == 404


def test_helm_keeps_the_crds(crds: ApiServer) -> None:
    listed = json.loads(crds.kubectl("get", "crd", "-o", "json"))["items"]
    kept = {
        each["metadata"]["name"]
        for each in listed
        if each["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    }
    assert kept == {"trainingjobs.slipway.dev", "inferenceservices.slipway.dev", "accelerators.slipway.dev"}


def test_the_api_server_finds_the_schemas_structural(crds: ApiServer) -> None:
    listed = json.loads(crds.kubectl("get", "crd", "-o", "json"))["items"]
    conditions = {each["type"]: each["status"] for crd in listed for each in crd["status"]["conditions"]}
    assert conditions.get("NonStructuralSchema", "False") == "False"
    assert conditions["NamesAccepted"] == "True"
