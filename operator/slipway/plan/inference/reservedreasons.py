"""Why flags of an engine may not be set in `spec.engineArgs`, with the mend, in words that hold for every engine."""

ONE_ADDRESS = (
    "the Service, the gateway and the readiness heartbeat reach the engine over HTTP on port 8000 of all addresses; "
    "remove it"
)
ONE_POD = (
    "a replica is one pod; set spec.parallelism.tensor for GPUs that share the model, spec.replicas for more copies"
)
PLAIN_HTTP = (
    "the gateway and the readiness heartbeat speak plain HTTP to the engine; terminate TLS in front of the gateway, "
    "and remove it"
)
NO_KEYS = "the gateway and the heartbeat send the engine no key; keep keys at the gateway, and remove it"
NEEDS_TEXT = "a replica is ready when it has completed a text prompt, which the engine could not do then; remove it"
GENERATES = "only models that generate text are served, since readiness is a generated token; remove it"
LOCAL_MODEL = "the model is the directory that spec.model names, which has no revisions; remove it"
THE_MODEL = "spec.model says what is served; remove it"
THE_NAME = "the name that clients use is the InferenceService's; remove it"
THE_TENSOR = "set spec.parallelism.tensor instead"
NO_FILE = "a file's flags cannot be checked here; write them as elements of spec.engineArgs"
ONLY_HELP = "the engine would print its help and end; remove it"
