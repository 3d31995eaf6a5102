"""Which container images there are, what each is made from, and in which order.

Two kinds: an image of one Go program on nothing at all, and an image with a Dockerfile below images/. An image carries
the hash of its inputs as a label: the engine itself says whether it is current, even after its data was deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bed import base, stamps
from bed.gobuild import program_stamp
from bed.places import IMAGES, REPOSITORY
from bed.programs import BY_NAME, CNI_PLUGINS

SERVICE_CIDR = "10.96.0.0/16"
POD_CIDR = "10.244.0.0/16"
NODE_PROGRAMS = ("kubelet", "kubeadm", "kubectl")
PRODUCT_SOURCE = ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "operator", "workloads")


@dataclass(frozen=True)
class ProgramImage:
    """One Go program, from scratch. `path` is where it lies inside, and what runs."""

    name: str
    tag: str
    program: str
    path: str
    user: str = "0"

    def dockerfile(self) -> str:
        """Return the whole Dockerfile."""
        return (
            f"FROM scratch\nCOPY {self.program} {self.path}\n"
            f'ENV PATH=/usr/local/bin:/usr/bin:/bin\nUSER {self.user}\nENTRYPOINT ["{self.path}"]\n'
        )

    def stamp(self) -> str:
        """Return the hash of what the image is made from."""
        return stamps.stamp([self.dockerfile(), program_stamp(BY_NAME[self.program])])


@dataclass(frozen=True)
class FileImage:
    """An image with a Dockerfile in images/<directory>, on the base image or on another one of these."""

    name: str
    tag: str
    directory: str
    inputs: tuple[str, ...]
    programs: tuple[str, ...] = ()
    on: str = ""
    args: tuple[tuple[str, str], ...] = ()

    @property
    def dockerfile(self) -> Path:
        """Return the Dockerfile's path."""
        return IMAGES / self.directory / "Dockerfile"

    def stamp(self) -> str:
        """Return the hash of what the image is made from."""
        parts = stamps.file_parts(REPOSITORY, [f"images/{self.directory}", *self.inputs])
        parts += [program_stamp(BY_NAME[name]) for name in self.programs]
        below = base.base_stamp() if not self.on else FILE_IMAGES[self.on].stamp()
        return stamps.stamp([*parts, below, *(f"{key}={value}" for key, value in self.args)])


def control_plane_images(kubeadm_list: str) -> list[ProgramImage]:
    """Return the control plane's images under the names that kubeadm will ask for (`kubeadm config images list`)."""
    programs = {"etcd": "etcd", "pause": "pause", "coredns": "coredns"}
    images = []
    for tag in kubeadm_list.split():
        name = tag.rsplit("/", 1)[1].split(":")[0]
        if name == "kube-proxy":
            continue
        # kubeadm's manifests start these by name, but for CoreDNS and pause, which are their image's entry point.
        path = f"/{name}" if name in ("coredns", "pause") else f"/usr/local/bin/{name}"
        images.append(ProgramImage(name, tag, programs.get(name, name), path))
    return images


# Not root: their manifests say runAsNonRoot, which the kubelet checks against the image.
_TRAINING_OPERATOR = ProgramImage(
    "training-operator", "slipway.local/training-operator:1", "training-operator", "/manager", "65532"
)
_KEDA = (
    ProgramImage("keda", "slipway.local/keda:1", "keda", "/keda", "65532"),
    ProgramImage(
        "keda-metrics-apiserver", "slipway.local/keda-metrics-apiserver:1", "keda-adapter", "/keda-adapter", "65532"
    ),
    ProgramImage(
        "keda-admission-webhooks",
        "slipway.local/keda-admission-webhooks:1",
        "keda-admission-webhooks",
        "/keda-admission-webhooks",
        "65532",
    ),
)
# By add-on, in the order in which they are installed. Prometheus has a Dockerfile: FILE_IMAGES names it.
ADDON_IMAGES = {"prometheus": (), "training-operator": (_TRAINING_OPERATOR,), "keda": _KEDA}
ADDONS = tuple(ADDON_IMAGES)
PROVISIONER = ProgramImage(
    "local-path-provisioner",
    "slipway.local/local-path-provisioner:1",
    "local-path-provisioner",
    "/usr/local/bin/local-path-provisioner",
)

CONTROL_PLANE = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "etcd",
    "coredns",
    "pause",
)
# Every program that the node image has in it, in its own file system or inside the images that it carries.
NODE_CONTENTS = (*NODE_PROGRAMS, *CNI_PLUGINS, *CONTROL_PLANE, PROVISIONER.program)
NODE_TAG = "slipway.local/node:1"
# The torch image is trimmed for machines without a GPU; the Dockerfile alone builds the one for GPUs.
_FILE_IMAGES = (
    FileImage("prometheus", "slipway.local/prometheus:1", "prometheus", ()),
    FileImage("operator", "slipway.local/operator:dev", "slipway", PRODUCT_SOURCE, args=(("COMPONENT", "operator"),)),
    FileImage("gateway", "slipway.local/gateway:dev", "slipway", PRODUCT_SOURCE, args=(("COMPONENT", "gateway"),)),
    FileImage(
        "torch", "slipway.local/torch:dev", "torch", ("pyproject.toml", "uv.lock"), args=(("ACCELERATOR", "none"),)
    ),
    FileImage("trainer", "slipway.local/trainer:dev", "trainer", PRODUCT_SOURCE, on="torch"),
    FileImage("vllm", "slipway.local/vllm:dev", "vllm", ("pyproject.toml", "uv.lock"), on="torch"),
    # A stand-in for vLLM and SGLang, for tests in which the model's words do not matter.
    FileImage(
        "simulated-engine",
        "slipway.local/simulated-engine:dev",
        "simulated-engine",
        ("tests/e2e/gpu/engine",),
        on="gateway",
    ),
)
FILE_IMAGES = {image.name: image for image in _FILE_IMAGES}
# What only `images` and `load` build and load, since it takes minutes and gigabytes; `up` brings the add-ons by itself.
# The simulated engine is no product, but every test of the product that serves may want it.
PRODUCT_IMAGES = ("operator", "gateway", "trainer", "vllm", "simulated-engine")


def node_stamp() -> str:
    """Return the hash of what the node image is made from: its own files, and every image that it carries."""
    parts = stamps.file_parts(REPOSITORY, ["images/node", "images/kube-proxy"])
    return stamps.stamp([*parts, *(program_stamp(BY_NAME[name]) for name in NODE_CONTENTS), base.base_stamp()])
