"""Names of what Slipway makes, and of the ports, paths and variables that pods and operator agree on.

The workloads repeat these constants (they do not import the plan); tests/unit/test_agreements.py holds the two equal.
"""

MAIN_CONTAINER = "main"  # what a user's podTemplate calls the main container, whatever the backend calls it

# Training pods
RECIPE_VARIABLE = "SLIPWAY_RECIPE"  # the recipe's JSON
OUTPUT_VARIABLE = "SLIPWAY_OUTPUT_DIR"  # only on rank 0's pod, unless the claim is ReadWriteMany
PROGRESS_URL_VARIABLE = "SLIPWAY_PROGRESS_URL"
PROGRESS_TOKEN_VARIABLE = "SLIPWAY_PROGRESS_TOKEN_FILE"  # noqa: S105
PROGRESS_AUDIENCE = "slipway.dev/progress"
OUTPUT_MOUNT = "/slipway/output"  # the claim; SLIPWAY_OUTPUT_DIR is the directory of the job in it
DATASET_MOUNT = "/slipway/dataset"
BASE_MODEL_MOUNT = "/slipway/base-model"
TOKEN_MOUNT = "/var/run/secrets/slipway"  # noqa: S105

# Inference pods
MODEL_MOUNT = "/slipway/model"
ADAPTER_MOUNT = "/slipway/adapter"
ENGINE_PORT = 8000
SIDECAR_PORT = 8001
SIDECAR_CONTAINER = "slipway-engine"
MODEL_CHECK_CONTAINER = "model-check"

USER_ID = 65532  # all pods run as this user and group


def pytorchjob(job: str, attempt: int) -> str:
    return f"{job}-{attempt}"


def output_claim(job: str) -> str:
    return f"{job}-output"


def output_directory(job_uid: str) -> str:
    """Directory of a job in its claim: by uid, so that a job of the same name never resumes another's checkpoint."""
    return job_uid


def output_path(job_uid: str) -> str:
    """Where rank 0 writes: the claim is mounted whole, and the trainer makes the job's directory in it."""
    return f"{OUTPUT_MOUNT}/{output_directory(job_uid)}"


def model_directory(job_uid: str) -> str:
    return f"{job_uid}/model"


def adapter_directory(job_uid: str) -> str:
    return f"{job_uid}/adapter"


def model_path(directory: str) -> str:
    """Where an inference pod finds the model that lies in `directory` of its claim, which is mounted whole."""
    return f"{MODEL_MOUNT}/{directory}" if directory else MODEL_MOUNT


def adapter_path(directory: str) -> str:
    """Likewise for the adapter, when that is what a training job wrote."""
    return f"{ADAPTER_MOUNT}/{directory}"


def qualified_model(namespace: str, service: str) -> str:
    """The name in `model` that is always unique; the bare service name works where only one namespace has it."""
    return f"{namespace}/{service}"
