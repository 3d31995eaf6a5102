"""The table of what the API server must accept and refuse: the specification of the API's rules, as data.

A case is a valid object with some fields changed. A refusal names the field and says the sentence that a person reads.
"""

import copy
from dataclasses import dataclass
from typing import Any, Final

Obj = dict[str, Any]

GROUP_PATH = "/apis/slipway.dev/v1alpha1/namespaces/default"
COLLECTIONS = {"TrainingJob": f"{GROUP_PATH}/trainingjobs", "InferenceService": f"{GROUP_PATH}/inferenceservices"}


class _Absent:
    """Marks a field that the case removes."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()

RECIPE_JOB: Obj = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "case"},
    "spec": {
        "recipe": "pretrain",
        "dataset": {"uri": "file:///usr/lib/python3.11"},
        "training": {"steps": 200},
    },
}
COMMAND_JOB: Obj = RECIPE_JOB | {"spec": {"command": ["python3", "train.py"]}}
SERVICE: Obj = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "InferenceService",
    "metadata": {"name": "case"},
    "spec": {"model": {"from": {"trainingJob": "pretrain"}}},
}


@dataclass(frozen=True)
class Case:
    """`base` with `change` (dotted path to value). `field` and `message` are what a refusal says; "" when accepted."""

    name: str
    base: Obj
    change: dict[str, Any]
    field: str = ""
    message: str = ""

    def body(self) -> Obj:
        return changed(self.base, self.change)


def changed(base: Obj, change: dict[str, Any]) -> Obj:
    """A copy of `base` in which each path holds its value. Missing objects on the way are made."""
    result = copy.deepcopy(base)
    for path, value in change.items():
        *parents, last = path.split(".")
        place = result
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is ABSENT:
            del place[last]
        else:
            place[last] = value
    return result


NOT_A_NAME = "must be the name of an object: lower-case letters, digits, '-' and '.'"
NOT_A_DECIMAL = 'must be a decimal in quotes, such as "0.001" or "1e-3"'
NOT_A_QUANTITY = 'must be a quantity such as "500Mi" or "10Gi"'
NOT_AN_IMAGE = "must be an image reference, without spaces"
NOT_A_FLAG = "must be a flag: --flag or --flag=value, each in one string"
STEPS_OUT = "must not step out with '..'"
BAD_NAME = "the name must be a DNS label that starts with a letter, of at most 40 characters: pods are named after it"

TRAINING_JOB_CASES = (
    # -- what to run
    Case("recipe", RECIPE_JOB, {}),
    Case("command", COMMAND_JOB, {}),
    Case(
        "recipe and command",
        RECIPE_JOB,
        {"spec.command": ["true"]},
        "spec",
        "exactly one of recipe and command must be set",
    ),
    Case(
        "neither recipe nor command",
        RECIPE_JOB,
        {"spec.recipe": ABSENT},
        "spec",
        "exactly one of recipe and command must be set",
    ),
    Case("no spec", RECIPE_JOB, {"spec": ABSENT}, "spec", "Required value"),
    Case("unknown recipe", RECIPE_JOB, {"spec.recipe": "sft"}, "spec.recipe", 'supported values: "pretrain"'),
    Case(
        "recipe without data set",
        RECIPE_JOB,
        {"spec.dataset": ABSENT},
        "spec",
        "recipe pretrain needs dataset and training",
    ),
    Case(
        "recipe without training",
        RECIPE_JOB,
        {"spec.training": ABSENT},
        "spec",
        "recipe pretrain needs dataset and training",
    ),
    *(
        Case(
            f"command with {field}",
            COMMAND_JOB,
            {f"spec.{field}": value},
            "spec",
            "model, dataset, training and checkpoint belong to a recipe: leave them out with command",
        )
        for field, value in {
            "model": {},
            "dataset": {"uri": "file:///data"},
            "training": {"steps": 1},
            "checkpoint": {},
        }.items()
    ),
    *(
        Case(
            f"command with {field}",
            COMMAND_JOB,
            {f"spec.{field}": value},
            "spec",
            "strategy and precision are the recipe's: with command the program decides",
        )
        for field, value in {"strategy": "ddp", "precision": "bf16"}.items()
    ),
    Case("command with output", COMMAND_JOB, {"spec.output": {"claim": "results"}}),
    Case("empty program", COMMAND_JOB, {"spec.command": [""]}, "spec.command", "must begin with the program to start"),
    Case("empty argument", COMMAND_JOB, {"spec.command": ["true", ""]}),
    # -- where and how
    Case("image", RECIPE_JOB, {"spec.image": "registry.example/a/b:1@sha256:00"}),
    Case("image with a space", RECIPE_JOB, {"spec.image": "my image"}, "spec.image", NOT_AN_IMAGE),
    Case("gang", RECIPE_JOB, {"spec.nodes": 4, "spec.perNode": 2, "spec.training.batchSize": 24}),
    Case(
        "unequal shares",
        RECIPE_JOB,
        {"spec.nodes": 4, "spec.perNode": 2, "spec.training.batchSize": 20},
        "spec",
        "training.batchSize must be a multiple of nodes * perNode: every process takes an equal share",
    ),
    Case(
        "default batch over three nodes",
        RECIPE_JOB,
        {"spec.nodes": 3},
        "spec",
        "training.batchSize must be a multiple of nodes * perNode: every process takes an equal share",
    ),
    Case("any gang with command", COMMAND_JOB, {"spec.nodes": 3}),
    Case(
        "accelerator", RECIPE_JOB, {"spec.accelerator": "tpu"}, "spec.accelerator", 'supported values: "cpu", "nvidia"'
    ),
    Case("strategy", RECIPE_JOB, {"spec.strategy": "fsdp"}, "spec.strategy", 'supported values: "auto", "ddp"'),
    Case("precision", RECIPE_JOB, {"spec.precision": "fp8"}, "spec.precision", 'supported values: "fp32", "bf16"'),
    # -- model
    Case("model by default", RECIPE_JOB, {"spec.model": {}}),
    Case("model", RECIPE_JOB, {"spec.model": {"hiddenSize": 256, "heads": 8, "kvHeads": 4, "layers": 6}}),
    Case(
        "heads do not divide",
        RECIPE_JOB,
        {"spec.model": {"hiddenSize": 200}},
        "spec.model",
        "hiddenSize must be a multiple of heads",
    ),
    Case(
        "odd head size",
        RECIPE_JOB,
        {"spec.model": {"hiddenSize": 198}},
        "spec.model",
        "hiddenSize / heads (the head size) must be even for rotary positions",
    ),
    Case(
        "kvHeads do not divide",
        RECIPE_JOB,
        {"spec.model": {"kvHeads": 4}},
        "spec.model",
        "heads must be a multiple of kvHeads",
    ),
    # -- data set
    Case("data set in a claim", RECIPE_JOB, {"spec.dataset.uri": "pvc://text"}),
    Case("data set in a directory of a claim", RECIPE_JOB, {"spec.dataset.uri": "pvc://text/a/b..c"}),
    *(
        Case(
            f"data set {uri}",
            RECIPE_JOB,
            {"spec.dataset.uri": uri},
            "spec.dataset.uri",
            "must be file:///path or pvc://claim/path",
        )
        for uri in ("", "/data", "file://data", "s3://bucket/data", "pvc://", "pvc://Claim/data", "hf://a/b")
    ),
    *(
        Case(f"data set {uri}", RECIPE_JOB, {"spec.dataset.uri": uri}, "spec.dataset.uri", STEPS_OUT)
        for uri in ("pvc://text/../other", "file:///data/..")
    ),
    Case("patterns", RECIPE_JOB, {"spec.dataset.include": ["**/*.py", "docs/*.rst"]}),
    Case("pattern with ..", RECIPE_JOB, {"spec.dataset.include": ["a", "../*"]}, "spec.dataset.include[1]", STEPS_OUT),
    Case(
        "absolute pattern",
        RECIPE_JOB,
        {"spec.dataset.include": ["/etc/*"]},
        "spec.dataset.include[0]",
        "is relative to uri: must not start with /",
    ),
    Case(
        "pattern given twice",
        RECIPE_JOB,
        {"spec.dataset.include": ["a", "a"]},
        "spec.dataset.include[1]",
        "Duplicate value",
    ),
    # -- output
    Case("output of a size and class", RECIPE_JOB, {"spec.output": {"size": "1.5Gi", "storageClassName": "fast"}}),
    Case("output deleted with the job", RECIPE_JOB, {"spec.output": {"whenDeleted": "Delete"}}),
    Case("output in a claim", RECIPE_JOB, {"spec.output": {"claim": "results.2"}}),
    *(
        Case(
            f"claim with {field}",
            RECIPE_JOB,
            {"spec.output": {"claim": "results", field: value}},
            "spec.output",
            "claim names an existing volume: leave out size and storageClassName, or leave out claim",
        )
        for field, value in {"size": "1Gi", "storageClassName": "fast"}.items()
    ),
    Case(
        "claim deleted with the job",
        RECIPE_JOB,
        {"spec.output": {"claim": "results", "whenDeleted": "Delete"}},
        "spec.output",
        "Slipway does not delete a claim that it did not make: leave whenDeleted at Retain",
    ),
    Case("claim name", RECIPE_JOB, {"spec.output": {"claim": "Results_1"}}, "spec.output.claim", NOT_A_NAME),
    Case(
        "class name", RECIPE_JOB, {"spec.output": {"storageClassName": "-"}}, "spec.output.storageClassName", NOT_A_NAME
    ),
    *(
        Case(f"size {size}", RECIPE_JOB, {"spec.output": {"size": size}}, "spec.output.size", NOT_A_QUANTITY)
        for size in ("10 Gi", "ten", "-1Gi", "1e3", "10GB")
    ),
    Case("size 0", RECIPE_JOB, {"spec.output": {"size": "0Gi"}}, "spec.output.size", "must be more than nothing"),
    Case(
        "when deleted",
        RECIPE_JOB,
        {"spec.output": {"whenDeleted": "Keep"}},
        "spec.output.whenDeleted",
        'supported values: "Retain", "Delete"',
    ),
    # -- training
    *(
        Case(f"learning rate {rate}", RECIPE_JOB, {"spec.training.optimizer": {"learningRate": rate}})
        for rate in ("0", "0.003", "3e-4", "1e2")
    ),
    *(
        Case(
            f"{field} {text}",
            RECIPE_JOB,
            {"spec.training.optimizer": {field: text}},
            f"spec.training.optimizer.{field}",
            NOT_A_DECIMAL,
        )
        for field in ("learningRate", "weightDecay")
        for text in ("-1", ".5", "1e-300", "nan", "3e-4 ")
    ),
    Case(
        "learning rate without quotes",
        RECIPE_JOB,
        {"spec.training.optimizer": {"learningRate": 0.003}},
        "spec.training.optimizer.learningRate",
        "must be of type string",
    ),
    # -- pod template
    Case(
        "pod template",
        RECIPE_JOB,
        {
            "spec.podTemplate": {
                "metadata": {"labels": {"team": "a"}, "annotations": {"note": "x"}},
                "spec": {"containers": [{"name": "main", "anything": {"at": ["all"]}}]},
            }
        },
    ),
    # -- name
    Case("longest name", RECIPE_JOB, {"metadata.name": "a" * 40}),
    *(
        Case(f"name {name}", RECIPE_JOB, {"metadata.name": name}, "", BAD_NAME)
        for name in ("a" * 41, "1st", "a.b", "0")
    ),
)

INFERENCE_SERVICE_CASES = (
    # -- model
    Case("from a job", SERVICE, {}),
    Case("from a claim", SERVICE, {"spec.model": {"uri": "pvc://models/llama/1"}}),
    Case("from a claim's root", SERVICE, {"spec.model": {"uri": "pvc://models"}}),
    Case(
        "two sources",
        SERVICE,
        {"spec.model.uri": "pvc://models"},
        "spec.model",
        "exactly one of model.from and model.uri must be set",
    ),
    Case("no source", SERVICE, {"spec.model": {}}, "spec.model", "exactly one of model.from and model.uri must be set"),
    Case("no model", SERVICE, {"spec.model": ABSENT}, "spec.model", "Required value"),
    Case("no spec", SERVICE, {"spec": ABSENT}, "spec", "Required value"),
    *(
        Case(f"uri {uri}", SERVICE, {"spec.model": {"uri": uri}}, "spec.model.uri", "must be pvc://claim/path")
        for uri in ("", "models", "pvc://", "pvc:///path", "pvc://Models/1", "hf://a/b", "file:///models")
    ),
    Case(
        "uri with ..",
        SERVICE,
        {"spec.model": {"uri": "pvc://models/a/../../b"}},
        "spec.model.uri",
        "must not step out of the claim with '..'",
    ),
    Case(
        "job name",
        SERVICE,
        {"spec.model.from.trainingJob": "My Job"},
        "spec.model.from.trainingJob",
        NOT_A_NAME,
    ),
    # -- engine
    Case("engine", SERVICE, {"spec.engine": "sglang"}, "spec.engine", 'supported values: "vllm"'),
    Case("flags", SERVICE, {"spec.engineArgs": ["--max-model-len=256", "--enforce-eager", "--enforce-eager"]}),
    *(
        Case(f"flag {flag!r}", SERVICE, {"spec.engineArgs": [flag]}, "spec.engineArgs[0]", NOT_A_FLAG)
        for flag in ("max-model-len=256", "-tp", "---x", "--=1")
    ),
    Case("image", SERVICE, {"spec.image": "vllm/vllm-openai:v0.32.0"}),
    Case("image with a space", SERVICE, {"spec.image": "a b"}, "spec.image", NOT_AN_IMAGE),
    Case("accelerator", SERVICE, {"spec.accelerator": "amd"}, "spec.accelerator", 'supported values: "cpu", "nvidia"'),
    Case("tensor parallel on GPUs", SERVICE, {"spec.accelerator": "nvidia", "spec.parallelism": {"tensor": 8}}),
    Case(
        "tensor parallel on a CPU",
        SERVICE,
        {"spec.parallelism": {"tensor": 2}},
        "spec",
        "parallelism.tensor above 1 needs accelerator nvidia",
    ),
    # -- replicas
    Case("no replicas", SERVICE, {"spec.replicas": 0}),
    Case("scaling", SERVICE, {"spec.scaling": {"minReplicas": 0, "maxReplicas": 4}, "spec.replicas": 3}),
    Case("scaling between equal bounds", SERVICE, {"spec.scaling": {"minReplicas": 2, "maxReplicas": 2}}),
    Case("scaling without a bound", SERVICE, {"spec.scaling": {}}, "spec.scaling.maxReplicas", "Required value"),
    Case(
        "scaling upside down",
        SERVICE,
        {"spec.scaling": {"minReplicas": 3, "maxReplicas": 2}},
        "spec.scaling",
        "minReplicas must not exceed maxReplicas",
    ),
    # -- pods and name
    Case("pod template", SERVICE, {"spec.podTemplate": {"spec": {"nodeSelector": {"a": "b"}}}}),
    Case("longest name", SERVICE, {"metadata.name": "a" * 40}),
    *(Case(f"name {name}", SERVICE, {"metadata.name": name}, "", BAD_NAME) for name in ("a" * 41, "1st", "a.b", "0")),
)

CASES = TRAINING_JOB_CASES + INFERENCE_SERVICE_CASES

IMMUTABLE = "a TrainingJob's spec cannot change: delete the job and create another"
