"""The rendered objects where the golden records do not reach: each choice between two forms."""

from dataclasses import replace

import pytest

from slipway.api.inferenceservice import InferenceServiceSpec, Scaling
from slipway.plan.capacity.devices import catalog
from slipway.plan.inference import engine, vllm
from slipway.plan.inference.children import child_labels, selector
from slipway.plan.inference.deployment import strategy
from slipway.plan.inference.pods import grace_seconds
from slipway.plan.inference.scaledobject import query, scaled_object
from slipway.plan.observed import Obj
from slipway.plan.outcome import Plan

from .world import (
    CLAIM,
    DEFAULTS,
    SCALING,
    World,
    applied,
    claim,
    owner,
    revision_of,
    said,
    settle,
    spec,
    world,
)

GPU = {"accelerator": "nvidia"}
ACCELERATOR: Obj = {
    "memoryGib": "141",
    "memoryGigabytesPerSecond": 4800,
    "teraflops": {"fp16": 989},
    "linkGigabytesPerSecond": 450,
    "hostGigabytesPerSecond": 64,
    "nodeLabels": {"gpu": "mine"},
}


def pod_spec(outcome: Plan) -> Obj:
    found: Obj = applied(outcome, "Deployment")["spec"]["template"]["spec"]
    return found


def main(outcome: Plan) -> Obj:
    found: Obj = next(entry for entry in pod_spec(outcome)["containers"] if entry["name"] == "main")
    return found


def parsed(**fields: object) -> InferenceServiceSpec:
    return InferenceServiceSpec.model_validate(spec(**fields))


# Engine


def test_arguments_in_order() -> None:
    outcome = settle(spec(engineArgs=["--dtype=bfloat16"], drainSeconds=7))
    assert main(outcome)["command"] == ["vllm", "serve"]
    assert main(outcome)["args"] == [
        "/slipway/model/llama",
        "--host",
        "0.0.0.0",
        "--port",
        "8000",
        "--served-model-name",
        "chat",
        "team/chat",
        "--shutdown-timeout",
        "7",
        "--enforce-eager",
        "--dtype=bfloat16",
    ]


def test_on_a_gpu_the_engine_compiles() -> None:
    """The CPU image has no compiler: without the flag its engine ends at the start."""
    assert "--enforce-eager" not in main(settle(spec(accelerator="nvidia")))["args"]


def test_compilation_is_refused_on_a_cpu() -> None:
    outcome = settle(spec(engineArgs=["--no-enforce-eager"]))
    message = "spec.engineArgs[0]: Slipway's CPU image has no compiler, without which no engine starts; remove it"
    assert said(outcome, "Accepted") == ("False", "UnsupportedEngineArgument", message)
    assert said(settle(spec(engineArgs=["--no-enforce-eager"], accelerator="nvidia")), "Accepted")[0] == "True"


def test_a_pause_by_another_hand_is_undone() -> None:
    assert applied(settle(spec()), "Deployment")["spec"]["paused"] is False


def test_model_at_the_root_of_its_claim() -> None:
    assert main(settle(spec(model={"uri": "pvc://models/"})))["args"][0] == "/slipway/model"


@pytest.mark.parametrize(
    ("path", "written"),
    [("$(HOME)/x", "$$(HOME)/x"), ("a$b", "a$$b"), ("a$$(b)", "a$$$$(b)"), ("$", "$$")],
)
def test_a_dollar_in_the_models_path_is_not_the_kubelets_to_expand(path: str, written: str) -> None:
    outcome = settle(spec(model={"uri": f"pvc://models/{path}"}))
    assert main(outcome)["args"][0] == f"/slipway/model/{written}"
    check = next(entry for entry in pod_spec(outcome)["initContainers"] if entry["name"] == "model-check")
    assert check["command"][-1] == f"/slipway/model/{written}"


@pytest.mark.parametrize(("tensor", "flags"), [(1, []), (2, ["--tensor-parallel-size", "2"])])
def test_tensor_parallel_size_only_above_one(tensor: int, flags: list[str]) -> None:
    arguments = main(settle(spec(**GPU, parallelism={"tensor": tensor})))["args"]
    assert arguments[10:] == flags


def test_gpus_are_as_many_as_share_the_model() -> None:
    outcome = settle(spec(**GPU, parallelism={"tensor": 4}))
    assert main(outcome)["resources"] == {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"nvidia.com/gpu": "4"},
    }
    assert pod_spec(outcome)["volumes"][2]["emptyDir"] == {"medium": "Memory", "sizeLimit": "4Gi"}
    assert pod_spec(outcome)["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]


def test_cpu_has_its_own_environment_and_no_gpu() -> None:
    outcome = settle(spec())
    assert main(outcome)["resources"] == {"requests": {"cpu": "250m", "memory": "2Gi"}}
    assert "tolerations" not in pod_spec(outcome)
    variables = {entry["name"]: entry["value"] for entry in main(outcome)["env"]}
    assert variables == {**engine.ENVIRONMENT, **vllm.ENGINE.environment, **vllm.ENGINE.cpu_environment}
    assert list(variables) == sorted(variables)


def test_gpu_has_no_cpu_environment() -> None:
    names = {entry["name"] for entry in main(settle(spec(**GPU)))["env"]}
    assert names == {*engine.ENVIRONMENT, *vllm.ENGINE.environment}


@pytest.mark.parametrize(
    ("fields", "image"),
    [({}, "vllm-cpu:1"), (GPU, "vllm-gpu:1"), ({**GPU, "image": "mine:2"}, "mine:2")],
)
def test_image_is_the_users_or_the_accelerators(fields: Obj, image: str) -> None:
    assert main(settle(spec(**fields)))["image"] == image


def test_no_image_for_an_accelerator() -> None:
    assert engine.image(parsed(**GPU), replace(DEFAULTS, vllm_images=(("cpu", "vllm-cpu:1"),))) is None
    assert engine.image(parsed(), replace(DEFAULTS, vllm_images=(("cpu", ""),))) is None


# Pods


def test_grace_is_longer_than_endpoints_and_engine_need() -> None:
    assert [grace_seconds(parsed(drainSeconds=seconds)) for seconds in (0, 45)] == [20, 65]
    assert pod_spec(settle(spec(drainSeconds=100)))["terminationGracePeriodSeconds"] == 120
    assert main(settle(spec(drainSeconds=0)))["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}


def test_pull_policy_and_sidecar_image_are_the_installations() -> None:
    defaults = replace(DEFAULTS, image_pull_policy="Never")
    pod = pod_spec(settle(spec(image="mine:2"), defaults=defaults))
    containers = [*pod["initContainers"], *pod["containers"]]
    assert [(entry["name"], entry["image"], entry["imagePullPolicy"]) for entry in containers] == [
        ("model-check", "sidecar:1", "Never"),
        ("slipway-engine", "sidecar:1", "Never"),
        ("main", "mine:2", "Never"),
    ]


def test_once_claim_keeps_the_pods_on_one_node() -> None:
    outcome = settle(spec(replicas=2), objects={CLAIM: claim("ReadWriteOnce")})
    term = {
        "labelSelector": {
            "matchLabels": {"app.kubernetes.io/managed-by": "slipway", "slipway.dev/inference-service": "chat"}
        },
        "topologyKey": "kubernetes.io/hostname",
    }
    expected = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert pod_spec(outcome)["affinity"] == expected


@pytest.mark.parametrize("mode", ["ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"])
def test_other_claims_do_not(mode: str) -> None:
    assert "affinity" not in pod_spec(settle(spec(), objects={CLAIM: claim(mode)}))


def test_read_only_claim_is_attached_read_only() -> None:
    outcome = settle(spec(), objects={CLAIM: claim("ReadOnlyMany")})
    source = {"claimName": "models", "readOnly": True}
    assert pod_spec(outcome)["volumes"][0] == {"name": "model", "persistentVolumeClaim": source}


def test_every_container_mounts_the_model_read_only_or_not_at_all() -> None:
    pod = pod_spec(settle(spec()))
    mounts = {
        entry["name"]: [mount for mount in entry.get("volumeMounts", []) if mount["name"] == "model"]
        for entry in [*pod["initContainers"], *pod["containers"]]
    }
    mounted = [{"name": "model", "mountPath": "/slipway/model", "readOnly": True}]
    assert mounts == {"model-check": mounted, "slipway-engine": [], "main": mounted}


def test_users_template_is_merged() -> None:
    user = {
        "metadata": {"annotations": {"team": "nlp"}},
        "spec": {
            "nodeSelector": {"disk": "ssd"},
            "containers": [{"name": "main", "env": [{"name": "VLLM_CPU_KVCACHE_SPACE", "value": "8"}]}],
        },
    }
    outcome = settle(spec(podTemplate=user))
    template = applied(outcome, "Deployment")["spec"]["template"]
    assert template["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8000",
        "prometheus.io/path": "/metrics",
        "team": "nlp",
    }
    assert template["spec"]["nodeSelector"] == {"disk": "ssd"}
    variables = {entry["name"]: entry["value"] for entry in main(outcome)["env"]}
    assert variables["VLLM_CPU_KVCACHE_SPACE"] == "8"
    assert variables["HOME"] == "/tmp"


def test_revision_changes_with_the_pods_and_only_with_them() -> None:
    base = revision_of(settle(spec()))
    assert revision_of(settle(spec(replicas=3))) == base
    assert revision_of(settle(spec(scaling=SCALING))) == base
    assert revision_of(settle(spec(image="other:1"))) != base
    assert revision_of(settle(spec(drainSeconds=46))) != base


def test_namesakes_made_anew_have_pods_of_another_revision() -> None:
    labels = applied(settle(spec()), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert labels["slipway.dev/owner-uid"] == "uid-of-chat"
    seen = world(spec()).observed
    anew = World(replace(seen, owner=replace(seen.owner, uid="another"))).settle()
    assert revision_of(anew) != labels["slipway.dev/revision"]


# Deployment


@pytest.mark.parametrize(
    ("access", "serving", "expected"),
    [
        ("many", True, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}),
        ("node", False, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": "100%"}}),
        ("pod", True, {"type": "Recreate"}),
        ("pod", False, {"type": "Recreate"}),
    ],
)
def test_strategy(access: str, serving: bool, expected: Obj) -> None:
    assert strategy(access, serving=serving) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("replicas", [0, 1, 5])
@pytest.mark.parametrize("scaling", [None, SCALING])
def test_replicas_are_what_spec_says_also_under_an_autoscaler(replicas: int, scaling: Obj | None) -> None:
    assert applied(settle(spec(replicas=replicas, scaling=scaling)), "Deployment")["spec"]["replicas"] == replicas


def test_labels() -> None:
    assert selector("chat") == "app.kubernetes.io/managed-by=slipway,slipway.dev/inference-service=chat"
    assert child_labels("chat") == {
        "app.kubernetes.io/managed-by": "slipway",
        "slipway.dev/inference-service": "chat",
        "app.kubernetes.io/component": "engine",
    }


# ScaledObject


def test_query_escapes_what_promql_would_read() -> None:
    assert query("team", "chat") == 'sum(slipway_gateway_requests{inference_namespace="team",inference_service="chat"})'
    assert (
        query('a"b', "c\\d\ne")
        == 'sum(slipway_gateway_requests{inference_namespace="a\\"b",inference_service="c\\\\d\\ne"})'
    )


def test_scaled_object() -> None:
    scaling = Scaling.model_validate(SCALING)
    assert scaled_object(owner(), scaling, least=0, prometheus_url="http://prom:9090")["spec"] == {
        "scaleTargetRef": {"apiVersion": "slipway.dev/v1alpha1", "kind": "InferenceService", "name": "chat"},
        "minReplicaCount": 0,
        "maxReplicaCount": 4,
        "pollingInterval": 5,
        "cooldownPeriod": 60,
        "initialCooldownPeriod": 60,
        "triggers": [
            {
                "type": "prometheus",
                "metricType": "AverageValue",
                "metadata": {
                    "serverAddress": "http://prom:9090",
                    "query": 'sum(slipway_gateway_requests{inference_namespace="team",inference_service="chat"})',
                    "threshold": "8",
                    "activationThreshold": "0",
                    "ignoreNullValues": "false",
                },
            }
        ],
    }


def test_scaled_object_only_when_asked_for() -> None:
    assert [entry["kind"] for entry in settle(spec()).apply] == ["Deployment", "Service"]
    assert [entry["kind"] for entry in settle(spec(scaling=SCALING)).apply] == ["Deployment", "Service", "ScaledObject"]


@pytest.mark.parametrize(
    ("replicas", "answered", "fewest", "least"),
    [
        (1, "", 0, 1),  # not to zero before it has answered once
        (1, "1a2b", 0, 0),
        (0, "", 0, 0),  # the user wants it to begin at zero
        (1, "", 3, 3),
        (1, "1a2b", 3, 3),
    ],
)
def test_a_service_answers_once_before_it_may_go_to_zero(replicas: int, answered: str, fewest: int, least: int) -> None:
    body = spec(replicas=replicas, scaling={**SCALING, "minReplicas": fewest})
    [made] = [
        each for each in settle(body, status={"answeredRevision": answered}).apply if each["kind"] == "ScaledObject"
    ]
    assert made["spec"]["minReplicaCount"] == least


# A class of GPUs


def test_the_pods_of_a_class_go_to_its_nodes_beside_what_the_pod_template_says() -> None:
    template = {"spec": {"nodeSelector": {"disk": "fast"}}}
    outcome = settle(spec(**GPU, acceleratorClass="h200", podTemplate=template))
    assert pod_spec(outcome)["nodeSelector"] == {"nvidia.com/gpu.product": "NVIDIA-H200", "disk": "fast"}
    assert "nodeSelector" not in pod_spec(settle(spec(**GPU)))


def test_another_class_is_another_revision() -> None:
    one, other = (settle(spec(**GPU, acceleratorClass=name)) for name in ("h200", "l4"))
    assert revision_of(one) != revision_of(other)


def test_the_cluster_s_own_figures_of_a_class_count() -> None:
    body = spec(**GPU, acceleratorClass="h200")
    moved = catalog({"h200": {**ACCELERATOR, "nodeLabels": {"pool": "gpus"}}})
    assert pod_spec(settle(body, accelerators=moved))["nodeSelector"] == {"pool": "gpus"}


# Probes


@pytest.mark.parametrize(("seconds", "failures"), [(60, 30), (61, 31), (1800, 900)])
def test_the_time_to_start_is_the_startup_probes(seconds: int, failures: int) -> None:
    probe = main(settle(spec(startupSeconds=seconds)))["startupProbe"]
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (2, failures)


@pytest.mark.parametrize(("seconds", "deadline"), [(60, 1800), (7200, 7200)])
def test_no_progress_is_not_told_before_the_time_to_start_is_over(seconds: int, deadline: int) -> None:
    outcome = settle(spec(startupSeconds=seconds))
    assert applied(outcome, "Deployment")["spec"]["progressDeadlineSeconds"] == deadline


def test_the_sidecar_is_told_both_bounds() -> None:
    command = pod_spec(settle(spec(wedgeSeconds=45, startupSeconds=600)))["initContainers"][1]["command"]
    assert command[-4:] == ["--wedge-seconds", "45", "--startup-seconds", "600"]
