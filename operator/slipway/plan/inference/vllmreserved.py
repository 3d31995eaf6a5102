"""Flags of vLLM that `spec.engineArgs` may not set, each with the reason and what to write instead.

They are refused because Slipway renders them from another field, or because the gateway, the readiness heartbeat or the
metrics would stop working while the object looked fine: nothing is accepted that then silently breaks a promise.
"""

from collections.abc import Mapping

from .enginekind import Bounds, Reserved

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
_NEEDS_TEXT = "a replica is ready when it has completed a text prompt, which the engine could not do then; remove it"
_GENERATES = "only models that generate text are served, since readiness is a generated token; remove it"
_LOCAL_MODEL = "the model is the directory that spec.model names, which has no revisions; remove it"

_FLAGS: Mapping[str, str] = {
    "--model": "spec.model says what is served; remove it",
    "--served-model-name": "the name that clients use is the InferenceService's; remove it",
    "--tensor-parallel-size": "set spec.parallelism.tensor instead",
    "--shutdown-timeout": "set spec.drainSeconds instead",
    "--host": _ONE_ADDRESS,
    "--port": _ONE_ADDRESS,
    "--uds": _ONE_ADDRESS,
    "--grpc": _ONE_ADDRESS,
    "--grpc-port": _ONE_ADDRESS,
    "--root-path": _ONE_ADDRESS,
    "--headless": _ONE_POD,
    "--nnodes": _ONE_POD,
    "--node-rank": _ONE_POD,
    "--master-addr": _ONE_POD,
    "--master-port": _ONE_POD,
    "--pipeline-parallel-size": _ONE_POD,
    "--prefill-context-parallel-size": _ONE_POD,
    "--enable-elastic-ep": _ONE_POD,
    "--elastic-ep-max-dp-size": _ONE_POD,
    "--ssl-keyfile": _PLAIN_HTTP,
    "--ssl-certfile": _PLAIN_HTTP,
    "--ssl-ca-certs": _PLAIN_HTTP,
    "--ssl-cert-reqs": _PLAIN_HTTP,
    "--ssl-ciphers": _PLAIN_HTTP,
    "--enable-ssl-refresh": _PLAIN_HTTP,
    "--api-key": "the gateway and the heartbeat send the engine no key; keep keys at the gateway, and remove it",
    "--hf-token": "a secret does not belong in a spec; set HF_TOKEN from a Secret in spec.podTemplate",
    "--disable-log-stats": "readiness and scaling read the metrics that it turns off; remove it",
    "--config": "a file's flags cannot be checked here; write them as elements of spec.engineArgs",
    "--help": "the engine would print its help and end; remove it",
    "--tokens-only": _NEEDS_TEXT,
    "--skip-tokenizer-init": _NEEDS_TEXT,
    "--mm-encoder-only": _NEEDS_TEXT,
    "--revision": _LOCAL_MODEL,
    "--code-revision": _LOCAL_MODEL,
}

_PREFIXES: Mapping[str, str] = {"--data-parallel-": _ONE_POD}

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
    ("--runner", "pooling"): _GENERATES,
    ("--runner", "draft"): _GENERATES,
    ("--convert", "embed"): _GENERATES,
    ("--convert", "classify"): _GENERATES,
    ("--api-server-count", "0"): _ONE_ADDRESS,
    ("--distributed-executor-backend", "ray"): _ONE_POD,
    ("--distributed-executor-backend", "external_launcher"): _ONE_POD,
}

# What vLLM refuses, or quietly turns off, on a CPU (vllm/platforms/cpu.py, vllm/config/model.py of 0.32.0).
_ON_CPU: Mapping[str, str] = {
    "--enable-sleep-mode": "the engine has no sleep mode on a CPU; remove it, or set spec.accelerator to nvidia",
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
