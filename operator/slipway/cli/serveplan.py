"""`slipway plan serve`: what a model takes to be served, on which GPUs it had best be, and why not on others.

What is decided is in plan/capacity (candidates, servingchoice); here flags and file come together, flags first, and the
answer is made ready for JSON. Times and rates are estimates, and the bounds that they come from stand beside them.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..api.inferenceservice import EngineName
from ..plan.capacity.candidates import Candidate, Fleet, Settings, candidates
from ..plan.capacity.decoder import active_parameters, parameters
from ..plan.capacity.devices import Device
from ..plan.capacity.roofline import idle_percent
from ..plan.capacity.serving import Demand
from ..plan.capacity.servingchoice import Ranked, rank
from ..plan.observed import Obj
from .documents import InvalidFile
from .servedmodel import LENGTH, Served, served

DEFAULT_ENGINE: EngineName = "vllm"
UTILIZATION = {"vllm": 0.92, "sglang": 0.88}  # the engines' own defaults (SGLang's for a GPU of 80 GB)
CACHE_BITS = {"auto": 16, "bfloat16": 16, "float16": 16, "fp8": 8, "fp8_e4m3": 8, "fp8_e5m2": 8}


def plans(text: str, file: Path | None, asked: argparse.Namespace, beside: Sequence[Obj] = ()) -> list[dict[str, Any]]:
    """Of each model of the file, ready for JSON; sizes are bytes, times seconds. `beside`: the objects of other files.
    Raises InvalidFile."""
    return [_plan(each, asked) for each in served(text, file, asked.config, beside)]


def _plan(model: Served, asked: argparse.Namespace) -> dict[str, Any]:
    demand = Demand(
        asked.prompt_tokens, asked.output_tokens, asked.rate, _seconds(asked.ttft_ms), _seconds(asked.itl_ms)
    )
    _check_length(model, demand)
    fleet = Fleet(_devices(model, asked), asked.gpus, asked.gpus_per_node)
    settings = _settings(model, asked)
    ranked = rank(candidates(model.decoder, fleet, settings, demand))
    return {
        "model": model.name,
        "parameters": parameters(model.decoder),
        "activeParameters": active_parameters(model.decoder),
        "weightsFrom": "files" if model.decoder.counted_bytes else "config",
        "engine": settings.engine,
        "utilization": settings.utilization,
        "demand": _demand_json(demand),
        "gpus": fleet.gpus,
        "asked": _asked_json(model, ranked),
        "notes": [*model.decoder.notes, *model.notes, *_too_long(model)],
        "chosen": _name(ranked.candidates[0]) if ranked.chosen else None,
        "fallbacks": [_name(each) for each in ranked.fallbacks],
        "alternatives": [
            _candidate_json(each, why, chosen=ranked.chosen and each is ranked.candidates[0])
            for each, why in zip(ranked.candidates, ranked.reasons, strict=True)
        ],
    }


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _check_length(model: Served, demand: Demand) -> None:
    """The lesser of what the model and the engine take: what is not above zero leaves it to the model."""
    longest, whose = model.decoder.context, "the model's context"
    if model.context_tokens is not None and 0 < model.context_tokens < longest:
        longest, whose = model.context_tokens, f"spec.engineArgs' {LENGTH[model.engine or DEFAULT_ENGINE]}"
    if demand.tokens > longest:
        asked = f"{demand.prompt_tokens} and {demand.output_tokens} are more than {whose}, {longest}"
        raise InvalidFile(f"--prompt-tokens and --output-tokens: {asked}: lower one")


def _too_long(model: Served) -> list[str]:
    longest = model.decoder.context
    if model.context_tokens is None or model.context_tokens <= longest:
        return []
    flag = LENGTH[model.engine or DEFAULT_ENGINE]
    said = f"{flag}, {model.context_tokens}, is more than the model's context, {longest}"
    return [f"spec.engineArgs: {said}, which is planned with: an engine may refuse to start so"]


def _devices(model: Served, asked: argparse.Namespace) -> list[Device]:
    known = model.known
    names = {name.lower(): name for name in asked.accelerator or ()}
    for name, written in names.items():
        if name not in known.classes:
            raise InvalidFile(f"--accelerator {written}: not a GPU that is known; it is one of {known.names}")
    devices = [known.classes[name] for name in names] or ([model.device] if model.device else [])
    if not devices:
        raise InvalidFile(f"--accelerator: name a GPU, or several, one flag each; they are {known.names}")
    if asked.price is not None and len(devices) > 1:
        raise InvalidFile("--price: is of one kind of GPU: name one --accelerator alone")
    priced = {"dollars_per_hour": asked.price, "price_source": "--price"} if asked.price is not None else {}
    return [replace(device, **priced) for device in devices]


def _settings(model: Served, asked: argparse.Namespace) -> Settings:
    dtype = asked.kv_cache_dtype or model.cache_dtype or "auto"
    if dtype not in CACHE_BITS:
        raise InvalidFile(f"--kv-cache-dtype {dtype}: is not planned for; it is one of {', '.join(CACHE_BITS)}")
    engine: EngineName = asked.engine or model.engine or DEFAULT_ENGINE
    given = model.utilization if asked.utilization is None else asked.utilization
    utilization = UTILIZATION[engine] if given is None else given
    return Settings(engine, utilization, CACHE_BITS[dtype], asked.batched_tokens or model.batched_tokens)


def _demand_json(demand: Demand) -> dict[str, Any]:
    return {
        "promptTokens": demand.prompt_tokens,
        "outputTokens": demand.output_tokens,
        "requestsPerSecond": demand.rate,
        "ttftSeconds": demand.ttft_seconds,
        "itlSeconds": demand.itl_seconds,
    }


def _asked_json(model: Served, ranked: Ranked) -> dict[str, Any] | None:
    """How the InferenceService's own parallelism fares."""
    for each, why in zip(ranked.candidates, ranked.reasons, strict=True):
        cut = each.sharding
        if model.tensor is not None and (cut.tensor, cut.pipeline, each.precision) == (model.tensor, 1, "as is"):
            return {"name": _name(each), "runs": each.problem is None, "reason": why}
    return None


def _name(each: Candidate) -> str:
    precision = "" if each.precision == "as is" else f" {each.precision}"
    return f"{each.device.name} {each.sharding.name}{precision}"


def _candidate_json(each: Candidate, why: str, *, chosen: bool) -> dict[str, Any]:
    parts, speed = each.parts, each.speed
    return {
        "name": _name(each),
        "accelerator": each.device.name,
        "tensor": each.sharding.tensor,
        "pipeline": each.sharding.pipeline,
        "precision": each.precision,
        "gpusPerReplica": each.sharding.gpus,
        "replicas": each.replicas,
        "bytesPerGpu": parts
        and {
            "usable": parts.usable,
            "weights": parts.weights,
            "step": parts.step,
            "runtime": parts.runtime,
            "kv": parts.free,
        },
        "kvBytesPerToken": each.token_bytes,
        "kvTokens": each.kv_tokens,
        "sentBytesPerToken": each.sent_bytes,
        "idlePercentAlone": idle_percent(each.sharding, 1),
        "requestsAtOnce": speed.requests if speed else 0,
        "ttftSeconds": speed and speed.ttft_seconds,
        "ttftSecondsAtPeak": speed and speed.ttft_bound,
        "itlSeconds": speed and speed.itl_seconds,
        "itlSecondsAtPeak": speed and speed.itl_bound,
        "requestsPerSecond": speed and speed.requests_per_second * each.replicas,
        "outputTokensPerSecond": each.output_tokens_per_second,
        "dollarsPerMillionTokens": each.dollars_per_million,
        "priceSource": each.device.price_source,
        "fits": speed is not None,
        "chosen": chosen,
        "reason": why,
    }


def as_json(found: Sequence[dict[str, Any]]) -> str:
    return json.dumps(found, indent=2) + "\n"
