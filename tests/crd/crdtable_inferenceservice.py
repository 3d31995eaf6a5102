"""InferenceService's rows of the table."""

from .crdtable import (
    ABSENT,
    BAD_NAME,
    HOLDS_NUL,
    IMAGES,
    LONG_CLAIM,
    LONG_IMAGE,
    NOT_A_FLAG,
    NOT_A_JOB,
    NOT_AN_IMAGE,
    NOT_IMAGES,
    SERVICE,
    Case,
)

POD_NAME = (
    "the name must not end as a training pod's does (such as job-0-master-0): a TrainingJob's Services have such names,"
    " and the InferenceService's own would stand in their way"
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
        for uri in (
            "",
            "models",
            "pvc://",
            "pvc:///path",
            "pvc://Models/1",
            "pvc://a..b",
            "pvc://a-/b",
            "hf://a",
            "file:///m",
        )
    ),
    Case(
        "uri with ..",
        SERVICE,
        {"spec.model": {"uri": "pvc://models/a/../../b"}},
        "spec.model.uri",
        "must not step out of the claim with '..'",
    ),
    Case("claim with dots", SERVICE, {"spec.model": {"uri": "pvc://models.v1-2.a/llama"}}),
    Case("longest claim", SERVICE, {"spec.model": {"uri": f"pvc://{'m' * 253}/llama"}}),
    Case("long claim", SERVICE, {"spec.model": {"uri": f"pvc://{'m' * 254}/llama"}}, "spec.model.uri", LONG_CLAIM),
    Case("uri with NUL", SERVICE, {"spec.model": {"uri": "pvc://models/a\0"}}, "spec.model.uri", HOLDS_NUL),
    Case("longest job name", SERVICE, {"spec.model.from.trainingJob": "a" * 40}),
    *(
        Case(f"job {name!r}", SERVICE, {"spec.model.from.trainingJob": name}, "spec.model.from.trainingJob", NOT_A_JOB)
        for name in ("My Job", "1st", "a.b", "-a", "a-", "é")
    ),
    Case(
        "job name too long",
        SERVICE,
        {"spec.model.from.trainingJob": "a" * 41},
        "spec.model.from.trainingJob",
        "may not be more than 40 bytes",
    ),
    # -- engine
    Case("engine", SERVICE, {"spec.engine": "tgi"}, "spec.engine", 'supported values: "vllm", "sglang"'),
    Case("SGLang", SERVICE, {"spec.engine": "sglang"}),
    Case("flags", SERVICE, {"spec.engineArgs": ["--max-model-len=256", "--enforce-eager", "--enforce-eager"]}),
    *(
        Case(f"flag {flag!r}", SERVICE, {"spec.engineArgs": [flag]}, "spec.engineArgs[0]", NOT_A_FLAG)
        for flag in ("max-model-len=256", "-tp", "---x", "--=1")
    ),
    Case("flag with NUL", SERVICE, {"spec.engineArgs": ["--seed=1\0"]}, "spec.engineArgs[0]", HOLDS_NUL),
    *(Case(f"image {image}", SERVICE, {"spec.image": image}) for image in IMAGES),
    *(Case(f"image {image!r}", SERVICE, {"spec.image": image}, "spec.image", NOT_AN_IMAGE) for image in NOT_IMAGES),
    Case("long image", SERVICE, {"spec.image": "a" * 256 + ":1"}, "spec.image", LONG_IMAGE),
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
    *(
        Case(f"name {name}", SERVICE, {"metadata.name": name}, "", POD_NAME)
        for name in ("cl-0-master-0", "cl-12-worker-345")
    ),
    *(
        Case(f"name {name}", SERVICE, {"metadata.name": name})
        for name in ("cl-0-master", "cl-master-0", "cl-0-master-0-x", "cl-0-webmaster-0")
    ),
    *(Case(f"name {name}", SERVICE, {"metadata.name": name}, "", BAD_NAME) for name in ("a" * 41, "1st", "a.b", "0")),
)
