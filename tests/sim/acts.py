"""What a user does to the cluster, as data: create, change, delete, with what is expected of the API server."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field

from slipway.api.common import API_VERSION
from slipway.kube.kinds import ACCELERATOR, CLAIM, INFERENCE_SERVICE, TRAINING_JOB
from slipway.plan.observed import Obj

from .apiserver.kinds import ADMISSION, QUOTA
from .apiserver.writes import merge_patched
from .hand import Hand, Refused

NAMESPACE, ANOTHER_NAMESPACE = "team", "others"
JOBS, SERVICES, CLASSES = TRAINING_JOB.full, INFERENCE_SERVICE.full, ACCELERATOR.full


@dataclass(frozen=True, slots=True)
class Create:
    body: Obj = field(hash=False)
    refused: bool | None = False

    def do(self, hand: Hand) -> None:
        _expect(self.refused, lambda: hand.create(copy.deepcopy(self.body)))


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge patch. `refused`: the API server must say that it is invalid, or the scenario is wrong. None: it may."""

    resource: str
    name: str
    patch: Obj = field(hash=False)
    refused: bool | None = False

    def do(self, hand: Hand) -> None:
        _expect(self.refused, lambda: hand.merge(self.resource, NAMESPACE, self.name, copy.deepcopy(self.patch)))


@dataclass(frozen=True, slots=True)
class Delete:
    resource: str
    name: str
    policy: str = "Background"

    def do(self, hand: Hand) -> None:
        try:
            hand.delete(self.resource, NAMESPACE, self.name, propagationPolicy=self.policy)
        except Refused as refused:
            if refused.status != 404:
                raise


@dataclass(frozen=True, slots=True)
class Install:
    """A kind comes to the cluster."""

    resource: str

    def do(self, hand: Hand) -> None:
        hand.install(self.resource)


@dataclass(frozen=True, slots=True)
class Uninstall:
    """A kind goes, with everything of it."""

    resource: str

    def do(self, hand: Hand) -> None:
        hand.uninstall(self.resource)


Act = Create | Merge | Delete | Install | Uninstall


@dataclass(frozen=True, slots=True)
class When:
    """Until a condition of an object has this status, or, with `condition` "", until the object is there (or gone)."""

    resource: str
    name: str
    condition: str = ""
    status: str = "True"
    gone: bool = False
    reason: str = ""

    def holds(self, hand: Hand) -> bool:
        body = hand.get(self.resource, NAMESPACE, self.name)
        if body is None or self.gone or not self.condition:
            return (body is None) == self.gone
        conditions = (body.get("status") or {}).get("conditions") or []
        true = {c["type"] for c in conditions if c["status"] == "True"}
        if self.condition == "Running" and true & {"Complete", "Failed"}:
            return True  # it ran while nobody was there to say so
        found: Obj = next((c for c in conditions if c["type"] == self.condition), {})
        return found.get("status") == self.status and (not self.reason or found.get("reason") == self.reason)


@dataclass(frozen=True, slots=True)
class Judged:
    """Until the operator has said of what is written now whether it accepts it: `accepted`, or else only if it was
    written at all, and the API server did not refuse `spec`, a merge patch, at once."""

    resource: str
    name: str
    spec: Obj = field(hash=False)
    accepted: bool

    def holds(self, hand: Hand) -> bool:
        body = hand.get(self.resource, NAMESPACE, self.name)
        if not self.accepted and (body is None or merge_patched(body["spec"], self.spec) != body["spec"]):
            return True
        conditions = ((body or {}).get("status") or {}).get("conditions") or []
        told: Obj = next((c for c in conditions if c["type"] == "Accepted"), {})
        now = body is not None and told.get("observedGeneration") == body["metadata"]["generation"]
        return now and told["status"] == str(self.accepted)


@dataclass(frozen=True, slots=True)
class Step:
    """`act`, `after` seconds after the step before, or after `when` has come."""

    act: Act | None = None
    after: float = 0.1
    when: When | Judged | None = None


def _expect(refused: bool | None, do: Callable[[], object]) -> None:
    try:
        do()
    except Refused as no:
        if refused is False or no.status not in (400, 422):
            raise
    else:
        assert not refused, "the API server took what it should have refused"


# ---------------------------------------------------------------------------- objects


def pauses(*rules: Obj, **more: object) -> Obj:
    """A failurePolicy whose pauses are shorter than what the world takes for rest."""
    short = {"backoffSeconds": 2, "backoffLimitSeconds": 4}
    return {"maxRestarts": 2, **short, **({"rules": list(rules)} if rules else {}), **more}


def job(name: str = "job", **spec: object) -> Obj:
    base: Obj = {"command": ["python3", "train.py"], "nodes": 2, "failurePolicy": pauses()}
    return _resource("TrainingJob", name, {**base, **spec})


def recipe(name: str = "job", **spec: object) -> Obj:
    base: Obj = {
        "recipe": "pretrain",
        "dataset": {"uri": "file:///usr/lib"},
        "training": {"steps": 200},
        "nodes": 2,
        "failurePolicy": pauses(),
    }
    return _resource("TrainingJob", name, {**base, **spec})


def service(name: str = "serve", **spec: object) -> Obj:
    return _resource("InferenceService", name, {"model": {"uri": "pvc://models/llama"}, **spec})


def accelerator(name: str = "mine", **spec: object) -> Obj:
    rates = {"memoryGigabytesPerSecond": 2000, "linkGigabytesPerSecond": 64, "hostGigabytesPerSecond": 32}
    base: Obj = {"memoryGib": "80", **rates, "teraflops": {"fp16": 300}, "nodeLabels": {"gpu": name}}
    return {"apiVersion": API_VERSION, "kind": "Accelerator", "metadata": {"name": name}, "spec": {**base, **spec}}


def claim(name: str = "models", *modes: str, **labels: str) -> Obj:
    spec = {"accessModes": list(modes or ("ReadWriteOnce",)), "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": labels}
    return {"apiVersion": CLAIM.api_version, "kind": CLAIM.kind, "metadata": metadata, "spec": spec}


def quota(hard: dict[str, int], name: str = "small") -> Obj:
    """`hard` by what is counted, as `pods` or `count/pytorchjobs.kubeflow.org`."""
    metadata = {"name": name, "namespace": NAMESPACE}
    spec = {"hard": {what: str(most) for what, most in hard.items()}}
    return {"apiVersion": QUOTA.api_version, "kind": QUOTA.kind, "metadata": metadata, "spec": spec}


def policy(name: str, message: str, group: str, plural: str) -> tuple[Obj, Obj]:
    """A policy against new objects of a kind, and what binds it to the team's namespace."""
    policies, bindings, _ = ADMISSION
    rule = {"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [plural]}
    spec = {
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": message}],
    }
    bound = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": HERE}}
    return (
        {"apiVersion": policies.api_version, "kind": policies.kind, "metadata": {"name": name}, "spec": spec},
        {"apiVersion": bindings.api_version, "kind": bindings.kind, "metadata": {"name": name}, "spec": bound},
    )


def deaf_webhook(name: str, group: str, plural: str) -> Obj:
    """A webhook that must be asked about new objects of a kind, and that nobody answers."""
    hook = {
        "name": f"{name}.example.com",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [{"apiGroups": [group], "apiVersions": ["*"], "operations": ["CREATE"], "resources": [plural]}],
        "namespaceSelector": HERE,
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
    }
    webhooks = ADMISSION[2]
    return {
        "apiVersion": webhooks.api_version,
        "kind": webhooks.kind,
        "metadata": {"name": name},
        "webhooks": [hook],
    }


HERE: Obj = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}


def _resource(kind: str, name: str, spec: Obj) -> Obj:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
