"""Install Slipway as a user does, with the images of this tree, and ask its gateway. Standard library only."""

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .kube import CACHE, Kube

ROOT = Path(__file__).parents[2]
SYSTEM = "slipway-system"
IMAGES = {
    "operator.image": "slipway.local/operator:dev",
    "gateway.image": "slipway.local/gateway:dev",
    "images.engineSidecar": "slipway.local/gateway:dev",
    "images.trainer": "slipway.local/trainer:dev",
    "images.vllm.cpu": "slipway.local/vllm:dev",
}
SIMULATED_ENGINE = "slipway.local/simulated-engine:dev"  # a service asks for it with spec.image
PROMETHEUS = "http://prometheus.monitoring.svc:9090"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def cluster_name() -> str:
    return os.environ.get("SLIPWAY_CLUSTER", "slipway")


def bed(*arguments: str) -> None:
    """The test bed's own command."""
    subprocess.run([sys.executable, str(ROOT / "tests/e2e/cluster"), *arguments], check=True)


def connect() -> Kube:
    return Kube(CACHE / f"{cluster_name()}.kubeconfig")


def install(kube: Kube) -> None:
    """Both charts, in a namespace that admits restricted pods only; waits until operator and gateway are ready."""
    restricted_namespace(kube, SYSTEM)
    kube.helm("upgrade", "--install", "slipway-crds", str(ROOT / "charts/slipway-crds"), "-n", SYSTEM)
    kube.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/trainingjobs.slipway.dev")
    kube.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/inferenceservices.slipway.dev")
    upgrade(kube)


def upgrade(kube: Kube, **more: str) -> None:
    """The chart `slipway` with the images of this tree and `more` values (dots as __); waits until all is ready."""
    chosen = {**IMAGES, "prometheus.url": PROMETHEUS, "operator.logFormat": "text", **image_ids()}
    chosen |= {key.replace("__", "."): value for key, value in more.items()}
    values = [f"--set={key}={value}" for key, value in chosen.items()]
    kube.helm(
        "upgrade",
        "--install",
        "slipway",
        str(ROOT / "charts/slipway"),
        "-n",
        SYSTEM,
        *values,
        "--wait",
        "--timeout=180s",
    )


def image_ids() -> dict[str, str]:
    """Annotations that change with the images: their tags do not, and pods of the last build would stay."""
    return {f"{part}.podAnnotations.image": _image_id(IMAGES[f"{part}.image"]) for part in ("operator", "gateway")}


def _image_id(tag: str) -> str:
    argv = ["docker", "image", "inspect", "--format={{.Id}}", tag]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def restricted_namespace(kube: Kube, name: str) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    kube.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(namespace))


def ask(url: str, path: str, body: dict[str, Any] | None = None, *, seconds: float = 120) -> dict[str, Any]:
    """A request to the gateway, answered in JSON. An HTTP error is raised with what the body says."""
    with _open(url, path, body, seconds) as answer:
        parsed: dict[str, Any] = json.load(answer)
        return parsed


def stream(url: str, path: str, body: dict[str, Any], *, seconds: float = 120) -> Iterator[dict[str, Any]]:
    """The server-sent events of a streamed answer, up to [DONE]. Raises where it ends without, or tells of an error."""
    with _open(url, path, {**body, "stream": True}, seconds) as answer:
        for line in answer:
            data = line.decode().strip().removeprefix("data: ")
            if data == "[DONE]":
                return
            if data:
                event = json.loads(data)
                if "error" in event:
                    raise RuntimeError(f"the stream broke: {data}")
                yield event
    raise EOFError("the stream ended without [DONE]")


def _open(url: str, path: str, body: dict[str, Any] | None, seconds: float) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"content-type": "application/json"})
    try:
        return urllib.request.urlopen(request, timeout=seconds)
    except urllib.error.HTTPError as error:
        error.msg = f"{error.msg}: {error.read().decode(errors='replace')[:500]}"
        raise
