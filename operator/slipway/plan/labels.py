"""Labels, annotations and field managers: every string by which Slipway knows its own objects, in one place."""

from ..api.common import GROUP

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "slipway"
SELECTOR = f"{MANAGED_BY}={MANAGER}"

TRAINING_JOB = f"{GROUP}/training-job"  # value: TrainingJob name
ATTEMPT = f"{GROUP}/attempt"  # value: decimal attempt number
NODES = f"{GROUP}/nodes"  # value: pods of the gang, of a job whose attempts differ in that
OWNER_UID = f"{GROUP}/owner-uid"  # uid of the owner: a job of the same name, made anew, has other pods
INFERENCE_SERVICE = f"{GROUP}/inference-service"  # value: InferenceService name
REVISION = f"{GROUP}/revision"  # value: hash of the pod template that an inference pod was made from
COMPONENT = "app.kubernetes.io/component"  # trainer | engine

FIELD_MANAGER = "slipway"
STATUS_FIELD_MANAGER = "slipway-status"
