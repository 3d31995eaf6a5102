"""What admission refuses of a pod is named on the object that would make it, and passes when it is mended.

One operator, with the chart's own permissions, and one namespace for each thing that can stand in the way.
"""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from slipway.plan.observed import Obj
from tests.controlplane.apiserver import ApiServer

from . import realbed
from .loopbed import Bed, Replica, eventually
from .realbed import JOB, OPERATOR, says

pytestmark = [pytest.mark.level(2), pytest.mark.feature("bad-input")]

SOON_SECONDS = 20.0  # ten are promised; two shared cores, and builds beside us
MENDED_SECONDS = 95.0  # within 75 it is looked at again


@pytest.fixture(scope="module")
def operator(real_api: ApiServer, real_directory: Path) -> Iterator[Replica]:
    system = realbed.namespace(real_api, "admission-system", real_directory)
    _, kubeconfig = realbed.account(system, "operator")
    with system.replica("one", kubeconfig=kubeconfig, program=OPERATOR) as replica:
        eventually(replica.leads, "leads")
        yield replica


def template(**spec: Any) -> Obj:
    return {**JOB, "podTemplate": {"spec": spec}}


def quota(bed: Bed, pods: int) -> None:
    hard = {"pods": str(pods)}
    path = bed.path("resourcequotas", "small")
    if bed.find("resourcequotas", "small") is None:
        bed.create("resourcequotas", {"metadata": {"name": "small"}, "spec": {"hard": hard}})
    # A controller would copy it there, where admission reads it.
    body = {"spec": {"hard": hard}}
    assert bed.api.request("PATCH", path, body, content_type="application/merge-patch+json")[0] == 200
    bed.patch("resourcequotas", "small", {"status": {"hard": hard, "used": {"pods": "0"}}}, "/status")


def no_pods(bed: Bed) -> None:
    quota(bed, 0)


def three_pods(bed: Bed) -> None:
    quota(bed, 3)


def small_containers(bed: Bed) -> None:
    limit = {"type": "Container", "max": {"memory": "512Mi"}}
    bed.create("limitranges", {"metadata": {"name": "small"}, "spec": {"limits": [limit]}})


def no_account(bed: Bed) -> None:
    bed.delete("serviceaccounts", "default")


def the_account(bed: Bed) -> None:
    bed.create("serviceaccounts", {"metadata": {"name": "default"}})


def cluster(bed: Bed, path: str, body: Obj) -> None:
    status, answer = bed.api.request("POST", path, body)
    assert status == 201, answer


def takes_pods(bed: Bed) -> bool:
    body = {"metadata": {"name": "probe"}, "spec": {"containers": [{"name": "main", "image": "x"}]}}
    return bed.api.request("POST", bed.path("pods") + "?dryRun=All", body)[0] == 201


ADMISSION = "/apis/admissionregistration.k8s.io/v1"
POLICIES, BINDINGS = f"{ADMISSION}/validatingadmissionpolicies", f"{ADMISSION}/validatingadmissionpolicybindings"
WEBHOOKS = f"{ADMISSION}/validatingwebhookconfigurations"
PODS = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}


def policy(bed: Bed) -> None:
    here = {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}}
    validation = {"expression": "false", "message": "this team makes no pods on Sundays"}
    spec = {"matchConstraints": {"resourceRules": [PODS]}, "validations": [validation]}
    cluster(bed, POLICIES, {"metadata": {"name": bed.namespace}, "spec": spec})
    binding = {
        "policyName": bed.namespace,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": here},
    }
    cluster(bed, BINDINGS, {"metadata": {"name": bed.namespace}, "spec": binding})
    eventually(lambda: not takes_pods(bed), "the policy is in force, which takes the API server some seconds")


def no_policy(bed: Bed) -> None:
    assert bed.api.request("DELETE", f"{BINDINGS}/{bed.namespace}")[0] == 200


def deaf_webhook(bed: Bed) -> None:
    hook = {
        "name": "deaf.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [PODS],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": bed.namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
    }
    cluster(bed, WEBHOOKS, {"metadata": {"name": bed.namespace}, "webhooks": [hook]})
    eventually(lambda: not takes_pods(bed), "the webhook is asked")


def no_webhook(bed: Bed) -> None:
    assert bed.api.request("DELETE", f"{WEBHOOKS}/{bed.namespace}")[0] == 200


@dataclass(frozen=True)
class Case:
    """`stands` puts it in the way, `mend` takes it away; `words` are the refusal's own."""

    name: str
    words: str
    stands: Callable[[Bed], None] = lambda bed: None
    mend: Callable[[Bed], None] = lambda bed: None
    spec: Obj | None = None  # of the job, and its podTemplate of the service
    of_job: Obj | None = None  # where the job has a field for it


CASES = (
    Case("quota", "exceeded quota: small, requested: pods=1, used: pods=0, limited: pods=0", no_pods, three_pods),
    Case(
        "limits",
        "maximum memory usage per Container is 512Mi",
        small_containers,
        lambda bed: bed.delete("limitranges", "small"),
        template(containers=[{"name": "main", "resources": {"limits": {"memory": "4Gi"}}}]),
    ),
    Case(
        "priority",
        "no PriorityClass with name late was found",
        mend=lambda bed: cluster(
            bed, "/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "late"}, "value": 7}
        ),
        spec=template(priorityClassName="late"),
        of_job={**JOB, "scheduling": {"priorityClass": "late"}},
    ),
    Case(
        "runtime",
        'RuntimeClass "late" not found',
        mend=lambda bed: cluster(
            bed, "/apis/node.k8s.io/v1/runtimeclasses", {"metadata": {"name": "late"}, "handler": "late"}
        ),
        spec=template(runtimeClassName="late"),
    ),
    Case(
        "account",
        'serviceaccount "default" not found',
        no_account,
        the_account,
    ),
    Case("policy", "this team makes no pods on Sundays", policy, no_policy),
    Case("webhook", 'failed calling webhook "deaf.example.com"', deaf_webhook, no_webhook),
)


def service(bed: Bed, **spec: Any) -> None:
    claim = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    bed.create("persistentvolumeclaims", {"metadata": {"name": "models"}, "spec": claim})
    owner = {"metadata": {"name": "chat"}, "spec": {"model": {"uri": "pvc://models"}, **spec}}
    bed.create("inferenceservices", {"apiVersion": "slipway.dev/v1alpha1", "kind": "InferenceService", **owner})


def job(bed: Bed, spec: Obj | None = None) -> None:
    bed.create("trainingjobs", realbed_owner("train", spec or JOB))


def realbed_owner(name: str, spec: Obj) -> Obj:
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": "TrainingJob", "metadata": {"name": name}, "spec": spec}


@pytest.fixture
def beds(real_api: ApiServer, real_directory: Path) -> Iterator[dict[str, Bed]]:
    made = {case.name: realbed.namespace(real_api, f"refuses-{case.name}", real_directory) for case in CASES}
    yield made
    for bed in made.values():
        for plural in ("trainingjobs", "inferenceservices"):
            assert real_api.request("DELETE", bed.path(plural))[0] == 200


def test_each_refusal_is_named_and_mended_without_help(operator: Replica, beds: dict[str, Bed]) -> None:
    for case in CASES:
        case.stands(beds[case.name])
        job(beds[case.name], case.of_job or case.spec)
        service(beds[case.name], **{k: v for k, v in (case.spec or {}).items() if k == "podTemplate"} | {"replicas": 1})
    for case in CASES:
        bed = beds[case.name]
        message = says(bed, "trainingjobs", "train", "Accepted", "PodsRefused", case.words, SOON_SECONDS)
        assert "slipway-trial" not in message
        assert bed.list("pytorchjobs") == []
        says(bed, "inferenceservices", "chat", "Ready", "PodsRefused", case.words, SOON_SECONDS)
        assert bed.list("deployments") == []
    for case in CASES:
        case.mend(beds[case.name])
    for case in CASES:
        bed = beds[case.name]
        eventually(partial(bed.find, "pytorchjobs", "train-0"), f"{case.name}: the gang is made", MENDED_SECONDS)
        says(bed, "inferenceservices", "chat", "Accepted", "Accepted", seconds=MENDED_SECONDS)
        eventually(partial(bed.find, "deployments", "chat"), f"{case.name}: the service, too", SOON_SECONDS)
        says(bed, "trainingjobs", "train", "Accepted", "Accepted")
        assert bed.list("pods") == [], "nothing that was tried is there"


def test_a_gang_that_is_larger_than_the_quota_says_so_when_its_second_pod_does_not_come(
    operator: Replica, real_bed: Bed
) -> None:
    quota(real_bed, 1)
    job(real_bed, {**JOB, "nodes": 2})
    eventually(lambda: real_bed.find("pytorchjobs", "train-0"), "one pod would be taken", SOON_SECONDS)
    gang = real_bed.get("pytorchjobs", "train-0")
    master = gang["spec"]["pytorchReplicaSpecs"]["Master"]["template"]
    labels = {"training.kubeflow.org/replica-type": "master", **master["metadata"]["labels"]}
    real_bed.create("pods", {"metadata": {"name": "train-0-master-0", "labels": labels}, "spec": master["spec"]})
    words = "1 of 2 pods exist; the API server refuses the pods: exceeded quota: small, requested: pods=1, used: pods=1"
    says(real_bed, "trainingjobs", "train", "Running", "PodsRefused", words, SOON_SECONDS)


def test_our_pods_pass_where_the_restricted_standard_is_enforced(operator: Replica, real_bed: Bed) -> None:
    enforced = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    path = f"/api/v1/namespaces/{real_bed.namespace}"
    status, _ = real_bed.api.request("PATCH", path, enforced, content_type="application/merge-patch+json")
    assert status == 200
    job(real_bed, template(containers=[{"name": "side", "image": "x"}, {"name": "main"}]))
    service(real_bed)
    eventually(lambda: real_bed.find("pytorchjobs", "train-0"), "the gang is made", SOON_SECONDS)
    eventually(lambda: real_bed.find("deployments", "chat"), "the service, too", SOON_SECONDS)


def test_what_is_invalid_is_told_of_the_users_field(operator: Replica, real_bed: Bed) -> None:
    ports = [{"containerPort": 99999}]
    job(real_bed, template(containers=[{"name": "side", "image": "x"}, {"name": "main", "ports": ports}]))
    path = "spec.podTemplate.spec.containers[1].ports[0].containerPort: Invalid value: 99999"
    message = says(real_bed, "trainingjobs", "train", "Accepted", "InvalidPodTemplate", path, SOON_SECONDS)
    assert message.startswith("the API server finds the pod template invalid: spec.podTemplate")


def test_a_wrong_type_and_an_unknown_field_are_told_of_the_users_field(operator: Replica, real_bed: Bed) -> None:
    """No word of the API server's decoder, and nothing that is dropped without one."""
    job(real_bed, template(containers=[{"name": "side", "image": "x"}, {"name": "main", "env": [{"value": 5}]}]))
    field = "spec.podTemplate.spec.containers[1].env[0].value"
    message = says(real_bed, "trainingjobs", "train", "Accepted", "InvalidPodTemplate", field, SOON_SECONDS)
    assert message == f"{field}: must be text, not a number: put it in quotes"
    misspelt = {"name": "main", "resources": {"limit": {"cpu": "1"}}}
    service(real_bed, podTemplate={"spec": {"containers": [misspelt]}})
    field = "spec.podTemplate.spec.containers[0].resources.limit"
    message = says(real_bed, "inferenceservices", "chat", "Accepted", "InvalidPodTemplate", field, SOON_SECONDS)
    assert message.endswith(f"{field}: Kubernetes has no such field here: correct its spelling, or leave it out")
    assert "decoding" not in message


def test_a_kept_claim_of_another_size_is_told_in_a_sentence(operator: Replica, real_bed: Bed) -> None:
    job(real_bed, {**JOB, "output": {"size": "2Gi"}})
    eventually(lambda: real_bed.find("pytorchjobs", "train-0"), "made", SOON_SECONDS)
    real_bed.delete("trainingjobs", "train")
    real_bed.delete("pytorchjobs", "train-0")  # there is no garbage collector here
    job(real_bed, {**JOB, "output": {"size": "1Gi"}})
    message = says(real_bed, "trainingjobs", "train", "Accepted", "ClaimDiffers", seconds=SOON_SECONDS)
    assert "'train-output' is there from before and cannot become what this job asks for (size 1Gi)" in message


@pytest.fixture
def deep_reader() -> Iterator[None]:
    """The test reads such objects itself."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(25_000)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("deep_reader")
def test_an_object_as_deep_as_the_api_server_takes_harms_nobody_else(operator: Replica, real_bed: Bed) -> None:
    """Before, it ended the operator, and every one that was started after it."""
    deep = '{"a":' * 9_900 + "1" + "}" * 9_900
    for number, text in enumerate((deep, '{"a":' * 900 + "1" + "}" * 900)):
        body = json.dumps(realbed_owner(f"deep-{number}", template(affinity="DEEP"))).replace('"DEEP"', text)
        assert real_bed.api.send("POST", real_bed.path("trainingjobs"), body)[0] == 201
    for number in range(2):
        words = "spec.podTemplate: nested more than 48 levels deep"
        says(real_bed, "trainingjobs", f"deep-{number}", "Accepted", "InvalidSpec", words, SOON_SECONDS)
    job(real_bed)
    eventually(lambda: real_bed.find("pytorchjobs", "train-0"), "another's job is made", SOON_SECONDS)
    assert operator.process.poll() is None, operator.said()
