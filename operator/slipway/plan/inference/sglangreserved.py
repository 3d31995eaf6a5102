"""Flags of SGLang that `spec.engineArgs` may not set, each with the reason and what to write instead.

They are refused because Slipway renders them from another field, or because the gateway, the readiness heartbeat or the
metrics would stop working while the object looked fine: nothing is accepted that then silently breaks a promise. Read
from sglang/srt/arg_groups/fields and launch_server.py of 0.5.23.
"""

from collections.abc import Mapping

from . import reservedreasons as why
from .enginekind import Reserved

_WHOLE_ENGINE = "a replica computes prompts and tokens both, or it could not complete the heartbeat's prompt; remove it"
_OWN_WEIGHTS = "a replica's weights are the directory that spec.model names; remove it"

_FLAGS: Mapping[str, str] = {
    "--model-path": why.THE_MODEL,
    "--served-model-name": why.THE_NAME,
    "--tensor-parallel-size": why.THE_TENSOR,
    "--device": "set spec.accelerator instead",
    "--enable-metrics": "readiness reads the engine's metrics, so they are on; remove it",
    "--host": why.ONE_ADDRESS,
    "--port": why.ONE_ADDRESS,
    "--fastapi-root-path": why.ONE_ADDRESS,
    "--grpc-mode": why.ONE_ADDRESS,
    "--smg-grpc-mode": why.ONE_ADDRESS,
    "--grpc-port": why.ONE_ADDRESS,
    "--grpc-http-sidecar-port": why.ONE_ADDRESS,
    "--sidecar": why.ONE_ADDRESS,
    "--sidecar-args": why.ONE_ADDRESS,
    "--gated-launch-port": "the engine would wait for a signal that Slipway does not send; remove it",
    "--checkpoint-engine-wait-weights-before-ready": _OWN_WEIGHTS,
    "--nnodes": why.ONE_POD,
    "--node-rank": why.ONE_POD,
    "--dist-init-addr": why.ONE_POD,
    "--use-ray": why.ONE_POD,
    "--pipeline-parallel-size": why.ONE_POD,
    "--data-parallel-size": why.ONE_POD,
    "--dwdp-size": why.ONE_POD,
    "--max-ep-size": why.ONE_POD,
    "--ssl-keyfile": why.PLAIN_HTTP,
    "--ssl-certfile": why.PLAIN_HTTP,
    "--ssl-ca-certs": why.PLAIN_HTTP,
    "--ssl-keyfile-password": why.PLAIN_HTTP,
    "--enable-ssl-refresh": why.PLAIN_HTTP,
    "--api-key": why.NO_KEYS,
    "--admin-api-key": why.NO_KEYS,
    "--config": why.NO_FILE,
    "--help": why.ONLY_HELP,
    "--skip-tokenizer-init": why.NEEDS_TEXT,
    "--encoder-only": why.NEEDS_TEXT,
    "--is-embedding": why.GENERATES,
    "--revision": why.LOCAL_MODEL,
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
        "--decoupled-spec-": why.ONE_POD,
        "--elastic-ep-": why.ONE_POD,
        "--remote-instance-weight-loader-": _OWN_WEIGHTS,
    },
    values={
        ("--load-format", "remote"): _OWN_WEIGHTS,
        ("--load-format", "remote_instance"): _OWN_WEIGHTS,
    },
    bounds={"--mem-fraction-static": (("gt", 0), ("lt", 1))},
)
