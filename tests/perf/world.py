"""The cluster of a benchmark: etcd and kube-apiserver, the CRDs, one kwok node, namespaces with a model's claim, and
the programs beside them, each under a user of its own.

There is no scheduler: a mutating policy puts every pod on kwok's node as it is created, so that what is measured is
controllers, not scheduling. No garbage collector and no volume controller run: nothing is deleted, and claims stay
Pending, which kwok's pods do not mind. kube-controller-manager runs the two controllers that make a Deployment's pods.
"""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.controlplane.apiserver import WITHOUT_ACCOUNTS, ApiServer, api_server, binary, running
from tests.integration.loopbed import PYTORCH_JOBS, SCALED_OBJECTS, establish, free_port, http

Obj = dict[str, Any]

CRDS = Path(__file__).parents[2] / "charts" / "slipway-crds" / "templates"

OPERATOR, TRAINING_OPERATOR, KWOK, CONTROLLERS = "slipway", "training-operator", "kwok", "kube-controller-manager"
USERS = (OPERATOR, f"{OPERATOR}-standby", TRAINING_OPERATOR, KWOK, CONTROLLERS)
NODE = "kwok-0"
SYSTEM = "slipway-system"
MODEL_CLAIM = "models"
PATIENCE_SECONDS = 120.0

POLICY_FLAGS = (
    *WITHOUT_ACCOUNTS,
    "--feature-gates=MutatingAdmissionPolicy=true",
    "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
    # A benchmark's own generator must not be held back for fairness with what it measures.
    "--max-requests-inflight=2000",
    "--max-mutating-requests-inflight=1000",
)


def policy() -> list[Obj]:
    """Every pod goes to kwok's node when it is created."""
    name, version = "pods-go-to-kwok", "admissionregistration.k8s.io/v1beta1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    # The account is what the admission plugin of service accounts would say; nothing here makes the account.
    expression = f'Object{{spec: Object.spec{{nodeName: "{NODE}", serviceAccountName: "default"}}}}'
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "reinvocationPolicy": "Never",
        "failurePolicy": "Fail",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    }
    metadata = {"name": name}
    return [
        {"apiVersion": version, "kind": "MutatingAdmissionPolicy", "metadata": metadata, "spec": spec},
        {
            "apiVersion": version,
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": metadata,
            "spec": {"policyName": name},
        },
    ]


def node() -> Obj:
    metadata = {"name": NODE, "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {"type": "kwok"}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata}


def model_claim(namespace: str) -> Obj:
    spec = {"accessModes": ["ReadOnlyMany"], "resources": {"requests": {"storage": "1Gi"}}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": MODEL_CLAIM, "namespace": namespace},
        "spec": spec,
    }


@dataclass
class Program:
    """A program that runs beside the API server."""

    name: str
    pid: int
    log: Path
    metrics_url: str = ""
    ended: Callable[[], bool] = lambda: False

    def metrics(self) -> str:
        """Its exposition, "" while it does not answer."""
        return http("GET", f"{self.metrics_url}/metrics")[1] if self.metrics_url else ""

    def leads(self) -> bool:
        return 'leader_election_master_status{name="slipway"} 1.0' in self.metrics()

    def ready(self) -> bool:
        return http("GET", f"{self.metrics_url}/readyz")[0] == 200

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]


@dataclass
class World:
    api: ApiServer
    directory: Path
    namespaces: Sequence[str]
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def send(self, method: str, path: str, body: Obj) -> Obj:
        status, answer = self.api.request(method, path, body)
        if status not in (200, 201, 409):
            raise RuntimeError(f"{method} {path}: {status} {answer.get('message')}")
        return answer

    def api_metrics(self) -> str:
        return str(self.api.request("GET", "/metrics")[1]["message"])

    @contextlib.contextmanager
    def operator(self, *, user: str = OPERATOR, **settings: str) -> Iterator[Program]:
        """`slipway run`: the product as it is, with the chart's settings unless `settings` say otherwise."""
        health, progress = free_port(), free_port()
        environment = operator_environment(self.api.kubeconfig_of(user), user, health, progress) | settings
        command = [sys.executable, "-m", "slipway", "run"]
        with self._program(user, command, environment) as program:
            program.metrics_url = f"http://127.0.0.1:{health}"
            yield program

    @contextlib.contextmanager
    def training_operator(self, *, threads: int) -> Iterator[Program]:
        port = free_port()
        flags = (f"--controller-threads={threads}", f"--metrics-bind-address=127.0.0.1:{port}")
        with self._program(TRAINING_OPERATOR, [str(binary("training-operator-unthrottled")), *flags]) as program:
            program.metrics_url = f"http://127.0.0.1:{port}"
            yield program

    @contextlib.contextmanager
    def kwok(self) -> Iterator[Program]:
        flags = ("--manage-all-nodes=true", "--node-lease-duration-seconds=0", "--cidr=10.128.0.0/9")
        kubeconfig = f"--kubeconfig={self.api.kubeconfig_of(KWOK)}"
        with self._program(KWOK, [str(binary(KWOK)), kubeconfig, *flags]) as program:
            yield program

    @contextlib.contextmanager
    def deployments(self) -> Iterator[Program]:
        """The two controllers that make pods of Deployments."""
        flags = (
            "--controllers=deployment-controller,replicaset-controller",
            "--leader-elect=false",
            "--kube-api-qps=2000",
            "--kube-api-burst=4000",
            "--concurrent-deployment-syncs=10",
            "--concurrent-replicaset-syncs=10",
            "--bind-address=127.0.0.1",
            f"--secure-port={free_port()}",
            f"--cert-dir={self.directory / 'controllers'}",
            f"--kubeconfig={self.api.kubeconfig_of(CONTROLLERS)}",
        )
        with self._program(CONTROLLERS, [str(binary(CONTROLLERS)), *flags]) as program:
            yield program

    @contextlib.contextmanager
    def _program(
        self, user: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Iterator[Program]:
        log = self.directory / f"{user}-{time.monotonic_ns()}.log"
        plain = {"PATH": os.environ["PATH"], "HOME": str(self.directory)}
        variables = environment or {**plain, "KUBECONFIG": str(self.api.kubeconfig_of(user))}
        with running(command, log, environment=variables) as process:
            yield Program(user, process.pid, log, ended=lambda: process.poll() is not None)


def operator_environment(kubeconfig: Path, name: str, health_port: int, progress_port: int) -> dict[str, str]:
    images = {f"SLIPWAY_{image}_IMAGE": "image" for image in ("TRAINER", "ENGINE", "VLLM_CPU", "VLLM_NVIDIA")}
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        "KUBECONFIG": str(kubeconfig),
        "SLIPWAY_NAMESPACE": SYSTEM,
        "SLIPWAY_PROGRESS_URL": "http://slipway-leader.slipway-system:8090/v1/progress",
        "SLIPWAY_GATEWAY_URL": "http://slipway-gateway.slipway-system:8000",
        "POD_NAME": name,
        "SLIPWAY_HEALTH_PORT": str(health_port),
        "SLIPWAY_PROGRESS_PORT": str(progress_port),
        **images,
    }


@contextlib.contextmanager
def world(
    directory: Path, *, namespaces: int, pytorchjobs: Obj = PYTORCH_JOBS, audited: bool = False
) -> Iterator[World]:
    """A cluster with `namespaces` empty namespaces and the product's CRDs; nothing runs in it yet."""
    names = [f"team-{number:03}" for number in range(namespaces)]
    with api_server(directory / "control-plane", flags=POLICY_FLAGS, users=USERS, audited=audited) as api:
        made = World(api, directory, names)
        own = [yaml.safe_load(file.read_text()) for file in sorted(CRDS.glob("*.yaml"))]
        establish(api, *own, pytorchjobs, SCALED_OBJECTS)
        root = "/apis/admissionregistration.k8s.io/v1beta1"
        for body in policy():
            plural = "mutatingadmissionpolicybindings" if "Binding" in body["kind"] else "mutatingadmissionpolicies"
            made.send("POST", f"{root}/{plural}", body)
        made.send("POST", "/api/v1/nodes", node())
        for name in (SYSTEM, *names):
            made.send("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        for name in names:
            made.send("POST", f"/api/v1/namespaces/{name}/persistentvolumeclaims", model_claim(name))
        yield made


def until(look: Callable[[], object], what: str, *, seconds: float = PATIENCE_SECONDS) -> float:
    """Wait until `look` is true; returns the seconds that it took. Raises TimeoutError, which says what never came."""
    begun = time.monotonic()
    while not look():
        if time.monotonic() - begun > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s: {what}")
        time.sleep(0.02)
    return time.monotonic() - begun
