"""The API server speaks of the merged template; the user is told of the field that the user wrote."""

from typing import Any

import pytest

from slipway.plan.pod.template import merged
from slipway.plan.pod.userpath import in_users_words

RENDERED = {
    "metadata": {"labels": {"a": "b"}},
    "spec": {
        "initContainers": [{"name": "model-check"}],
        "containers": [{"name": "pytorch", "image": "x", "env": [{"name": "OURS", "value": "1"}]}],
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "shm", "emptyDir": {}}],
        "tolerations": [{"key": "gpu"}],
    },
}
USER: dict[str, Any] = {
    "metadata": {"annotations": {"note": "!"}},
    "spec": {
        "priorityClassName": "nope",
        "containers": [
            {"name": "side", "image": "y", "ports": [{"containerPort": 99999}]},
            {"name": "main", "resources": {"requests": {"cpu": "x"}}, "env": [{"name": "MINE", "value": 1}]},
        ],
        "initContainers": [{"name": "first", "image": " "}],
        "volumes": [{"name": "data", "persistentVolumeClaim": {}}],
        "tolerations": [{"key": "mine", "operator": "Sometimes"}],
        "affinity": {"nodeAffinity": {}, "nodeAffinty": {}},
    },
}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("spec.priorityClassName: Invalid", "spec.podTemplate.spec.priorityClassName: Invalid"),
        ("template.spec.priorityClassName: Invalid", "spec.podTemplate.spec.priorityClassName: Invalid"),
        (
            "spec.containers[0].resources.requests[cpu]: Invalid value",
            "spec.podTemplate.spec.containers[1].resources.requests[cpu]: Invalid value",
        ),
        (
            "spec.containers[1].ports[0].containerPort: Invalid value: 99999",
            "spec.podTemplate.spec.containers[0].ports[0].containerPort: Invalid value: 99999",
        ),
        ("spec.containers[0].env[1].value", "spec.podTemplate.spec.containers[1].env[0].value"),
        ("spec.containers[0].env[0].value", "spec.containers[0].env[0].value"),
        ("spec.containers[1].name: Required", "spec.podTemplate.spec.containers[0].name: Required"),
        ("spec.containers[1].lifecycle.x: No", "spec.podTemplate.spec.containers[0].lifecycle.x: No"),
        ("spec.initContainers[1].image: Required", "spec.podTemplate.spec.initContainers[0].image: Required"),
        ("spec.initContainers[0].image: Required", "spec.initContainers[0].image: Required"),
        (
            "spec.volumes[2].persistentVolumeClaim.claimName: Required value",
            "spec.podTemplate.spec.volumes[0].persistentVolumeClaim.claimName: Required value",
        ),
        ("spec.volumes[0].emptyDir: No", "spec.volumes[0].emptyDir: No"),
        ("spec.tolerations[1].operator: Unsupported", "spec.podTemplate.spec.tolerations[0].operator: Unsupported"),
        ("spec.tolerations[0].key: Unsupported", "spec.tolerations[0].key: Unsupported"),
        ("spec.tolerations[7].key: Unsupported", "spec.tolerations[7].key: Unsupported"),
        ("metadata.annotations: Invalid", "spec.podTemplate.metadata.annotations: Invalid"),
        ("metadata.labels: Invalid", "metadata.labels: Invalid"),
        ("spec.containers[0].image: Invalid", "spec.image: Invalid"),
        ("spec.hostNetwork: Invalid", "spec.hostNetwork: Invalid"),
        ('"spec.containers[1].name" is text', '"spec.containers[1].name" is text'),
        (
            'Pod "slipway-trial-0a1b2c3d4e5f" is invalid: [spec.priorityClassName: A, spec.containers[1].image: B]',
            "[spec.podTemplate.spec.priorityClassName: A, spec.podTemplate.spec.containers[0].image: B]",
        ),
        (
            'pods "slipway-trial-0a1b2c3d4e5f" is forbidden: exceeded quota: q, requested: pods=1',
            "exceeded quota: q, requested: pods=1",
        ),
        (
            'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field '
            '"spec.containers[0].resources.limit", unknown field "spec.containers[1].ports[0].number"',
            "spec.podTemplate.spec.containers[1].resources.limit: Kubernetes has no such field here: correct its "
            "spelling, or leave it out; spec.podTemplate.spec.containers[0].ports[0].number: Kubernetes has no such "
            "field here: correct its spelling, or leave it out",
        ),
        (
            'PodTemplate in version "v1" cannot be handled as a PodTemplate: strict decoding error: unknown field '
            '"template.spec.affinity.nodeAffinty"',
            "spec.podTemplate.spec.affinity.nodeAffinty: Kubernetes has no such field here: correct its spelling, or "
            "leave it out",
        ),
        (
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal bool into Go value of type int32',
            "json: cannot unmarshal bool into Go value of type int32",
        ),
        ("admission webhook denied the request: no.", "admission webhook denied the request: no."),
    ],
)
def test_a_path_in_the_users_own_template(said: str, told: str) -> None:
    template = merged(RENDERED, USER, main="pytorch")
    assert in_users_words(said, user=USER, template=template, main="pytorch") == told


@pytest.mark.parametrize("user", [{}, {"spec": {}}, {"spec": None}, {"spec": {"containers": "x"}}, {"metadata": {}}])
def test_without_a_template_of_the_users_the_path_is_ours(user: dict[str, Any]) -> None:
    template = merged(RENDERED, user, main="pytorch")
    said = "spec.containers[0].env[0].value: No; spec.volumes[1].name: No"
    assert in_users_words(said, user=user, template=template, main="pytorch") == said
