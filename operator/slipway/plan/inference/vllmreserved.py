"""Flags of vLLM that `spec.engineArgs` may not set, each with the reason and what to write instead.

They are refused because Slipway renders them from another field, or because the gateway, the readiness heartbeat or the
metrics would stop working while the object looked fine: nothing is accepted that then silently breaks a promise.
"""

from collections.abc import Mapping

from . import reservedreasons as why
from .enginekind import Bounds, Reserved

_FLAGS: Mapping[str, str] = {
    "--model": why.THE_MODEL,
    "--served-model-name": why.THE_NAME,
    "--tensor-parallel-size": why.THE_TENSOR,
    "--shutdown-timeout": "set spec.drainSeconds instead",
    "--host": why.ONE_ADDRESS,
    "--port": why.ONE_ADDRESS,
    "--uds": why.ONE_ADDRESS,
    "--grpc": why.ONE_ADDRESS,
    "--grpc-port": why.ONE_ADDRESS,
    "--root-path": why.ONE_ADDRESS,
    "--headless": why.ONE_POD,
    "--nnodes": why.ONE_POD,
    "--node-rank": why.ONE_POD,
    "--master-addr": why.ONE_POD,
    "--master-port": why.ONE_POD,
    "--pipeline-parallel-size": why.ONE_POD,
    "--prefill-context-parallel-size": why.ONE_POD,
    "--enable-elastic-ep": why.ONE_POD,
    "--elastic-ep-max-dp-size": why.ONE_POD,
    "--ssl-keyfile": why.PLAIN_HTTP,
    "--ssl-certfile": why.PLAIN_HTTP,
    "--ssl-ca-certs": why.PLAIN_HTTP,
    "--ssl-cert-reqs": why.PLAIN_HTTP,
    "--ssl-ciphers": why.PLAIN_HTTP,
    "--enable-ssl-refresh": why.PLAIN_HTTP,
    "--api-key": why.NO_KEYS,
    "--hf-token": "a secret does not belong in a spec; set HF_TOKEN from a Secret in spec.podTemplate",
    "--disable-log-stats": "readiness and scaling read the metrics that it turns off; remove it",
    "--config": why.NO_FILE,
    "--help": why.ONLY_HELP,
    "--tokens-only": why.NEEDS_TEXT,
    "--skip-tokenizer-init": why.NEEDS_TEXT,
    "--mm-encoder-only": why.NEEDS_TEXT,
    "--revision": why.LOCAL_MODEL,
    "--code-revision": why.LOCAL_MODEL,
}

_PREFIXES: Mapping[str, str] = {"--data-parallel-": why.ONE_POD}

_ADAPTER = "spec.model comes to an adapter, for which Slipway sets it; remove it, or train with output.merge merged"

# Of a service whose TrainingJob wrote an adapter alone.
_WITH_ADAPTER: Mapping[str, str] = dict.fromkeys(
    (
        "--tokenizer",
        "--enable-lora",
        "--no-enable-lora",
        "--lora-modules",
        "--max-loras",
        "--max-lora-rank",
        "--max-cpu-loras",
    ),
    _ADAPTER,
)

# Values of flags that are otherwise free.
_VALUES: Mapping[tuple[str, str], str] = {
    ("--runner", "pooling"): why.GENERATES,
    ("--runner", "draft"): why.GENERATES,
    ("--convert", "embed"): why.GENERATES,
    ("--convert", "classify"): why.GENERATES,
    ("--api-server-count", "0"): why.ONE_ADDRESS,
    ("--distributed-executor-backend", "ray"): why.ONE_POD,
    ("--distributed-executor-backend", "external_launcher"): why.ONE_POD,
}

# What vLLM refuses, or quietly turns off, on a CPU (vllm/platforms/cpu.py, vllm/config/model.py of 0.32.0), and what
# the CPU image has no compiler for.
_ON_CPU: Mapping[str, str] = {
    "--enable-sleep-mode": "the engine has no sleep mode on a CPU; remove it, or set spec.accelerator to nvidia",
    "--no-enforce-eager": "Slipway's CPU image has no compiler, without which no engine starts; remove it",
    "--enable-dbo": "the engine has no dual-batch overlap on a CPU; remove it, or set spec.accelerator to nvidia",
}

# What vLLM 0.32.0 holds against a number elsewhere than in its configuration's fields (config/model.py, cli/serve.py;
# the seed is numpy's, too).
_BOUNDS: Mapping[str, Bounds] = {
    "--api-server-count": (("ge", 1),),
    "--max-model-len": (("ne", 0),),
    "--seed": (("ge", 0), ("le", 2**32 - 1)),
}

RESERVED = Reserved(
    flags=_FLAGS,
    prefixes=_PREFIXES,
    values=_VALUES,
    with_adapter=_WITH_ADAPTER,
    on_cpu=_ON_CPU,
    bounds=_BOUNDS,
)
