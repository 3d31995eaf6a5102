"""What others add to a Deployment of ours, as the real API server records it."""

from collections.abc import Callable
from typing import Any

import pytest

from slipway.kube.kinds import DEPLOYMENT
from slipway.plan.observed import Obj
from slipway.reconcile import observe
from tests.controlplane.apiserver import ApiServer

from .loopbed import Bed

pytestmark = [pytest.mark.level(2), pytest.mark.feature("control-loop")]

APPLY = "application/apply-patch+yaml"
STRATEGIC = "application/strategic-merge-patch+json"
Patch = Callable[..., Obj]


def ours() -> Obj:
    labels = {"app": "chat"}
    main = {"name": "main", "image": "x", "env": [{"name": "HOME", "value": "/tmp"}], "ports": [{"containerPort": 80}]}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [main], "volumes": [{"name": "tmp", "emptyDir": {}}]},
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "chat"}, "spec": spec}


@pytest.fixture
def patch(bed: Bed) -> Patch:
    """Patches the Deployment `chat`, which Slipway has applied, as the manager that is named."""

    def send(manager: str, body: Obj, content_type: str = STRATEGIC, **query: Any) -> Obj:
        path = f"/apis/apps/v1/namespaces/{bed.namespace}/deployments/chat?fieldManager={manager}"
        forced = "&force=true" if content_type == APPLY else ""
        status, answer = _request(bed.api, path + forced, body, content_type)
        assert status in (200, 201), answer
        return answer

    send("slipway", ours(), APPLY)
    return send


def _request(api: ApiServer, path: str, body: Obj, content_type: str) -> tuple[int, Obj]:
    return api.request("PATCH", path, body, content_type=content_type)


def added(deployment: Obj) -> tuple[str, ...]:
    return observe.child(DEPLOYMENT, deployment).additions


def test_a_deployment_as_applied_has_none(patch: Patch) -> None:
    assert added(patch("slipway", ours(), APPLY)) == ()


@pytest.mark.parametrize(
    ("pod", "paths"),
    [
        ({"containers": [{"name": "debug", "image": "y"}]}, ["spec.containers[name=debug]"]),
        (
            {"containers": [{"name": "main", "env": [{"name": "FOO", "value": "1"}]}]},
            ["spec.containers[name=main].env[name=FOO]"],
        ),
        ({"initContainers": [{"name": "first", "image": "y"}]}, ["spec.initContainers[name=first]"]),
        (
            {
                "volumes": [{"name": "x", "emptyDir": {}}],
                "containers": [{"name": "main", "volumeMounts": [{"name": "x", "mountPath": "/x"}]}],
            },
            ["spec.containers[name=main].volumeMounts[mountPath=/x]", "spec.volumes[name=x]"],
        ),
        ({"nodeSelector": {"a": "b"}}, ["spec.nodeSelector"]),
    ],
)
def test_an_edit_of_anothers_is_found_and_survives_an_apply(patch: Patch, pod: Obj, paths: list[str]) -> None:
    edited = patch("kubectl-edit", {"spec": {"template": {"spec": pod}}})
    expected = tuple(f"{path} (kubectl-edit)" for path in paths)
    assert added(edited) == expected
    assert added(patch("slipway", ours(), APPLY)) == expected, "an apply leaves what is not ours"


def test_an_edit_of_what_is_ours_is_undone_and_leaves_nothing(patch: Patch) -> None:
    patch("kubectl-edit", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "z"}]}}}})
    assert added(patch("slipway", ours(), APPLY)) == ()


def test_a_restart_by_kubectl_is_none(patch: Patch) -> None:
    restarted = {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}}}
    assert added(patch("kubectl-rollout", {"spec": {"template": restarted}})) == ()


def test_what_was_taken_out_again_is_gone(patch: Patch) -> None:
    debug = {"name": "debug", "image": "y"}
    assert added(patch("x", {"spec": {"template": {"spec": {"containers": [debug]}}}})) != ()
    removed = {"name": "debug", "$patch": "delete"}
    assert added(patch("x", {"spec": {"template": {"spec": {"containers": [removed]}}}})) == ()
