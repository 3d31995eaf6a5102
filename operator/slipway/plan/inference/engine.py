"""The engine's container, whichever engine it is (engines.py): image, environment, mounts and resources."""

from ...api.inferenceservice import InferenceServiceSpec
from ..names import ADAPTER_MOUNT, ENGINE_PORT, MAIN_CONTAINER, MODEL_MOUNT
from ..observed import Obj, Owner
from ..outcome import Defaults
from ..pod.template import container_security
from ..volumes import mount
from . import probes
from .engines import engine_of
from .served import Served

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
    "XDG_CACHE_HOME": f"{SCRATCH_MOUNT}/.cache",
    "XDG_CONFIG_HOME": f"{SCRATCH_MOUNT}/.config",
}


def image(spec: InferenceServiceSpec, defaults: Defaults) -> str | None:
    """The engine's image: the user's, else the installation's for the accelerator, else None."""
    images = {"vllm": defaults.vllm_images, "sglang": defaults.sglang_images}[spec.engine]
    return spec.image or dict(images).get(spec.accelerator) or None


def container(spec: InferenceServiceSpec, owner: Owner, model: Served, defaults: Defaults) -> Obj:
    kind = engine_of(spec)
    return {
        "name": MAIN_CONTAINER,
        "image": image(spec, defaults),
        "imagePullPolicy": defaults.image_pull_policy,
        "command": list(kind.command),
        "args": kind.arguments(spec, owner, model),
        "env": environment(spec),
        "ports": [{"name": "http", "containerPort": ENGINE_PORT, "protocol": "TCP"}],
        "resources": resources(spec),
        "volumeMounts": [
            *model_mounts(model),
            mount(SCRATCH_VOLUME, SCRATCH_MOUNT),
            mount(SHARED_MEMORY_VOLUME, SHARED_MEMORY_MOUNT),
        ],
        "startupProbe": probes.startup(spec.startup_seconds),
        "livenessProbe": probes.liveness(),
        "lifecycle": {"preStop": {"sleep": {"seconds": ENDPOINT_SECONDS}}},
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(),
    }


def model_mounts(model: Served) -> list[Obj]:
    """What the engine and the check read."""
    adapter = [mount(ADAPTER_VOLUME, ADAPTER_MOUNT, read_only=True)] if model.adapter else []
    return [mount(MODEL_VOLUME, MODEL_MOUNT, read_only=True), *adapter]


def environment(spec: InferenceServiceSpec) -> list[Obj]:
    kind = engine_of(spec)
    values = {**ENVIRONMENT, **kind.environment, **(kind.cpu_environment if spec.accelerator == "cpu" else {})}
    return [{"name": name, "value": values[name]} for name in sorted(values)]


def resources(spec: InferenceServiceSpec) -> Obj:
    """Modest requests, since the model's size is not known here: a podTemplate raises them. GPUs are exact."""
    if spec.accelerator == "cpu":
        return {"requests": {"cpu": "250m", "memory": "2Gi"}}
    return {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {GPU_RESOURCE: str(spec.parallelism.tensor)}}
