"""Flags of SGLang that `spec.engineArgs` may not set, each with the reason and what to write instead.

They are refused because Slipway renders them from another field, or because the gateway, the readiness heartbeat or the
metrics would stop working while the object looked fine: nothing is accepted that then silently breaks a promise. Read
from sglang/srt/arg_groups/fields and launch_server.py of 0.5.23.
"""

from collections.abc import Mapping

from .enginekind import Reserved

_ONE_ADDRESS = (
    "the Service, the gateway and the readiness heartbeat reach the engine over HTTP on port 8000 of all addresses; "
    "remove it"
)
_ONE_POD = (
    "a replica is one pod; set spec.parallelism.tensor for GPUs that share the model, spec.replicas for more copies"
)
_PLAIN_HTTP = (
    "the gateway and the readiness heartbeat speak plain HTTP to the engine; terminate TLS in front of the gateway, "
    "and remove it"
)
_NO_KEYS = "the gateway and the heartbeat send the engine no key; keep keys at the gateway, and remove it"
_NEEDS_TEXT = "a replica is ready when it has completed a text prompt, which the engine could not do then; remove it"
_GENERATES = "only models that generate text are served, since readiness is a generated token; remove it"
_LOCAL_MODEL = "the model is the directory that spec.model names, which has no revisions; remove it"
_WHOLE_ENGINE = "a replica computes prompts and tokens both, or it could not complete the heartbeat's prompt; remove it"
_OWN_WEIGHTS = "a replica's weights are the directory that spec.model names; remove it"

_FLAGS: Mapping[str, str] = {
    "--model-path": "spec.model says what is served; remove it",
    "--served-model-name": "the name that clients use is the InferenceService's; remove it",
    "--tensor-parallel-size": "set spec.parallelism.tensor instead",
    "--device": "set spec.accelerator instead",
    "--enable-metrics": "readiness reads the engine's metrics, so they are on; remove it",
    "--host": _ONE_ADDRESS,
    "--port": _ONE_ADDRESS,
    "--fastapi-root-path": _ONE_ADDRESS,
    "--grpc-mode": _ONE_ADDRESS,
    "--smg-grpc-mode": _ONE_ADDRESS,
    "--grpc-port": _ONE_ADDRESS,
    "--grpc-http-sidecar-port": _ONE_ADDRESS,
    "--sidecar": _ONE_ADDRESS,
    "--sidecar-args": _ONE_ADDRESS,
    "--gated-launch-port": "the engine would wait for a signal that Slipway does not send; remove it",
    "--checkpoint-engine-wait-weights-before-ready": _OWN_WEIGHTS,
    "--nnodes": _ONE_POD,
    "--node-rank": _ONE_POD,
    "--dist-init-addr": _ONE_POD,
    "--use-ray": _ONE_POD,
    "--pipeline-parallel-size": _ONE_POD,
    "--data-parallel-size": _ONE_POD,
    "--dwdp-size": _ONE_POD,
    "--max-ep-size": _ONE_POD,
    "--ssl-keyfile": _PLAIN_HTTP,
    "--ssl-certfile": _PLAIN_HTTP,
    "--ssl-ca-certs": _PLAIN_HTTP,
    "--ssl-keyfile-password": _PLAIN_HTTP,
    "--enable-ssl-refresh": _PLAIN_HTTP,
    "--api-key": _NO_KEYS,
    "--admin-api-key": _NO_KEYS,
    "--config": "a file's flags cannot be checked here; write them as elements of spec.engineArgs",
    "--help": "the engine would print its help and end; remove it",
    "--skip-tokenizer-init": _NEEDS_TEXT,
    "--encoder-only": _NEEDS_TEXT,
    "--is-embedding": _GENERATES,
    "--revision": _LOCAL_MODEL,
    "--enable-pd-role-switch": _WHOLE_ENGINE,
    "--language-only": _WHOLE_ENGINE,
    "--prefill-only-disable-kv-cache": _WHOLE_ENGINE,
    "--debug-tensor-dump-input-file": "the engine would compute that file and end; remove it",
}

RESERVED = Reserved(
    flags=_FLAGS,
    prefixes={
        "--disaggregation-": _WHOLE_ENGINE,
        "--encoder-": _WHOLE_ENGINE,
        "--decoupled-spec-": _ONE_POD,
        "--elastic-ep-": _ONE_POD,
        "--remote-instance-weight-loader-": _OWN_WEIGHTS,
    },
    values={
        ("--load-format", "remote"): _OWN_WEIGHTS,
        ("--load-format", "remote_instance"): _OWN_WEIGHTS,
    },
    bounds={"--mem-fraction-static": (("gt", 0), ("lt", 1))},
)
