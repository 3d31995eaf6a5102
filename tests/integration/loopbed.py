"""A bed for the real operator against a real API server: CRDs cut to the bone, processes that run the real app, and
small planners in place of the product's own, so that what is tested is the loop and nothing else.

Run as a program, this module is the operator of these tests.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from slipway.kube.kinds import PYTORCH_JOB, SCALED_OBJECT, SERVICE, ref
from slipway.plan.labels import ATTEMPT, MANAGED_BY, MANAGER, TRAINING_JOB
from slipway.plan.labels import INFERENCE_SERVICE as SERVICE_LABEL
from slipway.plan.observed import Obj, Observed, Owner
from slipway.plan.outcome import Defaults, Event, Plan
from tests.controlplane.apiserver import ApiServer

T = TypeVar("T")

LEASE = {"DURATION": "4", "RENEW_DEADLINE": "3", "RETRY": "0.5"}
LEASE_SECONDS = 4.0
PATIENCE_SECONDS = 60.0  # two shared cores, and builds beside us
WRITES = re.compile(r"^apiserver_request_total\{(?P<labels>.*)\} (?P<count>[0-9.e+]+)$", re.M)
WRITE_VERBS = {"POST", "PUT", "PATCH", "APPLY", "DELETE"}


# ---------------------------------------------------------------------------- planners


def condition(status: str, reason: str, message: str = "") -> Obj:
    return {"type": "Ready", "status": status, "reason": reason, "message": message}


def metadata(owner: Owner, name: str, label: str, kind: str, **labels: str) -> Obj:
    reference = {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": kind,
        "name": owner.name,
        "uid": owner.uid,
        "controller": True,
    }
    return {
        "name": name,
        "namespace": owner.namespace,
        "labels": {MANAGED_BY: MANAGER, label: owner.name, **labels},
        "ownerReferences": [reference],
    }


def service(owner: Owner, label: str, kind: str) -> Obj:
    ports = [{"name": "http", "port": owner.spec.get("port", 80), "protocol": "TCP", "targetPort": 8000}]
    spec = {"ports": ports, "selector": {label: owner.name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata(owner, owner.name, label, kind), "spec": spec}


def gang(owner: Owner, attempt: int) -> Obj:
    meta = metadata(owner, f"{owner.name}-{attempt}", TRAINING_JOB, "TrainingJob", **{ATTEMPT: str(attempt)})
    return {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": meta, "spec": {"size": 1}}


def plan_training(observed: Observed, now: float, defaults: Defaults) -> Plan:
    """A Service that is kept, a gang that is created once, and whether the gang was refused."""
    owner = observed.owner
    refused = "; ".join(observed.refused.values())
    made = any(child.ref.plural == PYTORCH_JOB.full for child in observed.children)
    ready = condition("True", "Made") if made else condition("False", "Refused" if refused else "Making", refused)
    status: Obj = {"conditions": [ready], "observedGeneration": owner.generation, "attempt": 0}
    if observed.reported:
        status["progress"] = {"step": observed.reported.step}
    changed = [c["reason"] for c in owner.status.get("conditions", [])] != [ready["reason"]]
    events = (Event("Normal", ready["reason"], f"now {ready['reason']}"),) if changed else ()
    return Plan(
        status=status,
        apply=(service(owner, TRAINING_JOB, "TrainingJob"),),
        create=(gang(owner, 0),),
        events=events,
        requeue_after=None,
    )


def plan_inference(observed: Observed, now: float, defaults: Defaults) -> Plan:
    """A Service, once its template is accepted and the TrainingJob's own Service can be read."""
    owner = observed.owner
    source = ref(SERVICE, owner.namespace, owner.spec["model"]["from"]["trainingJob"])
    template = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": {"name": owner.name, "namespace": owner.namespace},
        "template": {"spec": {"containers": owner.spec.get("containers", [{"name": "main", "image": "image"}])}},
    }
    hash_ = json.dumps(template, sort_keys=True)
    if hash_ not in observed.verdicts or source not in observed.read:
        return Plan(status=owner.status, templates=((hash_, template),), reads=(source,))
    complaint = observed.verdicts[hash_].complaint
    if complaint:
        return Plan(status={"conditions": [condition("False", "InvalidPodTemplate", complaint)]}, requeue_after=5.0)
    if observed.read[source] is None:
        return Plan(status={"conditions": [condition("False", "NoModel")]})
    return Plan(
        status={"conditions": [condition("True", "Made")]}, apply=(service(owner, SERVICE_LABEL, "InferenceService"),)
    )


# ---------------------------------------------------------------------------- CRDs


def crd(plural: str, group: str, version: str, kind: str) -> Obj:
    schema = {
        "type": "object",
        "properties": {
            part: {"type": "object", "x-kubernetes-preserve-unknown-fields": True} for part in ("spec", "status")
        },
    }
    served = {
        "name": version,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
    }
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {"group": group, "scope": "Namespaced", "names": names, "versions": [served]},
    }


OURS = (
    crd("trainingjobs", "slipway.dev", "v1alpha1", "TrainingJob"),
    crd("inferenceservices", "slipway.dev", "v1alpha1", "InferenceService"),
)
PYTORCH_JOBS = crd(PYTORCH_JOB.plural, PYTORCH_JOB.group, PYTORCH_JOB.version, PYTORCH_JOB.kind)
SCALED_OBJECTS = crd(SCALED_OBJECT.plural, SCALED_OBJECT.group, SCALED_OBJECT.version, SCALED_OBJECT.kind)


# ---------------------------------------------------------------------------- the bed


def eventually(look: Callable[[], T], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """The first true answer of `look`. The API server tells no test when something has happened, so it is asked."""
    deadline = time.monotonic() + seconds
    while not (answer := look()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.1)
    return answer


@dataclass
class Bed:
    """One namespace in a running API server."""

    api: ApiServer
    namespace: str
    directory: Path
    started: list["Replica"] = field(default_factory=list)

    def path(self, plural: str, name: str = "") -> str:
        root = {
            "trainingjobs": "/apis/slipway.dev/v1alpha1",
            "inferenceservices": "/apis/slipway.dev/v1alpha1",
            "pytorchjobs": "/apis/kubeflow.org/v1",
            "leases": "/apis/coordination.k8s.io/v1",
            "endpointslices": "/apis/discovery.k8s.io/v1",
            "deployments": "/apis/apps/v1",
            "scaledobjects": "/apis/keda.sh/v1alpha1",
            "events": "/apis/events.k8s.io/v1",
        }.get(plural, "/api/v1")
        return f"{root}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def get(self, plural: str, name: str) -> Obj:
        found = self.find(plural, name)
        assert found is not None, f"there is no {plural} {name}"
        return found

    def find(self, plural: str, name: str) -> Obj | None:
        status, answer = self.api.request("GET", self.path(plural, name))
        return answer if status == 200 else None

    def list(self, plural: str) -> list[Obj]:
        status, answer = self.api.request("GET", self.path(plural))
        return list(answer["items"]) if status == 200 else []

    def create(self, plural: str, body: Obj) -> Obj:
        status, answer = self.api.request("POST", self.path(plural), body)
        assert status == 201, answer
        return answer

    def patch(self, plural: str, name: str, body: Obj, subresource: str = "") -> Obj:
        path = self.path(plural, name) + subresource
        status, answer = self.api.request("PATCH", path, body, content_type="application/merge-patch+json")
        assert status == 200, answer
        return answer

    def delete(self, plural: str, name: str, *, grace_seconds: int | None = None) -> None:
        options = None if grace_seconds is None else {"gracePeriodSeconds": grace_seconds}
        status, answer = self.api.request("DELETE", self.path(plural, name), options)
        assert status in (200, 202), answer

    def job(self, name: str, **spec: object) -> Obj:
        return self.create("trainingjobs", owner("TrainingJob", name, spec))

    def ready(self, plural: str, name: str) -> tuple[str, str]:
        """Reason and message of the Ready condition, empty before there is one."""
        conditions = ((self.find(plural, name) or {}).get("status") or {}).get("conditions") or [{}]
        return conditions[0].get("reason", ""), conditions[0].get("message", "")

    def writes(self, *, besides: frozenset[str] = frozenset({"leases"})) -> float:
        """Every write that the API server has answered so far, as it counts them itself."""
        _, answer = self.api.request("GET", "/metrics")
        total = 0.0
        for found in WRITES.finditer(answer["message"]):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found["labels"]))
            if labels["verb"] in WRITE_VERBS and labels["resource"] not in besides:
                total += float(found["count"])
        return total

    @contextmanager
    def replica(
        self, name: str, *, kubeconfig: Path | None = None, program: tuple[str, ...] = (__file__,), **environment: str
    ) -> Iterator["Replica"]:
        """A running operator; killed on leaving if it still runs. `program` is what Python runs."""
        replica = Replica.start(self, name, kubeconfig or self.api.kubeconfig_path, program, environment)
        try:
            yield replica
        finally:
            replica.kill()


def owner(kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": "slipway.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


@dataclass
class Replica:
    process: "subprocess.Popen[bytes]"
    health_port: int
    progress_port: int
    log: Path

    @classmethod
    def start(
        cls, bed: Bed, name: str, kubeconfig: Path, program: tuple[str, ...], environment: dict[str, str]
    ) -> "Replica":
        health, progress = free_port(), free_port()
        log = bed.directory / f"{bed.namespace}-{name}.log"
        variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "KUBECONFIG": str(kubeconfig),
            "SLIPWAY_NAMESPACE": bed.namespace,
            "SLIPWAY_WATCH_NAMESPACES": "",
            "POD_NAME": name,
            "POD_IP": "10.1.2.3",
            "SLIPWAY_HEALTH_PORT": str(health),
            "SLIPWAY_PROGRESS_PORT": str(progress),
            "SLIPWAY_LOG_LEVEL": "INFO",
            **{f"SLIPWAY_LEASE_{k}_SECONDS": v for k, v in LEASE.items()},
            **{f"SLIPWAY_{image}_IMAGE": "image" for image in ("TRAINER", "ENGINE", "VLLM_CPU", "VLLM_NVIDIA")},
            **environment,
        }
        with log.open("wb") as output:
            command = [sys.executable, *program]
            process = subprocess.Popen(command, env=variables, stdout=output, stderr=subprocess.STDOUT)
        return cls(process, health, progress, log)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_SECONDS)

    def fetch(self, path: str) -> tuple[int, str]:
        return http("GET", f"http://127.0.0.1:{self.health_port}{path}")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, f"the operator has ended:\n{self.said()}"
        return self.fetch("/readyz")[0] == 200

    def leads(self) -> bool:
        assert self.process.poll() is None, f"the operator has ended:\n{self.said()}"
        return 'leader_election_master_status{name="slipway"} 1.0' in self.fetch("/metrics")[1]

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]


def http(method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> tuple[int, str]:
    """(status, text); (0, why) when nobody answers."""
    request = urllib.request.Request(url, data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _served(api: ApiServer, path: str) -> bool:
    return api.request("GET", path)[0] == 200


def establish(api: ApiServer, *definitions: Obj) -> None:
    """Create CRDs and wait until they are served."""
    for body in definitions:
        status, answer = api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
        assert status in (201, 409), answer
        spec = body["spec"]
        path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
        eventually(partial(_served, api, path), f"{path} is served")


def planners() -> dict[str, Any]:
    return {"TrainingJob": plan_training, "InferenceService": plan_inference}


if __name__ == "__main__":
    from slipway import app

    sys.exit(app.main(planners))
