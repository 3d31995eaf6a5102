"""A value of another type than core/v1's is told with its place and its mend, and every other one is let through."""

from typing import Any

import pytest

from slipway.plan.pod import containers, policy
from slipway.plan.pod.types import core, mistyped


def found(**spec: Any) -> Any:
    return [(each.path, each.message) for each in mistyped(spec, "spec")]


def in_main(**fields: Any) -> Any:
    prefix = "spec.containers[0]."
    return [(path.removeprefix(prefix), said) for path, said in found(containers=[{"name": "main", **fields}])]


RIGHT: dict[str, Any] = {
    "nodeSelector": {"disk": "ssd"},
    "terminationGracePeriodSeconds": 2**40,
    "enableServiceLinks": False,
    "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    "volumes": [
        {"name": "a", "emptyDir": {"sizeLimit": "1.5Gi"}},
        {"name": "b", "configMap": {"defaultMode": 420}},
        {"name": "c", "ephemeral": {"volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": "1Gi"}}}}}},
        {"name": "d", "somethingNew": 5},
    ],
    "containers": [
        {
            "name": "main",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": None}],
            "ports": [{"containerPort": 80.0}],
            "resources": {"limits": {"cpu": 2, "memory": "2e9", "x": 0.5}},
            "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": -1},
            "startupProbe": {"httpGet": {"port": 80}},
            "fieldOfTomorrow": {"anything": [1]},
        },
        None,
    ],
    "initContainers": None,
    "somethingNew": [],
}


def test_what_is_of_its_type_is_let_through() -> None:
    assert found(**RIGHT) == []
    assert list(mistyped(None, "spec")) == list(mistyped({}, "spec")) == []


@pytest.mark.parametrize(
    ("fields", "path", "said"),
    [
        ({"args": ["a", 5]}, "args[1]", "must be text, not a number: put it in quotes"),
        ({"env": [{"name": "A", "value": True}]}, "env[0].value", "must be text, not true or false: put it in quotes"),
        ({"env": [{"name": "A", "value": {"a": 1}}]}, "env[0].value", "must be text, not a map"),
        ({"workingDir": ["/"]}, "workingDir", "must be text, not a list"),
        (
            {"ports": [{}, {"containerPort": "80"}]},
            "ports[1].containerPort",
            "must be a whole number, not text: leave the quotes out",
        ),
        ({"ports": [{"containerPort": "http"}]}, "ports[0].containerPort", "must be a whole number, not text"),
        ({"ports": [{"containerPort": 80.5}]}, "ports[0].containerPort", "must be a whole number, not 80.5"),
        ({"ports": [{"containerPort": True}]}, "ports[0].containerPort", "must be a whole number, not true or false"),
        (
            {"ports": [{"containerPort": 2**31}]},
            "ports[0].containerPort",
            "must be a whole number from -2147483648 to 2147483647",
        ),
        ({"ports": {"containerPort": 80}}, "ports", "must be a list, not a map: begin each of its entries with `- `"),
        ({"command": "sleep 1"}, "command", "must be a list, not text: begin each of its entries with `- `"),
        ({"env": ["A=1"]}, "env[0]", "must be a map, not text: write its fields as `name: value`"),
        ({"resources": "4"}, "resources", "must be a map, not text: write its fields as `name: value`"),
        (
            {"resources": {"limits": ["cpu"]}},
            "resources.limits",
            "must be a map, not a list: write its fields as `name: value`",
        ),
        (
            {"resources": {"limits": {"memory": "2 Gi"}}},
            "resources.limits[memory]",
            'must be a quantity such as "500m" or "2Gi", not "2 Gi"',
        ),
        ({"resources": {"requests": {"cpu": True}}}, "resources.requests[cpu]", 'must be a quantity such as "500m"'),
        (
            {"securityContext": {"readOnlyRootFilesystem": "false"}},
            "securityContext.readOnlyRootFilesystem",
            "must be true or false, not text: leave the quotes out",
        ),
        (
            {"securityContext": {"readOnlyRootFilesystem": "no"}},
            "securityContext.readOnlyRootFilesystem",
            "must be true or false, not text",
        ),
        ({"securityContext": {"runAsUser": 2**63}}, "securityContext.runAsUser", "must be a whole number from -9"),
        (
            {"livenessProbe": {"httpGet": {"port": [80]}}},
            "livenessProbe.httpGet.port",
            "must be a whole number or a name, not a list",
        ),
        ({"livenessProbe": {"httpGet": {"port": 1.5}}}, "livenessProbe.httpGet.port", "must be a whole number or a"),
    ],
)
def test_what_is_not_is_told_at_its_place(fields: Any, path: str, said: str) -> None:
    [(where, told)] = in_main(**fields)
    assert where == path
    assert told.startswith(said)
    assert told == said or said.endswith(("to", "a", "from -9", '"500m"'))


@pytest.mark.parametrize("text", ["", "two", "1,5", "1GiB", "1mi", "--1", "1e", "0x10", "1 Gi", "١"])
def test_no_quantity(text: str) -> None:
    [(path, said)] = found(volumes=[{"name": "a", "emptyDir": {"sizeLimit": text}}])
    assert path == "spec.volumes[0].emptyDir.sizeLimit"
    assert said.endswith(f'not "{text}"')


@pytest.mark.parametrize("text", ["0", "-1", "+.5", "5.", "1n", "1u", "1k", "1Ei", "1E", "1E3", "1e-3", " 1Gi "])
def test_a_quantity(text: str) -> None:
    assert found(volumes=[{"name": "a", "emptyDir": {"sizeLimit": text}}]) == []


def test_every_mistake_is_told_and_a_long_text_is_cut() -> None:
    wrong = {"a": "x" * 5000, "b": "y"}
    told = in_main(args=[1, 2], resources={"requests": wrong})
    assert [path for path, _ in told] == ["args[0]", "args[1]", "resources.requests[a]", "resources.requests[b]"]
    assert max(len(said) for _, said in told) < 100


def test_the_table_has_the_types_of_all_that_a_pod_template_may_say() -> None:
    table = core()
    assert set(table["PodSpec"]) == policy.SPEC_FIELDS
    assert set(table["Container"]) == containers.FIELDS
    assert set(table["Volume"]) == policy.VOLUME_TYPES | {"name"}
    spelled = {kind.strip("[]{}") for fields in table.values() for kind in fields.values()}
    assert spelled - set(table) == {"string", "boolean", "int32", "int64", "quantity", "int-or-string"}
