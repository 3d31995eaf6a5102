"""The resources that the end-to-end tests apply, small enough for two cores, and what is awaited of them."""

import json
from collections.abc import Callable

from .install import SIMULATED_ENGINE
from .kube import Kube, Obj, condition, is_false, is_true

JOBS = "trainingjobs.slipway.dev"
SERVICES = "inferenceservices.slipway.dev"
PYTORCHJOBS = "pytorchjobs.kubeflow.org"
ONE_THREAD = {"spec": {"containers": [{"name": "main", "env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}]}}


def tiny_job(name: str, *, steps: int = 12, nodes: int = 2, **spec: object) -> Obj:
    """A TrainingJob of some seconds: a model of 100,000 parameters on one package of the standard library."""
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {
            "recipe": "pretrain",
            "nodes": nodes,
            "model": {"vocabSize": 512, "contextLength": 128, "hiddenSize": 64, "layers": 2, "heads": 2, "kvHeads": 1},
            "dataset": {"uri": "file:///usr/lib/python3.11/json", "include": ["**/*.py"], "heldOutPercent": 20},
            "training": {"steps": steps, "batchSize": 4},
            "checkpoint": {"everySteps": 4},
            "output": {"size": "1Gi"},
            "podTemplate": ONE_THREAD,  # two pods share two cores
            **spec,
        },
    }


def lora_job(name: str, *, base: str, data: str) -> Obj:
    """An adapter for the model of `tiny_job` at address `base`, in enough steps to learn one answer in bf16, too."""
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {
            "recipe": "lora",
            "baseModel": {"uri": base, "contextLength": 128},
            "dataset": {"uri": data},
            "training": {"steps": 240, "batchSize": 8, "optimizer": {"learningRate": "0.01", "warmupSteps": 5}},
            "evaluation": {"prompts": 4, "answerTokens": 16},
            "output": {"size": "1Gi"},
        },
    }


def command_job(name: str, *command: str, **spec: object) -> Obj:
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {"command": list(command), "output": {"size": "1Gi"}, **spec},
    }


def service(name: str, model: Obj, **spec: object) -> Obj:
    return {
        "apiVersion": "slipway.dev/v1alpha1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {"model": model, **spec},
    }


def simulated_service(name: str, model: Obj, *, behaves: Obj | None = None, **spec: object) -> Obj:
    """A service on the simulated engine, whatever spec.engine says: `behaves` is its SIMULATED_ENGINE (gpu/README.md).

    The model's directory must be there, and nothing of it but config.json is used.
    """
    environment = [{"name": "SIMULATED_ENGINE", "value": json.dumps(behaves or {})}]
    small = {"requests": {"cpu": "20m", "memory": "64Mi"}}
    main = {"name": "main", "env": environment, "resources": small}
    pod = {"spec": {"containers": [main]}}
    return service(name, model, **{"image": SIMULATED_ENGINE, "podTemplate": pod, **spec})


def trained(kube: Kube, namespace: str, name: str = "tiny") -> Obj:
    """A Complete tiny job of that name, made if it is not there."""
    if kube.get(namespace, JOBS, name) is None:
        kube.apply(namespace, tiny_job(name, nodes=1))
    return kube.until(namespace, JOBS, name, is_true("Complete"), seconds=300)


def says(kind: str, reason: str, *words: str) -> Callable[[Obj], bool]:
    """A predicate: the condition is False for that reason, and its message has all the words."""

    def holds(obj: Obj) -> bool:
        found = condition(obj, kind)
        return is_false(kind, reason)(obj) and all(word in found["message"] for word in words)

    return holds
