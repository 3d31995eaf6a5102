"""Bad input ends in a refusal or a condition that names it, within ten seconds, and mends itself when it is mended."""

import pytest

from . import node
from .install import IMAGES, SIMULATED_ENGINE
from .kube import Kube, Obj, is_true
from .resources import JOBS, SERVICES, command_job, says, service, tiny_job, trained

pytestmark = [pytest.mark.level(1), pytest.mark.feature("bad-input")]
SOON = 10
AFTER_A_PAUSE = 30  # of the kubelet's, before it tries again what failed
LATER: Obj = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "later"},
    "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
}


def test_an_unknown_field_is_refused(kube: Kube, namespace: str) -> None:
    job = tiny_job("typo")
    job["spec"]["node"] = 2
    assert 'unknown field "spec.node"' in kube.refusal(namespace, job)


def test_a_wrong_type_is_refused(kube: Kube, namespace: str) -> None:
    assert "spec.nodes" in kube.refusal(namespace, tiny_job("wrong", nodes="two"))  # type: ignore[arg-type]


def test_an_impossible_combination_is_refused(kube: Kube, namespace: str) -> None:
    job = tiny_job("both", command=["true"])
    assert "exactly one of recipe and command must be set" in kube.refusal(namespace, job)


@pytest.mark.parametrize("image", ["é", "my image", "Team/Image:1"])
def test_an_image_that_cannot_be_one_is_refused(kube: Kube, namespace: str, image: str) -> None:
    assert "must be an image reference" in kube.refusal(namespace, command_job("image", "true", image=image))


def test_a_job_that_cannot_be_is_refused(kube: Kube, namespace: str) -> None:
    assert "spec.model.from.trainingJob" in kube.refusal(namespace, service("x", {"from": {"trainingJob": "j" * 41}}))


def test_a_missing_image_is_named_and_runs_when_it_is_there(kube: Kube, namespace: str) -> None:
    """A TrainingJob's spec cannot change, so it is the image that comes."""
    image = f"slipway.local/late:{namespace}"
    kube.apply(namespace, command_job("image", "true", image=image))
    kube.until(namespace, JOBS, "image", says("Ready", "ImagePullFailed", image), seconds=SOON)
    with node.image(kube, image, like=IMAGES["images.trainer"]):
        kube.until(namespace, JOBS, "image", is_true("Complete"), seconds=120)


def test_a_missing_claim_is_named_and_then_found(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, command_job("claim", "true", output={"claim": "later"}))
    kube.until(namespace, JOBS, "claim", says("Accepted", "ClaimNotFound", "later"), seconds=SOON)
    kube.apply(namespace, LATER)
    kube.until(namespace, JOBS, "claim", is_true("Complete"), seconds=120)


def test_a_volume_that_cannot_be_mounted_is_named_and_runs_when_it_can(kube: Kube, namespace: str) -> None:
    """Only the kubelet's events say that a Secret is missing; it tries again by itself, after up to two minutes."""
    volume = {"name": "creds", "secret": {"secretName": "later"}}
    mount = {"name": "main", "volumeMounts": [{"name": "creds", "mountPath": "/creds"}]}
    pods = {"spec": {"volumes": [volume], "containers": [mount]}}
    kube.apply(namespace, command_job("secret", "test", "-f", "/creds/key", podTemplate=pods))
    kube.until(namespace, JOBS, "secret", says("Running", "VolumesNotMounted", "kubectl describe pod"), seconds=40)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "later"}, "stringData": {"key": "x"}}
    kube.apply(namespace, secret)
    kube.until(namespace, JOBS, "secret", is_true("Complete"), seconds=180)


def test_a_missing_job_is_named(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, service("orphan", {"from": {"trainingJob": "absent"}}))
    kube.until(namespace, SERVICES, "orphan", says("ModelReady", "TrainingJobNotFound", "absent"), seconds=SOON)


def test_a_service_names_what_it_lacks_and_serves_when_it_has_it(kube: Kube, shared_namespace: str) -> None:
    """A node, a model and an image, one after the other."""
    made = trained(kube, shared_namespace)["status"]["output"]
    label = f"e2e/{shared_namespace}"
    template = {"spec": {"nodeSelector": {label: "yes"}}}
    model = {"uri": f"pvc://{made['claim']}/late/model"}
    lacking = service("late", model, podTemplate=template, image="slipway.local/nowhere:1")
    kube.apply(shared_namespace, lacking)
    kube.until(shared_namespace, SERVICES, "late", says("Ready", "Unschedulable", "node"), seconds=SOON)
    with node.label(kube, label):
        kube.until(shared_namespace, SERVICES, "late", says("Ready", "ModelCheckFailed", "late/model"), seconds=SOON)
        node.copy_on_volume(kube, shared_namespace, made["claim"], made["path"].removesuffix("/model"), "late")
        named = says("Ready", "ImagePullFailed", "slipway.local/nowhere:1")
        kube.until(shared_namespace, SERVICES, "late", named, seconds=AFTER_A_PAUSE)
        kube.apply(shared_namespace, service("late", model, podTemplate=template, image=SIMULATED_ENGINE))
        kube.until(shared_namespace, SERVICES, "late", is_true("Ready"), seconds=240)
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "late")


@pytest.mark.parametrize(
    ("main", "words"),
    [
        ({"ports": [{"containerPort": 99999}]}, "ports[0].containerPort: Invalid value: 99999"),
        ({"ports": [{"containerPort": "80"}]}, "ports[0].containerPort: must be a whole number, not text"),
        ({"resources": {"limit": {"cpu": "1"}}}, "resources.limit: Kubernetes has no such field here"),
    ],
    ids=["value", "type", "field"],
)
def test_a_pod_template_that_the_api_server_rejects_is_named(kube: Kube, namespace: str, main: Obj, words: str) -> None:
    template = {"spec": {"containers": [{"name": "main", **main}]}}
    kube.apply(namespace, command_job("template", "true", podTemplate=template))
    told = f"spec.podTemplate.spec.containers[0].{words}"
    kube.until(namespace, JOBS, "template", says("Accepted", "InvalidPodTemplate", told), seconds=SOON)


def test_a_pod_template_that_asks_for_the_host_is_refused(kube: Kube, namespace: str) -> None:
    template = {"spec": {"hostNetwork": True}}
    kube.apply(namespace, command_job("host", "true", podTemplate=template))
    kube.until(namespace, JOBS, "host", says("Accepted", "InvalidPodTemplate", "hostNetwork"), seconds=SOON)


def quota(pods: int) -> Obj:
    spec = {"hard": {"pods": str(pods)}}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": spec}


def test_pods_that_a_quota_refuses_are_named_and_made_when_it_is_raised(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, quota(0))
    kube.apply(namespace, command_job("poor", "true"))
    kube.until(namespace, JOBS, "poor", says("Accepted", "PodsRefused", "quota: few"), seconds=SOON)
    kube.apply(namespace, quota(2))
    kube.until(namespace, JOBS, "poor", is_true("Complete"), seconds=120)


def test_an_unschedulable_pod_is_named_and_then_placed(kube: Kube, namespace: str) -> None:
    label = f"e2e/{namespace}"
    template = {"spec": {"nodeSelector": {label: "yes"}}}
    kube.apply(namespace, command_job("place", "true", podTemplate=template))
    kube.until(namespace, JOBS, "place", says("Ready", "Unschedulable", "node"), seconds=SOON)
    with node.label(kube, label):
        kube.until(namespace, JOBS, "place", is_true("Complete"), seconds=120)


def test_an_engine_argument_that_vllm_does_not_have_is_named(kube: Kube, namespace: str) -> None:
    mistaken = service("flag", {"uri": "pvc://none/model"}, engineArgs=["--max-model-length=1"])
    kube.apply(namespace, mistaken)
    kube.until(namespace, SERVICES, "flag", says("Accepted", "UnknownEngineArgument", "--max-model-len"), seconds=SOON)


def test_a_service_is_accepted_as_soon_as_its_spec_is_mended(kube: Kube, namespace: str) -> None:
    """What Slipway refuses, and what only the API server does: the port."""
    model = {"uri": "pvc://none/model"}
    kube.apply(namespace, service("flag", model, engineArgs=["--gpu-memory-utilization=7"]))
    words = "spec.engineArgs[0]: --gpu-memory-utilization must be above 0 and at most 1"
    kube.until(namespace, SERVICES, "flag", says("Accepted", "InvalidEngineArgument", words), seconds=SOON)
    kube.apply(namespace, service("flag", model, podTemplate={"spec": {"nodeSelector": ["disk"]}}))
    words = "spec.podTemplate.spec.nodeSelector: must be a map, not a list"
    kube.until(namespace, SERVICES, "flag", says("Accepted", "InvalidPodTemplate", words), seconds=SOON)
    for port, seen in (
        (99999, says("Accepted", "InvalidPodTemplate", "containers[0].ports", "Invalid value: 99999")),
        (9999, is_true("Accepted")),
    ):
        main = {"name": "main", "ports": [{"containerPort": port}]}
        kube.apply(namespace, service("flag", model, podTemplate={"spec": {"containers": [main]}}))
        kube.until(namespace, SERVICES, "flag", seen, seconds=SOON)


def test_a_services_missing_claim_is_named_and_then_looked_into(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, service("empty", {"uri": "pvc://later/model"}))
    kube.until(namespace, SERVICES, "empty", says("ModelReady", "ClaimNotFound", "later"), seconds=SOON)
    kube.apply(namespace, LATER)
    told = says("Ready", "ModelCheckFailed", "/slipway/model/model does not exist", "pvc://later/model")
    kube.until(namespace, SERVICES, "empty", told, seconds=AFTER_A_PAUSE)


def test_a_services_missing_image_is_named(kube: Kube, shared_namespace: str) -> None:
    """Where the model is there. Mending it is in the test of all that a service may lack."""
    made = trained(kube, shared_namespace)["status"]["output"]
    model = {"uri": f"pvc://{made['claim']}/{made['path']}"}
    kube.apply(shared_namespace, service("imageless", model, image="slipway.local/nowhere:1"))
    named = says("Ready", "ImagePullFailed", "slipway.local/nowhere:1")
    kube.until(shared_namespace, SERVICES, "imageless", named, seconds=SOON)
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "imageless")
