"""InferenceService's rows of the table."""

from .crdtable import ABSENT, BAD_NAME, NOT_A_FLAG, NOT_A_NAME, NOT_AN_IMAGE, SERVICE, Case

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
