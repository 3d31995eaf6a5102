"""The slipway chart: what it renders, what it refuses, and that its pods are restricted."""

import tomllib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import yaml

from slipway.plan.capacity.devices import BUILT_IN, catalog
from slipway.settings import from_environment

from .conftest import CHART, ROOT, Render, Rendered, helm
from .pod_security import containers, violations

EVERYTHING = {
    "operator.replicas": 2,
    "gateway.replicas": 2,
    "networkPolicy.enabled": True,
    "prometheus.url": "http://prometheus.monitoring.svc:9090",
    "tracing.otlpEndpoint": "http://collector:4318",
    "prices.perDeviceHour.nvidia": "2.49",
    "imagePullSecrets": [{"name": "registry"}],
    "accelerators.create": True,
}


def pods(objects: Rendered) -> dict[str, dict[str, Any]]:
    """Pod specs by the name of what makes them."""
    specs = {}
    for each in objects:
        if each["kind"] == "Pod":
            specs[each["metadata"]["name"]] = each["spec"]
        elif each["kind"] == "Deployment":
            specs[each["metadata"]["name"]] = each["spec"]["template"]["spec"]
    return specs


def one(objects: Rendered, kind: str, name: str) -> dict[str, Any]:
    [found] = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def environment(objects: Rendered) -> dict[str, str]:
    [container] = one(objects, "Deployment", "slipway-operator")["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"] if "value" in each}


def test_lint_is_clean() -> None:
    answer = helm("lint", "--strict", str(CHART))
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_every_pod_is_restricted(render: Render, values: dict[str, Any]) -> None:
    specs = pods(render(values))
    assert set(specs) == {"slipway-operator", "slipway-gateway", "slipway-test"}
    assert {name: list(violations(spec)) for name, spec in specs.items()} == {key: [] for key in specs}


def test_the_checker_sees_a_privileged_pod() -> None:
    spec = {"hostNetwork": True, "containers": [{"name": "bad", "securityContext": {"privileged": True}}]}
    assert list(violations(spec)) == [
        "hostNetwork is set",
        "bad is privileged",
        "bad allows privilege escalation",
        "bad does not drop all capabilities",
        "bad may run as root",
        "bad has no seccomp profile",
    ]


def test_root_file_systems_are_read_only(render: Render) -> None:
    for spec in pods(render()).values():
        assert all(each["securityContext"]["readOnlyRootFilesystem"] is True for each in containers(spec))


@pytest.mark.parametrize(
    ("key", "value", "where"),
    [
        ("gateway.replcas", 2, "/gateway"),
        ("gateway.replicas", "two", "/gateway/replicas"),
        ("gateway.replicas", 0, "/gateway/replicas"),
        ("operator.image", "", "/operator/image"),
        ("operator.logFormat", "xml", "/operator/logFormat"),
        ("images.vllm.amd", "x", "/images/vllm"),
        ("images.vllm.cpu", "", "/images/vllm/cpu"),
        ("images.sglang.cpu", "a b", "/images/sglang/cpu"),
        ("prometheus.url", "prometheus:9090", "/prometheus/url"),
        ("prices.perDeviceHour.nvidia", 2.49, "/prices/perDeviceHour/nvidia"),
        ("prices.perDeviceHour.cpu", "1e3", "/prices/perDeviceHour/cpu"),
        ("prices.perDeviceHour.amd", "1", "/prices/perDeviceHour"),
        ("prices.currency", "US dollars", "/prices/currency"),
        ("gateway.service.type", "Cluster", "/gateway/service/type"),
        ("unknown", 1, "unknown"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(render: Render, key: str, value: object, where: str) -> None:
    with pytest.raises(ValueError, match=where):
        render({key: value})


def test_every_default_is_in_the_schema() -> None:
    """A value without a schema entry could not be set: additionalProperties is false everywhere."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    def walk(value: dict[str, Any], node: dict[str, Any], path: str) -> None:
        properties = node.get("properties")
        if properties is None:
            return
        assert set(value) == set(properties) - {"global"}, path
        for key, inner in value.items():
            if isinstance(inner, dict):
                walk(inner, properties[key], f"{path}.{key}")

    walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


def empty(value: object) -> bool:
    return value in ("", [], {})


def test_only_what_is_empty_by_default_may_be_taken_away() -> None:
    """`key: null` takes a default away. Templates go through values, or write them down: those must stay. What only
    passes through to Kubernetes (an object without properties of ours) may go."""
    schema = yaml.safe_load((CHART / "values.schema.json").read_text())

    def walk(value: dict[str, Any], node: dict[str, Any], path: str) -> None:
        properties = node["properties"]
        ours = {key for key in value if properties[key].get("type") != "object" or "properties" in properties[key]}
        assert set(node.get("required", [])) == {key for key in ours if not empty(value[key])}, path
        for key in ours:
            if isinstance(value[key], dict):
                walk(value[key], properties[key], f"{path}.{key}")

    walk(yaml.safe_load((CHART / "values.yaml").read_text()), schema, "")


@pytest.mark.parametrize("key", ["prices", "images.vllm", "gateway", "gateway.service", "operator.image"])
def test_a_default_that_was_taken_away_is_named(render: Render, key: str) -> None:
    with pytest.raises(ValueError, match=f"missing property '{key.split('.')[-1]}'"):
        render({key: None})


def test_an_empty_default_that_was_taken_away_changes_nothing(render: Render) -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    def paths(value: dict[str, Any], path: str) -> Iterator[str]:
        for key, inner in value.items():
            if empty(inner):
                yield f"{path}{key}"
            elif isinstance(inner, dict):
                yield from paths(inner, f"{path}{key}.")

    without = dict.fromkeys(paths(values, ""))
    assert {"operator.podAnnotations", "prometheus.url", "fullnameOverride"} <= without.keys()
    assert render(without) == render()


def test_the_operator_is_told_where_everything_is(render: Render) -> None:
    seen = environment(render({"prometheus.url": "http://p:9090", "images.trainer": "r/t@sha256:00"}))
    assert seen["SLIPWAY_PROGRESS_URL"] == "http://slipway-leader.slipway-system.svc:8090/v1/progress"
    assert seen["SLIPWAY_GATEWAY_URL"] == "http://slipway-gateway.slipway-system.svc"
    assert seen["SLIPWAY_PROMETHEUS_URL"] == "http://p:9090"
    assert seen["SLIPWAY_TRAINER_IMAGE"] == "r/t@sha256:00"
    assert seen["SLIPWAY_LEADER_SERVICE"] == "slipway-leader"
    assert seen["SLIPWAY_SGLANG_CPU_IMAGE"] == "", "none is published that this version was tried with"
    assert seen["SLIPWAY_SGLANG_NVIDIA_IMAGE"] == "docker.io/lmsysorg/sglang:v0.5.23"
    assert (seen["SLIPWAY_DEVICE_HOUR_PRICES"], seen["SLIPWAY_CURRENCY"]) == ("", "USD")
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" not in seen


def test_prices_are_those_that_are_given(render: Render) -> None:
    both = {"prices.perDeviceHour.nvidia": "2.49", "prices.perDeviceHour.cpu": "0.04", "prices.currency": "EUR"}
    seen = environment(render(both))
    assert (seen["SLIPWAY_DEVICE_HOUR_PRICES"], seen["SLIPWAY_CURRENCY"]) == ("cpu=0.04,nvidia=2.49", "EUR")


def test_without_a_gateway_nothing_of_it_remains(render: Render) -> None:
    objects = render({"gateway.enabled": False})
    left = [each for each in objects if "gateway" in each["metadata"]["name"]]
    assert left == []
    assert environment(objects)["SLIPWAY_GATEWAY_URL"] == ""


def test_the_leader_service_has_no_selector(render: Render) -> None:
    service = one(render(), "Service", "slipway-leader")
    assert "selector" not in service["spec"]
    assert service["spec"]["ports"] == [{"name": "progress", "port": 8090, "targetPort": 8090}]


def test_the_gateway_has_time_to_drain(render: Render) -> None:
    spec = pods(render({"gateway.drainSeconds": 100}))["slipway-gateway"]
    [container] = spec["containers"]
    assert "--drain-seconds=100" in container["args"]
    assert spec["terminationGracePeriodSeconds"] > 100 + container["lifecycle"]["preStop"]["sleep"]["seconds"]


def test_two_releases_share_no_cluster_scoped_name(render: Render) -> None:
    cluster = {"ClusterRole", "ClusterRoleBinding"}

    def names(namespace: str) -> set[tuple[str, str]]:
        return {(o["kind"], o["metadata"]["name"]) for o in render(namespace=namespace) if o["kind"] in cluster}

    assert names("team-a")
    assert not names("team-a") & names("team-b")


def test_names_fit_whatever_the_release_is_called(render: Render) -> None:
    objects = render(EVERYTHING, release="r" * 53)
    assert (
        max(
            len(each["metadata"]["name"])
            for each in objects
            if each["kind"] not in {"ClusterRole", "ClusterRoleBinding"}
        )
        <= 63
    )


@pytest.mark.parametrize(("part", "port"), [("operator", "8080"), ("gateway", "8081")])
def test_a_pods_own_annotations_win(render: Render, part: str, port: str) -> None:
    values = {f"{part}.podAnnotations": {"prometheus.io/scrape": "false", "image": "sha256:00"}}
    assert one(render(values), "Deployment", f"slipway-{part}")["spec"]["template"]["metadata"]["annotations"] == {
        "prometheus.io/scrape": "false",
        "prometheus.io/port": port,
        "prometheus.io/path": "/metrics",
        "image": "sha256:00",
    }


@pytest.mark.parametrize("release", ["my.rel", "9a"])
def test_a_release_whose_name_no_service_can_have_is_refused(render: Render, release: str) -> None:
    with pytest.raises(ValueError, match=f"no Service may be called {release}-slipway-gateway"):
        render(release=release)
    assert render({"fullnameOverride": "mine"}, release=release)


def test_what_yaml_would_take_for_something_else_stays_text(render: Render) -> None:
    """The API server refuses `instance: on`: a label is text."""
    values = {"fullnameOverride": "on", "operator.priorityClassName": "on", "operator.image": "1e3"}
    objects = render(values, release="on")
    assert {each["metadata"]["labels"]["app.kubernetes.io/instance"] for each in objects} == {"on"}
    spec = pods(objects)["on-operator"]
    [container] = spec["containers"]
    assert (spec["priorityClassName"], container["image"]) == ("on", "1e3")
    assert {"name": "SLIPWAY_LEASE_NAME", "value": "on"} in container["env"]
    selected = one(objects, "Deployment", "on-operator")["spec"]["selector"]["matchLabels"]
    assert selected["app.kubernetes.io/instance"] == "on"


def test_selectors_do_not_change_between_versions(render: Render) -> None:
    """A Deployment's selector is immutable: an upgrade that changed it would fail on every cluster."""
    assert {
        each["metadata"]["name"]: each["spec"]["selector"]["matchLabels"]
        for each in render()
        if each["kind"] == "Deployment"
    } == {
        "slipway-operator": {"app.kubernetes.io/name": "slipway-operator", "app.kubernetes.io/instance": "slipway"},
        "slipway-gateway": {"app.kubernetes.io/name": "slipway-gateway", "app.kubernetes.io/instance": "slipway"},
    }


def test_what_helm_owns_is_not_mistaken_for_what_the_operator_owns(render: Render) -> None:
    """The operator watches app.kubernetes.io/managed-by=slipway: nothing in the chart may carry it."""
    managers = {each["metadata"]["labels"]["app.kubernetes.io/managed-by"] for each in render(EVERYTHING)}
    assert managers == {"Helm"}


def test_uninstalling_takes_no_user_data(render: Render) -> None:
    kinds = {each["kind"] for each in render(EVERYTHING)}
    assert not kinds & {"CustomResourceDefinition", "PersistentVolumeClaim", "Namespace"}


def test_the_charts_own_test_passes_its_network_policy(render: Render) -> None:
    objects = render(EVERYTHING)
    ingress = one(objects, "NetworkPolicy", "slipway-operator")["spec"]["ingress"]
    admitted = [peer["podSelector"].get("matchLabels") for rule in ingress for peer in rule.get("from", [])]
    labels = one(objects, "Pod", "slipway-test")["metadata"]["labels"]
    assert any(chosen and chosen.items() <= labels.items() for chosen in admitted)


def test_budgets_come_with_a_second_replica(render: Render) -> None:
    assert [each for each in render() if each["kind"] == "PodDisruptionBudget"] == []
    names = {each["metadata"]["name"] for each in render(EVERYTHING) if each["kind"] == "PodDisruptionBudget"}
    assert names == {"slipway-operator", "slipway-gateway"}


def test_versions_agree() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for chart in ("slipway", "slipway-crds"):
        meta = yaml.safe_load((ROOT / "charts" / chart / "Chart.yaml").read_text())
        assert (meta["version"], meta["appVersion"]) == (project, project)


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
@pytest.mark.parametrize("form", ["json", "text"])
def test_the_operator_accepts_the_environment_that_the_chart_gives_it(render: Render, level: str, form: str) -> None:
    given = environment(render({**EVERYTHING, "operator.logLevel": level, "operator.logFormat": form}))
    settings = from_environment({**given, "SLIPWAY_NAMESPACE": "slipway-system", "POD_IP": "10.0.0.1"}, unique="x")
    assert (settings.log_level, settings.log_format) == (level.upper(), form)
    assert settings.lease.name == "slipway"
    assert settings.leader_service == "slipway-leader"
    assert settings.defaults.prometheus_url == EVERYTHING["prometheus.url"]
    assert settings.defaults.device_hour_prices == (("nvidia", Decimal("2.49")),)
    assert settings.writes_per_second == 1000


def test_the_gpus_that_are_known_are_installed_only_when_asked(render: Render) -> None:
    """The operator knows them anyway; objects of Helm's would stand in the way of whoever edits one."""
    assert not [each for each in render() if each["kind"] == "Accelerator"]
    made = {each["metadata"]["name"]: each["spec"] for each in render(EVERYTHING) if each["kind"] == "Accelerator"}
    assert catalog(made).classes == BUILT_IN.classes
    assert len(made) == len(BUILT_IN.classes) > 10
