"""How long a step takes at least: what is computed at the GPU's peak, what is read at its memory's, what is sent.

Decided here: what counts. A prompt is bound by operations, a token by the weights and the cache that are read for it
(Pope et al. 2022, arXiv:2211.05102, section 2). Of experts only those are read that some token of the batch takes. A
layer's two all-reduces move a ring's worth each; how long a message takes to begin is not counted. A bound is never
reached: `expected` divides it by what published figures reach of it.
"""

from dataclasses import dataclass

from .decoder import Attention, Decoder, Layer
from .devices import Device
from .sharding import Sharding, layer_bytes, stages

ACTIVATION_BYTES = 2
REDUCES = 2  # a layer: after attention and after the feed-forward block (Shoeybi et al. 2019, arXiv:1909.08053)

# The medians of what the published figures reach that docs/planner.md calls `fit`.
PREFILL_SHARE = 0.5
DECODE_SHARE = 0.53


@dataclass(frozen=True, slots=True)
class Work:
    """One step: `tokens` are computed, of `sequences` that are `length` long by then. `new` of each are computed at
    once, so a prompt attends to itself as it grows."""

    sequences: float
    length: float
    new: float = 1

    @property
    def tokens(self) -> float:
        return self.sequences * self.new


def step_seconds(decoder: Decoder, sharding: Sharding, device: Device, work: Work, *, cache_bits: int = 16) -> float:
    """From the first stage to the last."""
    each = [_stage_seconds(decoder, layers, sharding, device, work, cache_bits) for layers in stages(decoder, sharding)]
    return (
        sum(each) + _head_seconds(decoder, sharding, device, work) + _handover_seconds(decoder, sharding, device, work)
    )


def peak_flops(decoder: Decoder, device: Device) -> float:
    """Weights of 8 bits are multiplied as such where the GPU can; smaller ones are made 16 bits wide first."""
    half = device.bf16_flops or device.fp16_flops
    eight = {decoder.bits.attention, decoder.bits.dense} == {8}
    return device.fp8_flops if eight and device.fp8_flops else half


def _stage_seconds(
    decoder: Decoder, layers: tuple[Layer, ...], sharding: Sharding, device: Device, work: Work, cache_bits: int
) -> float:
    tensor, flops = sharding.tensor, peak_flops(decoder, device)
    total = 0.0
    kinds = {layer: layers.count(layer) for layer in dict.fromkeys(layers)}
    for layer, count in kinds.items():
        compute = _layer_flops(decoder, layer, work) / tensor / flops
        read = _layer_read(decoder, layer, tensor, work, cache_bits) / device.memory_bytes_per_second
        total += count * (max(compute, read) + _reduce_seconds(decoder, tensor, device, work))
    return total


def _layer_flops(decoder: Decoder, layer: Layer, work: Work) -> float:
    """Two of each weight for each token, and of each pair of tokens that attend, in every head."""
    hidden, forward, attention = decoder.hidden, layer.feed_forward, layer.attention
    taken = forward.expert_parameters(hidden) * forward.experts_per_token / forward.experts
    matrices = attention.parameters(hidden, 1) + forward.dense_parameters(hidden) + taken
    scores = attention.heads * (attention.key_width + attention.value_width)
    return 2 * (matrices * work.tokens + scores * work.sequences * _pairs(attention, work))


def _pairs(attention: Attention, work: Work) -> float:
    """How many tokens the new ones of a sequence see, together."""
    seen = min(work.length, attention.window or work.length)
    growing = min(work.new, seen)  # the first of a prompt see few
    return work.new * seen - growing * growing / 2


def _layer_read(decoder: Decoder, layer: Layer, tensor: int, work: Work, cache_bits: int) -> float:
    forward = layer.feed_forward
    share = 1 - (1 - forward.experts_per_token / forward.experts) ** work.tokens if forward.experts > 1 else 1
    seen = min(work.length, layer.attention.window or work.length)
    cached = work.sequences * seen * layer.attention.cached_numbers(tensor) * cache_bits / 8
    return layer_bytes(decoder, layer, tensor, experts_share=share) + cached


def _reduce_seconds(decoder: Decoder, tensor: int, device: Device, work: Work) -> float:
    """Twice (n - 1) / n of the activations, as rings send them (traffic.py)."""
    sent = 2 * (tensor - 1) / tensor * work.tokens * decoder.hidden * ACTIVATION_BYTES
    return REDUCES * sent / device.link_bytes_per_second


def _head_seconds(decoder: Decoder, sharding: Sharding, device: Device, work: Work) -> float:
    """Logits of the last token of each sequence."""
    numbers = decoder.vocabulary * decoder.hidden / sharding.tensor
    read = numbers * decoder.bits.other / 8 / device.memory_bytes_per_second
    return max(read, 2 * numbers * work.sequences / (device.bf16_flops or device.fp16_flops))


def _handover_seconds(decoder: Decoder, sharding: Sharding, device: Device, work: Work) -> float:
    sent = (sharding.pipeline - 1) * work.tokens * decoder.hidden * ACTIVATION_BYTES
    return sent / device.link_bytes_per_second
