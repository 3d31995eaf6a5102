"""The table of what the API server must accept and refuse: the specification of the API's rules, as data.

A case is a valid object with some fields changed. A refusal names the field and says the sentence that a person reads.
"""

import copy
from dataclasses import dataclass
from typing import Any, Final

Obj = dict[str, Any]

GROUP_PATH = "/apis/slipway.dev/v1alpha1/namespaces/default"
COLLECTIONS = {
    "TrainingJob": f"{GROUP_PATH}/trainingjobs",
    "InferenceService": f"{GROUP_PATH}/inferenceservices",
    "Accelerator": "/apis/slipway.dev/v1alpha1/accelerators",
}


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
SFT_JOB: Obj = RECIPE_JOB | {
    "spec": {
        "recipe": "sft",
        "baseModel": {"uri": "pvc://models/llama"},
        "dataset": {"uri": "pvc://data/instructions"},
        "training": {"steps": 200},
    }
}
LORA_JOB: Obj = SFT_JOB | {"spec": SFT_JOB["spec"] | {"recipe": "lora"}}
FP8: Obj = {"spec.precision": "fp8", "spec.accelerator": "nvidia"}
COMMAND_JOB: Obj = RECIPE_JOB | {"spec": {"command": ["python3", "train.py"]}}
SERVICE: Obj = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "InferenceService",
    "metadata": {"name": "case"},
    "spec": {"model": {"from": {"trainingJob": "pretrain"}}},
}
ACCELERATOR: Obj = {
    "apiVersion": "slipway.dev/v1alpha1",
    "kind": "Accelerator",
    "metadata": {"name": "case"},
    "spec": {
        "memoryGib": "79.1",
        "memoryGigabytesPerSecond": 3350,
        "teraflops": {"fp16": 989},
        "linkGigabytesPerSecond": 450,
        "hostGigabytesPerSecond": 64,
        "nodeLabels": {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"},
    },
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


NOT_A_NAME = (
    "must be the name of an object: lower-case letters, digits, '-' and '.', "
    "with a letter or digit at both ends and around each '.'"
)
NOT_A_JOB = "must be the name of a TrainingJob: a DNS label that starts with a letter"
LONG_CLAIM = "the claim's name has at most 253 characters"
HOLDS_NUL = "must not hold the character NUL, which no program can be given"
NOT_A_DECIMAL = 'must be a decimal in quotes, such as "0.001" or "1e-3"'
NOT_A_QUANTITY = 'must be a quantity such as "500Mi" or "10Gi"'
NOT_AN_IMAGE = (
    'must be an image reference, such as "registry.example/team/image:tag": '
    "lower-case letters and digits in the path, no spaces, a whole digest"
)
LONG_IMAGE = "the image's name, without tag and digest, has at most 255 characters"
NOT_A_FLAG = "must be a flag: --flag or --flag=value, each in one string"
BELOW = "names files below uri: one / between names, none at the end, no '.', such as train/*.jsonl"
STEPS_OUT = "must not step out with '..'"
BAD_NAME = "the name must be a DNS label that starts with a letter, of at most 40 characters: pods are named after it"

SHA256 = "sha256:" + "0a" * 32
IMAGES = (
    "a",
    "vllm/vllm-openai:v0.32.0",
    "localhost:5000/a_b/c--d.e__f:T_1.2-3",
    "Registry.Example:443/team/image@" + SHA256,
    f"registry.example/a/b:1@{SHA256}",
    "[fd00::1]:5000/a@sha512:" + "0a" * 64,
    "a" * 255 + ":" + "t" * 128,
    "r.example/" + "a" * 245 + "@" + SHA256,
)
NOT_IMAGES = (
    "a b",
    " a",
    "é",
    "Team/Image:1",
    "image:",
    "image:a/b",
    "image:" + "t" * 129,
    "image@sha256:00",
    "image@" + SHA256.upper(),
    "https://registry.example/a",
    "/a",
    "a/",
    "a//b",
    "a..b",
    "-a",
    "$(IMAGE)",
    "a\n",
)
