"""Random sequences of writes by two managers to one object: what cases do not think of, one seed at a time.

`run` makes the same requests on every server for one seed. Steps aim at what server-side apply does: overlapping
applies, dropped fields, patches, other people's edits, a delete now and then.
"""

import random
from collections.abc import Iterator
from typing import Any

from .conformance import Bench, Obj, container, deployment, job, service

KINDS = ("services", "deployments", "trainingjobs", "pytorchjobs")
MANAGERS = ("first", "second")
LETTERS = "abc"


def run(bench: Bench, seed: int, plural: str, steps: int) -> None:
    """Makes `steps` requests; the bench has a note of each."""
    chance = random.Random(f"{plural} {seed}")
    for _ in range(steps):
        _step(bench, chance, plural)


def _step(bench: Bench, chance: random.Random, plural: str) -> None:
    name = "one"
    manager = chance.choice(MANAGERS)
    kind = chance.choices(("apply", "merge", "status", "put", "delete", "create"), (10, 5, 4, 2, 1, 1))[0]
    if kind == "apply":
        bench.apply(plural, _body(chance, plural, name), manager, force=chance.random() < 0.8)
    elif kind == "merge":
        bench.merge(plural, name, _patch(chance, plural), fieldManager=manager)
    elif kind == "status":
        _write_status(bench, chance, plural, name, manager)
    elif kind == "put":
        _replace(bench, chance, plural, name, manager)
    elif kind == "delete":
        bench.delete(plural, name)
    else:
        bench.create(plural, _body(chance, plural, name), fieldManager=manager)


def _write_status(bench: Bench, chance: random.Random, plural: str, name: str, manager: str) -> None:
    status = _status(chance, plural)
    if chance.random() < 0.5:
        bench.merge(plural, name, {"status": status}, "status", fieldManager=manager)
        return
    whole = _body(chance, plural, name)
    body = {"apiVersion": whole["apiVersion"], "kind": whole["kind"], "metadata": {"name": name}, "status": status}
    bench.apply(plural, body, manager, "status", force=chance.random() < 0.8)


def _replace(bench: Bench, chance: random.Random, plural: str, name: str, manager: str) -> None:
    _, live = bench.get(plural, name)
    body = _body(chance, plural, name)
    version = live["metadata"].get("resourceVersion")
    if version and chance.random() < 0.8:
        body["metadata"]["resourceVersion"] = version
    bench.put(plural, name, body, fieldManager=manager)


def _body(chance: random.Random, plural: str, name: str) -> Obj:
    body = BODIES[plural](chance, name)
    body["metadata"] = {"name": name, **_metadata(chance)}
    return body


def _metadata(chance: random.Random) -> Obj:
    made: Obj = {}
    if chance.random() < 0.6:
        made["labels"] = _map(chance)
    if chance.random() < 0.3:
        made["annotations"] = _map(chance)
    if chance.random() < 0.2:
        made["ownerReferences"] = [
            {"apiVersion": "v1", "kind": "Pod", "name": letter, "uid": f"owner-{letter}"} for letter in _some(chance)
        ]
    return made


def _some(chance: random.Random) -> list[str]:
    """Some letters, each once, in any order."""
    return chance.sample(LETTERS, chance.randint(0, len(LETTERS)))


def _map(chance: random.Random) -> Obj:
    return {letter: str(chance.randint(0, 2)) for letter in _some(chance)}


def _service(chance: random.Random, name: str) -> Obj:
    ports = [
        {"name": letter, "port": 80 + chance.randint(0, 3), **({"targetPort": "http"} if chance.random() < 0.5 else {})}
        for letter in _some(chance) or ["a"]
    ]
    spec: Obj = {"ports": ports}
    if chance.random() < 0.2:
        spec["sessionAffinity"] = chance.choice(("None", "ClientIP"))
    if chance.random() < 0.7:
        spec["selector"] = _map(chance)
    if chance.random() < 0.2:
        spec["publishNotReadyAddresses"] = chance.random() < 0.5
    return {**service(name), "spec": spec}


def _containers(chance: random.Random) -> Iterator[Obj]:
    for letter in _some(chance) or ["a"]:
        made = container(letter, image=f"image:{chance.randint(1, 2)}")
        if chance.random() < 0.5:
            made["env"] = [{"name": each, "value": str(chance.randint(0, 1))} for each in _some(chance)]
        if chance.random() < 0.3:
            made["command"] = _some(chance)
        if chance.random() < 0.3:
            limits = {"cpu": chance.choice(("1", "1000m", 1)), "memory": chance.choice(("1Gi", "1024Mi"))}
            made["resources"] = {"limits": limits}
        if chance.random() < 0.3:
            made["ports"] = [{"containerPort": 8000 + chance.randint(0, 1), "name": each} for each in _some(chance)[:1]]
        if chance.random() < 0.2:
            made["readinessProbe"] = {"httpGet": {"port": 80}, "periodSeconds": chance.choice((0, 5, 10))}
        yield made


def _deployment(chance: random.Random, name: str) -> Obj:
    body = deployment(name, *_containers(chance))
    spec = body["spec"]
    if chance.random() < 0.5:
        spec["replicas"] = chance.randint(0, 2)
    if chance.random() < 0.2:
        spec["minReadySeconds"] = chance.randint(0, 1)
    if chance.random() < 0.2:
        spec["strategy"] = chance.choice(({"type": "Recreate"}, {"rollingUpdate": {"maxSurge": 1}}, {}))
    pod = spec["template"]["spec"]
    if chance.random() < 0.4:
        pod["volumes"] = [chance.choice(({"name": each}, {"name": each, "emptyDir": {}})) for each in _some(chance)]
    if chance.random() < 0.3:
        pod["nodeSelector"] = _map(chance)
    if chance.random() < 0.2:
        pod["tolerations"] = [{"key": each, "operator": "Exists"} for each in _some(chance)]
    if chance.random() < 0.2:
        spec["template"]["metadata"]["annotations"] = _map(chance)
    return body


def _training_job(chance: random.Random, name: str) -> Obj:
    if chance.random() < 0.7:  # the spec cannot change: mostly the same one
        spec: Obj = {"recipe": "pretrain", "dataset": {"uri": "file:///data"}, "training": {"steps": 5}}
    else:
        spec = {"recipe": "pretrain", "dataset": {"uri": "file:///data", "include": _some(chance)}}
        spec["training"] = {"steps": chance.randint(0, 5), "batchSize": 16}
    if chance.random() < 0.2:
        spec["podTemplate"] = {"metadata": {"labels": _map(chance)}, "spec": {"nodeSelector": _map(chance)}}
    if chance.random() < 0.2:
        spec[chance.choice(("model", "output", "checkpoint", "noSuchField"))] = {}
    return {**job(name), "spec": spec}


def _gang(chance: random.Random, name: str) -> Obj:
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {letter: _anything(chance, 2) for letter in _some(chance)},
    }


def _anything(chance: random.Random, depth: int) -> Any:
    choice = chance.randint(0, 4 if depth else 2)
    if choice < 3:
        return chance.choice((0, 1, "x", "", "y"))
    if choice == 3:
        return [_anything(chance, 0) for _ in range(chance.randint(0, 2))]
    return {letter: _anything(chance, depth - 1) for letter in _some(chance)}


BODIES = {
    "services": _service,
    "deployments": _deployment,
    "trainingjobs": _training_job,
    "pytorchjobs": _gang,
}


def _patch(chance: random.Random, plural: str) -> Obj:
    """A merge patch: part of a body, with nulls here and there."""
    whole = _body(chance, plural, "one")
    patch: Obj = {}
    if chance.random() < 0.6:
        patch["metadata"] = {key: _holed(chance, value) for key, value in whole["metadata"].items() if key != "name"}
    if chance.random() < 0.6:
        keys = chance.sample(sorted(whole["spec"]), min(2, len(whole["spec"])))
        patch["spec"] = {key: _holed(chance, whole["spec"][key]) for key in keys}
    return patch


def _holed(chance: random.Random, value: Any) -> Any:
    if chance.random() < 0.15:
        return None
    if isinstance(value, dict):
        return {key: _holed(chance, below) for key, below in value.items()}
    return value


READY = {"status": "True", "reason": "Made", "lastTransitionTime": "2026-01-02T03:04:05Z"}


def _status(chance: random.Random, plural: str) -> Obj:
    match plural:
        case "services":
            return {"conditions": [{"type": letter, "reason": "", "message": "", **READY} for letter in _some(chance)]}
        case "deployments":
            made: Obj = {"replicas": chance.randint(0, 2), "observedGeneration": chance.randint(0, 2)}
            made["conditions"] = [{"type": letter, "status": "True"} for letter in _some(chance)]
            return made
        case "trainingjobs":
            made = {"attempt": chance.randint(0, 2)} if chance.random() < 0.7 else {}
            made["conditions"] = [{"type": letter, **READY} for letter in _some(chance)]
            return made
    return {letter: _anything(chance, 1) for letter in _some(chance)}
