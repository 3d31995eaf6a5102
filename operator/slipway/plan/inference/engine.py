"""The engine's container: its command line, environment and resources.

The argv is the same on Slipway's CPU image and on the published vllm/vllm-openai. What a CPU needs beyond it is
environment; flags such as --dtype are the user's to give in engineArgs.
"""

from ...api.inferenceservice import InferenceServiceSpec
from ..names import ENGINE_PORT, MAIN_CONTAINER, MODEL_MOUNT, model_path, qualified_model
from ..observed import Obj, Owner
from ..outcome import Defaults
from ..pod.expansion import literal
from ..pod.template import container_security
from ..volumes import mount
from .source import Model

MODEL_VOLUME = "model"
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
# GiB of KV cache, since there is no GPU memory to take a share of; threads are left unpinned, because a pod that shares
# its node's cores would pin them to cores that others use.
CPU_ENVIRONMENT = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}


def image(spec: InferenceServiceSpec, defaults: Defaults) -> str | None:
    """The engine's image: the user's, else the installation's for the accelerator, else None."""
    return spec.image or dict(defaults.vllm_images).get(spec.accelerator) or None


def container(spec: InferenceServiceSpec, owner: Owner, model: Model, defaults: Defaults) -> Obj:
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
            mount(MODEL_VOLUME, MODEL_MOUNT, read_only=True),
            mount(SCRATCH_VOLUME, SCRATCH_MOUNT),
            mount(SHARED_MEMORY_VOLUME, SHARED_MEMORY_MOUNT),
        ],
        "lifecycle": {"preStop": {"sleep": {"seconds": ENDPOINT_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(),
    }


def model_argument(model: Model) -> str:
    """The model's path as an element of a command."""
    return literal(model_path(model.directory))


def arguments(spec: InferenceServiceSpec, owner: Owner, model: Model) -> list[str]:
    """What follows `vllm serve`. The user's arguments come last; those that Slipway sets are refused among them."""
    tensor = spec.parallelism.tensor
    return [
        model_argument(model),
        *("--host", "0.0.0.0"),  # noqa: S104 - the pod's address is how it is reached
        *("--port", str(ENGINE_PORT)),
        *("--served-model-name", owner.name, qualified_model(owner.namespace, owner.name)),
        *("--shutdown-timeout", str(spec.drain_seconds)),
        *(("--tensor-parallel-size", str(tensor)) if tensor > 1 else ()),
        *map(literal, spec.engine_args),
    ]


def environment(spec: InferenceServiceSpec) -> list[Obj]:
    values = {**ENVIRONMENT, **(CPU_ENVIRONMENT if spec.accelerator == "cpu" else {})}
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def resources(spec: InferenceServiceSpec) -> Obj:
    """Modest requests, since the model's size is not known here: a podTemplate raises them. GPUs are exact."""
    if spec.accelerator == "cpu":
        return {"requests": {"cpu": "250m", "memory": "2Gi"}}
    return {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {GPU_RESOURCE: str(spec.parallelism.tensor)}}
