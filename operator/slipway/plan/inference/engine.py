"""The engine's container: its command line, environment and resources.

The argv is the same on Slipway's CPU image and on the published vllm/vllm-openai. What a CPU needs beyond it is
environment; flags such as --dtype are the user's to give in engineArgs.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ..names import (
    ADAPTER_MOUNT,
    ENGINE_PORT,
    MAIN_CONTAINER,
    MODEL_MOUNT,
    adapter_path,
    model_path,
    qualified_model,
)
from ..observed import Obj, Owner
from ..outcome import Defaults
from ..pod.expansion import literal
from ..pod.template import container_security
from ..volumes import mount
from .served import Adapter, Served

MODEL_VOLUME = "model"
ADAPTER_VOLUME = "adapter"
SCRATCH_VOLUME = "tmp"
SHARED_MEMORY_VOLUME = "shm"
SCRATCH_MOUNT = "/tmp"  # noqa: S108 - an emptyDir of the pod's own
SHARED_MEMORY_MOUNT = "/dev/shm"  # noqa: S108 - likewise

GPU_RESOURCE = "nvidia.com/gpu"
ENDPOINT_SECONDS = 5  # from deletion to SIGTERM: what proxies and gateways need to stop sending

# The root file system is read-only and the user has no entry in passwd: every cache goes to the scratch volume, and
# torch, which asks for a user name, is told one. Models are local, so no hub is asked.
ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "HOME": SCRATCH_MOUNT,
    "USER": "slipway",
    "VLLM_NO_USAGE_STATS": "1",
    "XDG_CACHE_HOME": f"{SCRATCH_MOUNT}/.cache",
    "XDG_CONFIG_HOME": f"{SCRATCH_MOUNT}/.config",
}
LORA_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # what --max-lora-rank may be (vllm/config/lora.py of 0.32.0)

# GiB of KV cache, since there is no GPU memory to take a share of; threads are left unpinned, because a pod that shares
# its node's cores would pin them to cores that others use.
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def image(spec: InferenceServiceSpec, defaults: Defaults) -> str | None:
    """The engine's image: the user's, else the installation's for the accelerator, else None."""
    return spec.image or dict(defaults.vllm_images).get(spec.accelerator) or None


def container(spec: InferenceServiceSpec, owner: Owner, model: Served, defaults: Defaults) -> Obj:
    return {
        "name": MAIN_CONTAINER,
        "image": image(spec, defaults),
        "imagePullPolicy": defaults.image_pull_policy,
        "command": ["vllm", "serve"],
        "args": arguments(spec, owner, model),
        "env": environment(spec),
        "ports": [{"name": "http", "containerPort": ENGINE_PORT, "protocol": "TCP"}],
        "resources": resources(spec),
        "volumeMounts": [
            *model_mounts(model),
            mount(SCRATCH_VOLUME, SCRATCH_MOUNT),
            mount(SHARED_MEMORY_VOLUME, SHARED_MEMORY_MOUNT),
        ],
        "lifecycle": {"preStop": {"sleep": {"seconds": ENDPOINT_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(),
    }


def model_argument(model: Served) -> str:
    """The model's path as an element of a command."""
    return literal(model_path(model.at.path))


def adapter_argument(adapter: Adapter) -> str:
    """The adapter's path, likewise."""
    return literal(adapter_path(adapter.at.path))


def model_mounts(model: Served) -> list[Obj]:
    """What the engine and the check read."""
    adapter = [mount(ADAPTER_VOLUME, ADAPTER_MOUNT, read_only=True)] if model.adapter else []
    return [mount(MODEL_VOLUME, MODEL_MOUNT, read_only=True), *adapter]


def arguments(spec: InferenceServiceSpec, owner: Owner, model: Served) -> list[str]:
    """What follows `vllm serve`. The user's arguments come last; those that Slipway sets are refused among them."""
    tensor = spec.parallelism.tensor
    return [
        model_argument(model),
        *("--host", "0.0.0.0"),  # noqa: S104 - the pod's address is how it is reached
        *("--port", str(ENGINE_PORT)),
        *_names(owner, model.adapter),
        *("--shutdown-timeout", str(spec.drain_seconds)),
        *(("--tensor-parallel-size", str(tensor)) if tensor > 1 else ()),
        *map(literal, spec.engine_args),
    ]


def _names(owner: Owner, adapter: Adapter | None) -> tuple[str, ...]:
    """What answers to the service's names: the model, or the adapter on it. The engine has no second name for an
    adapter, so it is loaded under each, and both may be in one batch. The tokenizer is the adapter's: its chat template
    is what it was trained by, which the model's own need not be."""
    both = (owner.name, qualified_model(owner.namespace, owner.name))
    if adapter is None:
        return ("--served-model-name", *both)
    rank = next(rank for rank in LORA_RANKS if rank >= adapter.rank)
    modules = (f"{name}={adapter_argument(adapter)}" for name in both)
    lora = (
        "--tokenizer",
        adapter_argument(adapter),
        "--enable-lora",
        "--max-loras",
        str(len(both)),
        "--max-lora-rank",
        str(rank),
    )
    return ("--served-model-name", f"{owner.name}-base", *lora, "--lora-modules", *modules)


def environment(spec: InferenceServiceSpec) -> list[Obj]:
    values = {**ENVIRONMENT, **(CPU_ENVIRONMENT if spec.accelerator == "cpu" else {})}
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def resources(spec: InferenceServiceSpec) -> Obj:
    """Modest requests, since the model's size is not known here: a podTemplate raises them. GPUs are exact."""
    if spec.accelerator == "cpu":
        return {"requests": {"cpu": "250m", "memory": "2Gi"}}
    return {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {GPU_RESOURCE: str(spec.parallelism.tensor)}}
