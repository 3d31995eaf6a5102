"""What others put into an object of ours, from the API server's managedFields."""

from typing import Any

import pytest

from slipway.kube.kinds import DEPLOYMENT, SERVICE
from slipway.reconcile import observe
from slipway.reconcile.additions import additions

from .build import body

Obj = dict[str, Any]

OURS: Obj = {
    "f:metadata": {"f:labels": {"f:slipway.dev/revision": {}}},
    "f:spec": {
        "f:containers": {
            'k:{"name":"main"}': {".": {}, "f:image": {}, "f:env": {'k:{"name":"HOME"}': {".": {}, "f:value": {}}}}
        },
        "f:tolerations": {},
    },
}


def entry(manager: str, template: Obj, **more: Any) -> Obj:
    return {"manager": manager, "operation": "Update", "fieldsV1": {"f:spec": {"f:template": template}}, **more}


def found(*entries: Obj) -> tuple[str, ...]:
    metadata = {"managedFields": [entry("slipway", OURS), *entries]}
    return additions(body(DEPLOYMENT, "chat", metadata=metadata), "spec", "template")


def containers(**inside: Any) -> Obj:
    return {"f:spec": {"f:containers": inside}}


@pytest.mark.parametrize(
    ("theirs", "path"),
    [
        (containers(**{'k:{"name":"debug"}': {".": {}, "f:image": {}}}), "spec.containers[name=debug]"),
        (
            containers(**{'k:{"name":"main"}': {"f:env": {'k:{"name":"FOO"}': {".": {}, "f:value": {}}}}}),
            "spec.containers[name=main].env[name=FOO]",
        ),
        (
            containers(**{'k:{"name":"main"}': {"f:ports": {'k:{"containerPort":9,"protocol":"TCP"}': {}}}}),
            "spec.containers[name=main].ports[containerPort=9,protocol=TCP]",
        ),
        ({"f:spec": {"f:volumes": {".": {}, 'k:{"name":"x"}': {}}}}, "spec.volumes[name=x]"),
        ({"f:spec": {"f:affinity": {".": {}, "f:nodeAffinity": {}}}}, "spec.affinity.nodeAffinity"),
        ({"f:spec": {"f:nodeSelector": {}}}, "spec.nodeSelector"),
        ({"f:metadata": {"f:labels": {"f:theirs": {}}}}, "metadata.labels.theirs"),
        ({"f:metadata": {"f:labels": {"f:a.b/c": {}}}}, "metadata.labels[a.b/c]"),
        ({"f:metadata": {"f:finalizers": {'v:"x"': {}}}}, 'metadata.finalizers["x"]'),
    ],
)
def test_an_addition_is_told_by_its_path_and_its_manager(theirs: Obj, path: str) -> None:
    assert found(entry("kubectl-edit", theirs)) == (f"{path} (kubectl-edit)",)


def test_an_entry_of_a_list_with_several_keys_is_named_by_all() -> None:
    theirs = entry("x", {"f:spec": {"f:ports": {'k:{"port":9,"protocol":"TCP"}': {}}}})
    assert found(theirs) == ("spec.ports[port=9,protocol=TCP] (x)",)


@pytest.mark.parametrize(
    "theirs",
    [
        containers(**{'k:{"name":"main"}': {".": {}, "f:image": {}}}),  # both set the same: no addition
        {"f:spec": {"f:tolerations": {}}},
        {"f:metadata": {"f:annotations": {".": {}}}} | {"f:metadata": {}},
        {},
    ],
)
def test_what_is_ours_too_is_no_addition(theirs: Obj) -> None:
    assert found(entry("kubectl-edit", theirs)) == ()


def test_a_restart_by_kubectl_is_no_addition() -> None:
    restarted: Obj = {"f:metadata": {"f:annotations": {"f:kubectl.kubernetes.io/restartedAt": {}, "f:other": {}}}}
    assert found(entry("kubectl-rollout", restarted)) == ("metadata.annotations.other (kubectl-rollout)",)


def test_our_own_merge_patch_and_a_controllers_status_are_no_additions() -> None:
    patched = entry("slipway", containers(**{'k:{"name":"debug"}': {}}))
    status = entry("kube-controller-manager", {"f:spec": {"f:x": {}}}, subresource="status")
    assert found(patched, status) == ()


def test_several_are_sorted_and_told_once_each() -> None:
    volume: Obj = {"f:spec": {"f:volumes": {}}}
    assert found(entry("b", volume), entry("a", volume), entry("b", volume)) == (
        "spec.volumes (a)",
        "spec.volumes (b)",
    )


def test_what_the_api_server_recorded_half_or_not_is_nothing() -> None:
    assert found({"manager": "x"}, {"manager": "x", "fieldsV1": None}, entry("x", {})) == ()
    assert additions(body(DEPLOYMENT, "chat"), "spec", "template") == ()


def test_only_deployments_are_looked_into() -> None:
    metadata = {"managedFields": [entry("kubectl-edit", {"f:spec": {"f:volumes": {}}})]}
    assert observe.child(DEPLOYMENT, body(DEPLOYMENT, "chat", metadata=metadata)).additions == (
        "spec.volumes (kubectl-edit)",
    )
    assert observe.child(SERVICE, body(SERVICE, "chat", metadata=metadata)).additions == ()
