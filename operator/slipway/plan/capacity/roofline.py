"""How long a step takes at least: what is computed at the GPU's peak, what is read at its memory's, what is sent.

Decided here: what counts. A prompt is bound by operations, a token by the weights and the cache that are read for it
(Pope et al. 2022, arXiv:2211.05102, section 2). Of experts only those are read that some token of the batch takes. A
layer's two all-reduces move a ring's worth each; how long a message takes to begin is not counted. A bound is never
reached: `expected` divides it by what published figures reach of it.
"""

from collections import Counter
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


@dataclass(frozen=True, slots=True)
class Replica:
    """One replica's model, the GPUs that share it, and the bits of a number in its cache."""

    decoder: Decoder
    sharding: Sharding
    device: Device
    cache_bits: int = 16


def step_seconds(replica: Replica, work: Work) -> float:
    """From the first stage to the last."""
    each = [_stage_seconds(layers, replica, work) for layers in stages(replica.decoder, replica.sharding)]
    return sum(each) + _head_seconds(replica, work) + _handover_seconds(replica, work)


def sent_bytes(replica: Replica, work: Work) -> float:
    """Of one GPU of the longest stage, in one step: to its peers of the layer, and to the next stage."""
    layers = max(len(each) for each in stages(replica.decoder, replica.sharding))
    handed = _activation_bytes(replica, work) if replica.sharding.pipeline > 1 else 0
    return layers * _reduced_bytes(replica, work) + handed


def idle_percent(sharding: Sharding, requests: int) -> int:
    """Of a pipeline's time, how much a stage waits while fewer requests are there than stages."""
    return round(100 * (1 - min(requests, sharding.pipeline) / sharding.pipeline))


def peak_flops(decoder: Decoder, device: Device) -> float:
    """Weights of 8 bits are multiplied as such where the GPU can; smaller ones are made 16 bits wide first."""
    eight = {decoder.bits.attention, decoder.bits.dense} == {8}
    return device.fp8_flops if eight and device.fp8_flops else _half_flops(device)


def _half_flops(device: Device) -> float:
    return device.bf16_flops or device.fp16_flops


def _stage_seconds(layers: tuple[Layer, ...], replica: Replica, work: Work) -> float:
    return sum(count * _layer_seconds(layer, replica, work) for layer, count in Counter(layers).items())


def _layer_seconds(layer: Layer, replica: Replica, work: Work) -> float:
    flops = _layer_flops(layer, replica.decoder.hidden, work) / replica.sharding.tensor
    compute = flops / peak_flops(replica.decoder, replica.device)
    read = _layer_read(layer, replica, work) / replica.device.memory_bytes_per_second
    return max(compute, read) + _reduce_seconds(replica, work)


def _layer_flops(layer: Layer, hidden: int, work: Work) -> float:
    """Two of each weight for each token, and of each pair of tokens that attend, in every head."""
    forward, attention = layer.feed_forward, layer.attention
    taken = forward.expert_parameters(hidden) * forward.experts_per_token / forward.experts
    matrices = attention.parameters(hidden, 1) + forward.dense_parameters(hidden) + taken
    scores = attention.heads * (attention.key_width + attention.value_width)
    return 2 * (matrices * work.tokens + scores * work.sequences * _pairs(attention, work))


def _pairs(attention: Attention, work: Work) -> float:
    """How many tokens the new ones of a sequence see, together."""
    seen = min(work.length, attention.window or work.length)
    growing = min(work.new, seen)  # the first of a prompt see few
    return work.new * seen - growing * growing / 2


def _layer_read(layer: Layer, replica: Replica, work: Work) -> float:
    forward, tensor = layer.feed_forward, replica.sharding.tensor
    share = 1 - (1 - forward.experts_per_token / forward.experts) ** work.tokens if forward.experts > 1 else 1
    seen = min(work.length, layer.attention.window or work.length)
    cached = work.sequences * seen * layer.attention.cached_numbers(tensor) * replica.cache_bits / 8
    return layer_bytes(replica.decoder, layer, tensor, experts_share=share) + cached


def _reduce_seconds(replica: Replica, work: Work) -> float:
    return _reduced_bytes(replica, work) / replica.device.link_bytes_per_second


def _reduced_bytes(replica: Replica, work: Work) -> float:
    """Of one GPU in one layer: twice (n - 1) / n of the activations, as rings send them (traffic.py)."""
    tensor = replica.sharding.tensor
    return REDUCES * 2 * (tensor - 1) / tensor * _activation_bytes(replica, work)


def _activation_bytes(replica: Replica, work: Work) -> float:
    return work.tokens * replica.decoder.hidden * ACTIVATION_BYTES


def _head_seconds(replica: Replica, work: Work) -> float:
    """Logits of the last token of each sequence."""
    decoder, device = replica.decoder, replica.device
    numbers = decoder.vocabulary * decoder.hidden / replica.sharding.tensor
    read = numbers * decoder.bits.other / 8 / device.memory_bytes_per_second
    return max(read, 2 * numbers * work.sequences / _half_flops(device))


def _handover_seconds(replica: Replica, work: Work) -> float:
    sent = (replica.sharding.pipeline - 1) * _activation_bytes(replica, work)
    return sent / replica.device.link_bytes_per_second
