"""The merge of the user's podTemplate, and the security of every container."""

import copy
from typing import Any

import pytest

from slipway.plan.hashing import short_hash
from slipway.plan.pod import template

RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def rendered() -> Any:
    return {
        "metadata": {"labels": {"own": "1"}},
        "spec": {
            "containers": [
                {
                    "name": "pytorch",
                    "image": "trainer:1",
                    "env": [{"name": "HOME", "value": "/tmp"}, {"name": "A", "value": "1"}],
                    "resources": {"requests": {"cpu": "250m", "memory": "1Gi"}},
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    "securityContext": template.container_security(),
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}}],
            "terminationGracePeriodSeconds": 60,
        },
    }


def merged(**spec: Any) -> Any:
    return template.merged(rendered(), {"metadata": {}, "spec": spec}, main="pytorch")["spec"]


def main(**fields: Any) -> Any:
    return merged(containers=[{"name": "main", **fields}])["containers"][0]


def test_nothing_said_changes_nothing() -> None:
    assert template.merged(rendered(), {}, main="pytorch") == rendered()
    assert template.merged(rendered(), {"metadata": {}, "spec": {}}, main="pytorch") == rendered()


def test_neither_argument_is_changed() -> None:
    base, user = rendered(), {"spec": {"containers": [{"name": "main", "env": [{"name": "A", "value": "2"}]}]}}
    before = copy.deepcopy((base, user))
    template.merged(base, user, main="pytorch")
    assert (base, user) == before


def test_labels_and_annotations_are_added() -> None:
    user = {"metadata": {"labels": {"team": "x"}, "annotations": {"note": "y"}}}
    metadata = template.merged(rendered(), user, main="pytorch")["metadata"]
    assert metadata == {"labels": {"own": "1", "team": "x"}, "annotations": {"note": "y"}}


def test_main_is_the_backends_container() -> None:
    assert main(workingDir="/src") == {**rendered()["spec"]["containers"][0], "workingDir": "/src"}


def test_a_container_of_the_users_stands_beside_ours_and_is_restricted() -> None:
    containers = merged(containers=[{"name": "log", "image": "log:1"}])["containers"]
    assert [each["name"] for each in containers] == ["pytorch", "log"]
    assert containers[1] == {"name": "log", "image": "log:1", "securityContext": RESTRICTED}


def test_an_init_container_of_the_users_is_restricted_and_keeps_what_it_says() -> None:
    user = {"name": "warm", "securityContext": {"runAsUser": 7, "capabilities": {"drop": ["NET_RAW"]}}}
    assert merged(initContainers=[user])["initContainers"] == [
        {
            "name": "warm",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL", "NET_RAW"]},
                "runAsUser": 7,
            },
        }
    ]


def test_an_init_container_called_main_is_not_renamed() -> None:
    assert merged(initContainers=[{"name": "main"}])["initContainers"][0]["name"] == "main"


def test_null_takes_no_security_away() -> None:
    assert main(securityContext=None)["securityContext"] == {**RESTRICTED, "readOnlyRootFilesystem": True}
    assert main(securityContext={"capabilities": None, "allowPrivilegeEscalation": None})["securityContext"] == {
        **RESTRICTED,
        "readOnlyRootFilesystem": True,
    }


def test_an_empty_drop_list_takes_no_security_away() -> None:
    assert main(securityContext={"capabilities": {"drop": []}})["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_the_root_file_system_may_be_made_writable() -> None:
    assert main(securityContext={"readOnlyRootFilesystem": False})["securityContext"]["readOnlyRootFilesystem"] is False


def test_variables_replace_by_name_and_keep_their_place() -> None:
    env = main(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}}, {"name": "B", "value": "3"}])["env"]
    assert env == [
        {"name": "HOME", "value": "/tmp"},
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
        {"name": "B", "value": "3"},
    ]


def test_resources_merge_key_by_key() -> None:
    assert main(resources={"requests": {"cpu": "2"}, "limits": {"memory": "4Gi"}})["resources"] == {
        "requests": {"cpu": "2", "memory": "1Gi"},
        "limits": {"memory": "4Gi"},
    }


@pytest.mark.parametrize(
    ("field", "entry"),
    [("volumes", {"name": "tmp", "emptyDir": {}}), ("volumes", {"name": "more", "configMap": {"name": "c"}})],
)
def test_volumes_replace_whole_by_name(field: Any, entry: Any) -> None:
    expected = {"tmp": {"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}}} | {entry["name"]: entry}
    assert merged(**{field: [entry]})[field] == list(expected.values())


def test_mounts_replace_by_path() -> None:
    mounts = main(volumeMounts=[{"name": "big", "mountPath": "/tmp"}, {"name": "x", "mountPath": "/x"}])["volumeMounts"]
    assert mounts == [{"name": "big", "mountPath": "/tmp"}, {"name": "x", "mountPath": "/x"}]


def over(field: Any, base: Any, user: Any) -> Any:
    return template.merged({"spec": {field: base}}, {"spec": {field: user}}, main="m")["spec"][field]


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("imagePullSecrets", "name"),
        ("volumeDevices", "devicePath"),
        ("ports", "containerPort"),
        ("resourceClaims", "name"),
    ],
)
def test_lists_that_core_v1_merges_by_key(field: Any, key: Any) -> None:
    assert over(field, [{key: 1, "x": 1}, {key: 2}], [{key: 3}, {key: 1, "y": 1}]) == [
        {key: 1, "y": 1},
        {key: 2},
        {key: 3},
    ]


def test_ports_are_a_number_and_a_protocol() -> None:
    """As in core/v1: DNS has one of each."""
    tcp, udp = {"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}
    assert over("ports", [{"containerPort": 53, "name": "ours"}], [tcp, udp]) == [tcp, udp]


@pytest.mark.parametrize(
    "field",
    ["tolerations", "topologySpreadConstraints", "envFrom", "requiredDuringSchedulingIgnoredDuringExecution", "drop"],
)
def test_lists_that_are_appended_once(field: Any) -> None:
    assert over(field, [{"a": 1}], [{"a": 2}, {"a": 1}]) == [{"a": 1}, {"a": 2}]


def test_any_other_list_is_replaced() -> None:
    assert over("args", ["a"], ["b", "c"]) == ["b", "c"]
    assert over("args", ["a", "b"], []) == []
    assert over("env", [{"name": "A"}], []) == [{"name": "A"}]


@pytest.mark.parametrize(
    "user", [[{"value": "no name"}], ["junk"], [{"name": None}], [{"name": ["x"]}], [{"name": {}}]]
)
def test_a_list_without_its_key_is_left_for_the_api_server_to_name(user: Any) -> None:
    assert over("env", [{"name": "A"}], user) == user


def test_scalars_override_and_null_does_not() -> None:
    assert merged(terminationGracePeriodSeconds=5)["terminationGracePeriodSeconds"] == 5
    assert merged(terminationGracePeriodSeconds=None)["terminationGracePeriodSeconds"] == 60
    assert "nodeSelector" not in merged(nodeSelector=None)


@pytest.mark.parametrize("containers", ["junk", {"name": "main"}, [1, {"name": "x"}]])
def test_shapes_that_core_v1_does_not_know_are_carried_over(containers: Any) -> None:
    result = merged(containers=containers)["containers"]
    assert result == ([1, {"name": "x", "securityContext": RESTRICTED}] if isinstance(containers, list) else containers)


def test_a_spec_that_is_no_map_is_carried_over_for_the_api_server() -> None:
    with_junk = template.merged({"spec": {"a": 1}}, {"metadata": "junk", "spec": {}}, main="m")
    assert with_junk == {"spec": {"a": 1}, "metadata": "junk"}


def test_the_pods_security() -> None:
    assert template.pod_security() == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert template.container_security() == {**RESTRICTED, "readOnlyRootFilesystem": True}


def test_a_trial_is_a_pod_named_after_its_content() -> None:
    digest, body = template.trial("team", rendered())
    assert digest == short_hash(rendered())
    metadata = {**rendered()["metadata"], "name": f"slipway-trial-{digest}", "namespace": "team"}
    assert body == {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": rendered()["spec"]}


def test_the_trial_of_a_shape_is_a_pod_template_of_the_same_hash() -> None:
    digest, body = template.shape_trial("team", rendered())
    assert digest == short_hash(rendered())
    assert body == {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": f"slipway-trial-{digest}", "namespace": "team"},
        "template": rendered(),
    }
