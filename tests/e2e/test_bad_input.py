"""Bad input ends in a refusal or a condition that names it, within ten seconds, and mends itself when it is mended.

A service's missing image is in test_scaling.py, where an engine starts anyway.
"""

import pytest

from .kube import Kube, Obj, is_true
from .resources import JOBS, SERVICES, command_job, says, service, tiny_job, trained

pytestmark = [pytest.mark.level(1), pytest.mark.feature("bad-input")]
SOON = 10


def test_an_unknown_field_is_refused(kube: Kube, namespace: str) -> None:
    job = tiny_job("typo")
    job["spec"]["node"] = 2
    assert 'unknown field "spec.node"' in kube.refusal(namespace, job)


def test_a_wrong_type_is_refused(kube: Kube, namespace: str) -> None:
    assert "spec.nodes" in kube.refusal(namespace, tiny_job("wrong", nodes="two"))  # type: ignore[arg-type]


def test_an_impossible_combination_is_refused(kube: Kube, namespace: str) -> None:
    job = tiny_job("both", command=["true"])
    assert "exactly one of recipe and command must be set" in kube.refusal(namespace, job)


def test_a_missing_image_is_named(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, command_job("image", "true", image="slipway.local/nowhere:1"))
    kube.until(namespace, JOBS, "image", says("Ready", "ImagePullFailed", "slipway.local/nowhere:1"), seconds=SOON)


def test_a_missing_claim_is_named_and_then_found(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, command_job("claim", "true", output={"claim": "later"}))
    kube.until(namespace, JOBS, "claim", says("Accepted", "ClaimNotFound", "later"), seconds=SOON)
    kube.apply(
        namespace,
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "later"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    )
    kube.until(namespace, JOBS, "claim", is_true("Complete"), seconds=120)


def test_a_missing_job_is_named(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, service("orphan", {"from": {"trainingJob": "absent"}}))
    kube.until(namespace, SERVICES, "orphan", says("ModelReady", "TrainingJobNotFound", "absent"), seconds=SOON)


def test_a_missing_model_is_named(kube: Kube, shared_namespace: str) -> None:
    job = trained(kube, shared_namespace)
    claim = job["status"]["output"]["claim"]
    kube.apply(shared_namespace, service("empty", {"uri": f"pvc://{claim}/nothing/here"}))
    kube.until(shared_namespace, SERVICES, "empty", says("Ready", "ModelCheckFailed", "nothing/here"), seconds=SOON)
    kube.kubectl("-n", shared_namespace, "delete", SERVICES, "empty")


def test_a_pod_template_that_the_api_server_rejects_is_named(kube: Kube, namespace: str) -> None:
    template = {"spec": {"containers": [{"name": "main", "ports": [{"containerPort": 99999}]}]}}
    kube.apply(namespace, command_job("template", "true", podTemplate=template))
    kube.until(namespace, JOBS, "template", says("Accepted", "InvalidPodTemplate", "99999"), seconds=SOON)


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
    kube.kubectl("label", "nodes", "--all", f"{label}=yes")
    kube.until(namespace, JOBS, "place", is_true("Complete"), seconds=120)
    kube.kubectl("label", "nodes", "--all", f"{label}-")


def test_an_engine_argument_that_vllm_does_not_have_is_named(kube: Kube, namespace: str) -> None:
    mistaken = service("flag", {"uri": "pvc://none/model"}, engineArgs=["--max-model-length=1"])
    kube.apply(namespace, mistaken)
    kube.until(namespace, SERVICES, "flag", says("Accepted", "UnknownEngineArgument", "--max-model-len"), seconds=SOON)


def test_a_services_missing_claim_is_named(kube: Kube, namespace: str) -> None:
    kube.apply(namespace, service("empty", {"uri": "pvc://later/model"}))
    kube.until(namespace, SERVICES, "empty", says("ModelReady", "ClaimNotFound", "later"), seconds=SOON)
