"""The pod of an InferenceService: model check, sidecar and engine over one read-only model.

Whether a pod is started, ready and live is the sidecar's to say (probes.py). The revision (the hash of the template) is
a label of the pods, so that who answers is known from pods alone, whatever the Deployment's status lags behind.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ..capacity.classes import node_selector
from ..capacity.devices import BUILT_IN, Catalog
from ..labels import OWNER_UID, REVISION
from ..names import (
    ADAPTER_MOUNT,
    ENGINE_PORT,
    MAIN_CONTAINER,
    MODEL_CHECK_CONTAINER,
    MODEL_MOUNT,
    SIDECAR_CONTAINER,
    SIDECAR_PORT,
)
from ..observed import Obj, Owner
from ..outcome import Defaults
from ..pod.policy import Reserved
from ..pod.template import container_security, merged, pod_security
from ..volumes import claim_volume, empty_dir
from . import engine, probes
from .children import child_labels, selector_labels
from .engines import engine_of
from .modelpaths import adapter_argument, model_argument
from .served import Served

SIDECAR_RESOURCES = {"requests": {"cpu": "10m", "memory": "64Mi"}}
GPU_TOLERATION = {"key": engine.GPU_RESOURCE, "operator": "Exists", "effect": "NoSchedule"}

RESERVED = Reserved(
    container=MAIN_CONTAINER,
    containers=frozenset({MODEL_CHECK_CONTAINER, SIDECAR_CONTAINER}),
    volumes=frozenset({engine.MODEL_VOLUME, engine.ADAPTER_VOLUME, engine.SCRATCH_VOLUME, engine.SHARED_MEMORY_VOLUME}),
    mount_paths=frozenset({MODEL_MOUNT, ADAPTER_MOUNT, engine.SCRATCH_MOUNT, engine.SHARED_MEMORY_MOUNT}),
    # The engines read these themselves: the sidecar and the gateway would be locked out, or look at another port; or
    # the engine would not drain.
    env=frozenset(
        {"VLLM_API_KEY", "VLLM_PORT", "VLLM_HOST_IP", "SGLANG_GRPC_PORT", "SGL_FORCE_SHUTDOWN", "SGLANG_FORCE_SHUTDOWN"}
    ),
    ports=frozenset({ENGINE_PORT, SIDECAR_PORT}),
    gpus="set spec.accelerator and spec.parallelism.tensor",
    main_fields=(
        ("image", "set spec.image"),
        ("command", "the engine is started by Slipway: give flags in spec.engineArgs"),
        ("args", "give the engine's flags in spec.engineArgs"),
        ("lifecycle", "set spec.drainSeconds"),
        ("readinessProbe", "leave it out: a replica is ready when it has generated a token"),
        ("livenessProbe", "leave it out, and set spec.wedgeSeconds: an engine that owes tokens is restarted"),
        ("startupProbe", "leave it out, and set spec.startupSeconds"),
    ),
    spec_fields=(
        ("terminationGracePeriodSeconds", "set spec.drainSeconds"),
        ("enableServiceLinks", "leave it out: a Service named vllm would set VLLM_PORT, which the engine reads"),
    ),
)


def template(
    spec: InferenceServiceSpec, owner: Owner, model: Served, defaults: Defaults, known: Catalog = BUILT_IN
) -> Obj:
    """The PodTemplateSpec, with the user's podTemplate merged over it, without the revision. `known`: the classes of
    GPUs that there are."""
    user = spec.pod_template.model_dump(by_alias=True) if spec.pod_template else {}
    rendered = _rendered(spec, owner, model, defaults)
    if nodes := node_selector(spec, known):
        rendered["spec"]["nodeSelector"] = nodes
    return merged(rendered, user, main=MAIN_CONTAINER)


def with_revision(pod_template: Obj, revision: str) -> Obj:
    metadata = pod_template["metadata"]
    labels = {**metadata["labels"], REVISION: revision}
    return {**pod_template, "metadata": {**metadata, "labels": labels}}


def grace_seconds(spec: InferenceServiceSpec) -> int:
    """From deletion to SIGKILL: endpoints leave, requests in flight end, the engine stops."""
    return engine.ENDPOINT_SECONDS + spec.drain_seconds + engine_of(spec).stop_seconds


def _rendered(spec: InferenceServiceSpec, owner: Owner, model: Served, defaults: Defaults) -> Obj:
    # The uid tells these pods, and so their revision, from those that a deleted namesake leaves for a while.
    labels = {**child_labels(owner.name), OWNER_UID: owner.uid}
    metadata = {"labels": labels, "annotations": _scrape()}
    pod: Obj = {
        "automountServiceAccountToken": False,
        # A Service named vllm would otherwise set VLLM_PORT, which the engine takes for its own.
        "enableServiceLinks": False,
        "securityContext": pod_security(),
        "terminationGracePeriodSeconds": grace_seconds(spec),
        "initContainers": [_model_check(model, defaults), _sidecar(spec, owner, defaults)],
        "containers": [engine.container(spec, owner, model, defaults)],
        "volumes": _volumes(spec, model),
    }
    return {"metadata": metadata, "spec": {**pod, **_placement(spec, owner, model)}}


def _scrape() -> dict[str, str]:
    return {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(ENGINE_PORT),
        "prometheus.io/path": "/metrics",
    }


def _model_check(model: Served, defaults: Defaults) -> Obj:
    adapter = ["--adapter", adapter_argument(model.adapter)] if model.adapter else []
    command = ["slipway-engine", "check", "--model", model_argument(model), *adapter]
    return {**_helper(MODEL_CHECK_CONTAINER, command, defaults), "volumeMounts": engine.model_mounts(model)}


def _sidecar(spec: InferenceServiceSpec, owner: Owner, defaults: Defaults) -> Obj:
    address = f"http://127.0.0.1:{ENGINE_PORT}"
    command = ["slipway-engine", "watch", "--engine", address, "--model", owner.name, "--port", str(SIDECAR_PORT)]
    patience = ["--wedge-seconds", str(spec.wedge_seconds), "--startup-seconds", str(spec.startup_seconds)]
    return {
        **_helper(SIDECAR_CONTAINER, [*command, *patience], defaults),
        "restartPolicy": "Always",
        "ports": [{"name": "sidecar", "containerPort": SIDECAR_PORT, "protocol": "TCP"}],
        "readinessProbe": probes.readiness(),
    }


def _helper(name: str, command: list[str], defaults: Defaults) -> Obj:
    return {
        "name": name,
        "image": defaults.engine_sidecar_image,
        "imagePullPolicy": defaults.image_pull_policy,
        "command": command,
        "resources": SIDECAR_RESOURCES,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(),
    }


def _volumes(spec: InferenceServiceSpec, model: Served) -> list[Obj]:
    adapter = model.adapter
    shared_memory = f"{spec.parallelism.tensor}Gi"  # what NCCL and the engine's own processes exchange
    return [
        claim_volume(engine.MODEL_VOLUME, model.at.claim, read_only=model.read_only),
        *([claim_volume(engine.ADAPTER_VOLUME, adapter.at.claim, read_only=adapter.read_only)] if adapter else ()),
        empty_dir(engine.SCRATCH_VOLUME),
        empty_dir(engine.SHARED_MEMORY_VOLUME, in_memory=True, size_limit=shared_memory),
    ]


def _placement(spec: InferenceServiceSpec, owner: Owner, model: Served) -> Obj:
    """Where the pods may run: on one node where the claim wants it, and on nodes set apart for GPUs."""
    placement: Obj = {}
    if model.narrowest.access == "node":
        placement["affinity"] = {"podAffinity": _beside_each_other(owner)}
    if spec.accelerator == "nvidia":
        placement["tolerations"] = [GPU_TOLERATION]
    return placement


def _beside_each_other(owner: Owner) -> Obj:
    """A ReadWriteOnce volume is on one node at a time. The scheduler lets the first pod of such a group go anywhere."""
    term = {
        "labelSelector": {"matchLabels": selector_labels(owner.name)},
        "topologyKey": "kubernetes.io/hostname",
    }
    return {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
