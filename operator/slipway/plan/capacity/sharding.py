"""How the GPUs of one replica share a served model, and how many bytes of weights each holds.

Decided here: the stages of a pipeline are vLLM's own (get_pp_indices: layers in equal parts, the rest one each to the
stages before the last), the first has the input's embedding, the last the output's, and the fullest GPU counts. What
the checkpoint's index says of its size is believed over the count, which then only says how it is shared out.
"""

import math
from dataclasses import dataclass

from .decoder import Decoder, FeedForward, Layer


@dataclass(frozen=True, slots=True)
class Sharding:
    """Degrees of tensor and pipeline parallelism of one replica."""

    tensor: int = 1
    pipeline: int = 1

    @property
    def gpus(self) -> int:
        return self.tensor * self.pipeline

    @property
    def name(self) -> str:
        return f"TP{self.tensor}" + (f" x PP{self.pipeline}" if self.pipeline > 1 else "")


def stages(decoder: Decoder, sharding: Sharding) -> list[tuple[Layer, ...]]:
    """The layers of each stage, in order."""
    each, left = divmod(len(decoder.layers), sharding.pipeline)
    sizes = [each] * sharding.pipeline
    for at in range(2, left + 2):
        sizes[-at] += 1
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    return [decoder.layers[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def weight_bytes(decoder: Decoder, sharding: Sharding) -> list[int]:
    """Of one GPU of each stage."""
    counted = [_stage_bytes(decoder, sharding, at, layers) for at, layers in enumerate(stages(decoder, sharding))]
    scale = decoder.counted_bytes / _stage_bytes(decoder, Sharding(), 0, decoder.layers) if decoder.counted_bytes else 1
    return [round(each * scale) for each in counted]


def impossible(decoder: Decoder, sharding: Sharding) -> str | None:
    """Why the engines would not share it so, by field of config.json; None where they would."""
    heads = {layer.attention.heads for layer in decoder.layers}
    for count in sorted(heads):
        if count % sharding.tensor:
            return f"num_attention_heads, {count}, is not a multiple of tensor, {sharding.tensor}"
    if kv_heads := _uneven_kv_heads(decoder, sharding.tensor):
        return f"num_key_value_heads, {kv_heads}, and tensor, {sharding.tensor}: neither divides the other"
    if len(decoder.layers) < sharding.pipeline:
        return f"num_hidden_layers, {len(decoder.layers)}, is less than pipeline, {sharding.pipeline}"
    return None


def _uneven_kv_heads(decoder: Decoder, tensor: int) -> int | None:
    counts = {layer.attention.kv_heads for layer in decoder.layers}
    return next((count for count in sorted(counts) if count % tensor and tensor % count), None)


def _stage_bytes(decoder: Decoder, sharding: Sharding, at: int, layers: tuple[Layer, ...]) -> float:
    bytes_ = sum(layer_bytes(decoder, layer, sharding.tensor) for layer in layers)
    first, last = at == 0, at == sharding.pipeline - 1
    matrices = int(first) + int(last and not (decoder.tied and first))
    embeddings = decoder.embedding_parameters / sharding.tensor * matrices
    positions = decoder.positions * decoder.hidden if first else 0
    return bytes_ + (embeddings + positions) * decoder.bits.other / 8


def layer_bytes(decoder: Decoder, layer: Layer, tensor: int, *, experts_share: float = 1) -> float:
    """Of one GPU; of the experts only a share, where a step reads no more of them."""
    hidden, bits, forward = decoder.hidden, decoder.bits, layer.feed_forward
    whole = 2 * hidden + forward.router_parameters(hidden)
    experts = _expert_numbers(decoder, forward, tensor) * experts_share
    return (
        layer.attention.parameters(hidden, tensor) * bits.attention
        + forward.dense_parameters(hidden) / tensor * bits.dense
        + experts * bits.experts
        + whole * bits.other
    ) / 8


def _expert_numbers(decoder: Decoder, forward: FeedForward, tensor: int) -> float:
    """Of one GPU, as large as the engine keeps them."""
    if forward.experts == 1:
        return 0
    hidden, width = decoder.bits.expert_multiples
    sides = _up(decoder.hidden, hidden) * (forward.width / tensor if width == 1 else _up(forward.width / tensor, width))
    return forward.experts * forward.matrices * sides


def _up(number: float, multiple: int) -> int:
    return math.ceil(number / multiple) * multiple
