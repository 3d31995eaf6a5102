"""What runs in the cluster beside the product: training-operator, KEDA, Prometheus.

Each is applied, and then waited for until it does what it is there for, not only until its pods run.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from string import Template

from bed import base, catalog
from bed.cluster import Cluster
from bed.gobuild import GoBuilder
from bed.modes import PUBLISHED_PROMETHEUS, Mode
from bed.places import CLUSTER_DIR, Places
from bed.programs import pinned_version
from bed.shell import Failure
from bed.steps import Steps, numbered

TRAINING_OPERATOR = ("training-operator", "github.com/kubeflow/training-operator")
KEDA = ("keda", "github.com/kedacore/keda/v2")
READY_SECONDS = 240
EXTERNAL_METRICS = "apiservice/v1beta1.external.metrics.k8s.io"
PROBE = """
apiVersion: kubeflow.org/v1
kind: PyTorchJob
metadata: {name: probe, namespace: default}
spec:
  pytorchReplicaSpecs:
    Master: {replicas: 1, template: {spec: {containers: [{name: pytorch, image: none}]}}}
"""


def images_of(addon: str, mode: Mode) -> list[dict[str, str]]:
    """Return kustomize's image replacements for an add-on: the bed's own images, or the published ones at their pin."""
    version = pinned_version(*KEDA).removeprefix("v") if addon == "keda" else ""
    if addon == "keda" and mode is Mode.PUBLISHED:
        names = ("keda", "keda-metrics-apiserver", "keda-admission-webhooks")
        return [{"name": f"ghcr.io/kedacore/{name}", "newTag": version} for name in names]
    if mode is Mode.PUBLISHED:
        return []
    published = {
        "keda": [f"ghcr.io/kedacore/{n}" for n in ("keda", "keda-metrics-apiserver", "keda-admission-webhooks")],
        "training-operator": ["kubeflow/training-operator"],
    }.get(addon, [])
    return [{"name": name, "newName": f"slipway.local/{name.rsplit('/', 1)[1]}", "newTag": "1"} for name in published]


def values(source: str, mode: Mode) -> dict[str, str]:
    """Return what the manifests in addons/ leave open."""
    built = mode is Mode.BUILT
    return {
        "SOURCE": source,
        "PYTHON_IMAGE": base.TAG if built else "docker.io/library/python:3.11-slim-bookworm",
        "PROMETHEUS_IMAGE": catalog.FILE_IMAGES["prometheus"].tag if built else PUBLISHED_PROMETHEUS,
    }


class Addons:
    """Installs the add-ons into one cluster."""

    def __init__(self, cluster: Cluster, mode: Mode, places: Places, go: GoBuilder, steps: Steps) -> None:
        """`go` finds the sources that the manifests come from."""
        self._cluster, self._mode, self._places, self._go, self._steps = cluster, mode, places, go, steps

    def install(self, names: Sequence[str]) -> None:
        """Apply these add-ons, then wait for them: they start side by side."""
        for addon, place in numbered(names):
            with self._steps.step(f"add-on {addon}: apply{place}"):
                self._apply(addon)
        waits = {
            "prometheus": ("it runs", self._prometheus),
            "training-operator": ("it accepts a PyTorchJob", self._training_operator),
            "keda": ("the external metrics API is available", self._keda),
        }
        for addon, place in numbered(names):
            what, wait = waits[addon]
            with self._steps.step(f"add-on {addon}: wait until {what}{place}"):
                wait()

    def _prometheus(self) -> None:
        self._rollout("monitoring", "prometheus")

    def _training_operator(self) -> None:
        self._rollout("kubeflow", "training-operator")
        self._until_accepted()

    def _keda(self) -> None:
        for deployment in ("keda-operator", "keda-metrics-apiserver", "keda-admission"):
            self._rollout("keda", deployment)
        self._cluster.kubectl(
            "wait",
            "--for=condition=Available",
            EXTERNAL_METRICS,
            f"--timeout={READY_SECONDS}s",
            timeout_seconds=300,
        )

    def _apply(self, addon: str) -> None:
        source = {"training-operator": TRAINING_OPERATOR, "keda": KEDA}.get(addon)
        rendered = self._places.scratch / "addons" / addon
        shutil.rmtree(rendered, ignore_errors=True)
        shutil.copytree(CLUSTER_DIR / "addons" / addon, rendered)
        # kustomize takes a base by relative path only.
        where = os.path.relpath(self._go.module_source(*source), rendered) if source else ""
        self._fill(rendered, values(where, self._mode), images_of(addon, self._mode))
        manifests = self._cluster.kubectl("kustomize", str(rendered))
        # The CRDs are too large for the annotation that a client-side apply writes.
        self._cluster.kubectl(
            "apply", "--server-side", "--force-conflicts", "--filename", "-", stdin=manifests, timeout_seconds=300
        )

    @staticmethod
    def _fill(directory: Path, fill: dict[str, str], images: list[dict[str, str]]) -> None:
        for path in directory.glob("*.yaml"):
            path.write_text(Template(path.read_text()).safe_substitute(fill))
        lines = [f"- {{{', '.join(f'{key}: {value!r}' for key, value in image.items())}}}" for image in images]
        if lines:
            with (directory / "kustomization.yaml").open("a") as kustomization:
                kustomization.write("images:\n" + "\n".join(lines) + "\n")

    def _rollout(self, namespace: str, deployment: str) -> None:
        self._cluster.kubectl(
            *("rollout", "status", "--namespace", namespace, f"deployment/{deployment}", f"--timeout={READY_SECONDS}s"),
            timeout_seconds=READY_SECONDS + 30,
        )

    def _until_accepted(self) -> None:
        """Wait for the operator's webhook, whose certificate takes a while: until then every PyTorchJob is refused."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                self._cluster.kubectl("create", "--dry-run=server", "--filename", "-", stdin=PROBE)
                return
            except Failure:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)
