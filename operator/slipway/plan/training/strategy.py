"""What `strategy: auto` stands for: ddp where a process can hold the whole model, else fsdp.

Decided here: a copy of the model costs 16 bytes per parameter (weight, gradient and two moments of AdamW, float32);
what a process has is its share of the memory limit that podTemplate gives the main container. Where nothing is said,
and for a GPU's memory and a base model, of which nothing here knows, the model is taken to fit.
"""

from collections.abc import Mapping
from typing import Any, Literal

from ...api.trainingjob import ModelSpec, TrainingJobSpec
from ..pod.policytypes import entries, mapping

BYTES_PER_PARAMETER = 16
_UNITS = {"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18} | {
    f"{letter}i": 1024.0**power for power, letter in enumerate("KMGTPE", start=1)
}


def automatic(spec: TrainingJobSpec) -> Literal["ddp", "fsdp"]:
    """`spec` has a recipe."""
    if spec.base_model is not None:
        return "ddp"
    memory = process_memory_bytes(spec)
    needed = BYTES_PER_PARAMETER * parameters(spec.model or ModelSpec())
    return "ddp" if memory is None or needed <= memory or spec.nodes * spec.per_node == 1 else "fsdp"


def parameters(model: ModelSpec) -> int:
    """Of the Llama- or Mixtral-architecture model of this shape, its input and output embeddings being one matrix."""
    hidden, wide = model.hidden_size, -(-model.hidden_size * 8 // 96) * 32
    attention = 2 * hidden * hidden + 2 * hidden * (hidden // model.heads * model.kv_heads)
    router = hidden * model.experts if model.experts > 1 else 0
    layer = attention + model.experts * 3 * hidden * wide + router + 2 * hidden
    return model.vocab_size * hidden + model.layers * layer + hidden


def process_memory_bytes(spec: TrainingJobSpec) -> float | None:
    """Main memory of one process, where it is what the model lies in and where it is limited."""
    if spec.accelerator != "cpu" or spec.pod_template is None:
        return None
    containers = [each for _, each in entries(mapping(spec.pod_template.spec).get("containers"))]
    limits = [_memory_limit(container) for container in containers if container.get("name") == "main"]
    memory = _bytes(limits[0]) if limits and limits[0] is not None else None
    return None if memory is None else memory / spec.per_node


def _memory_limit(container: Mapping[str, Any]) -> str | None:
    limit = mapping(mapping(container.get("resources")).get("limits")).get("memory")
    return None if limit is None else str(limit)


def _bytes(quantity: str) -> float | None:
    """None for what is no quantity, which others complain about."""
    digits = quantity.rstrip("kmKMGTPEi")
    try:
        return float(digits) * _UNITS[quantity.removeprefix(digits)]
    except (ValueError, KeyError):
        return None
