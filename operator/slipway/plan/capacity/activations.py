"""What a forward pass keeps for the backward pass, in bytes per token of one layer.

The accounting is that of Korthikanti et al., "Reducing Activation Recomputation in Large Transformer Models" (2022,
arXiv:2205.05198), section 4: go through the layer and write down every tensor that some derivative needs. Theirs is a
GPT layer with dropout in 16 bits, `s b h (34 + 5 a s / h)` bytes; ours is Llama's as transformers builds it, without
dropout, with RMSNorm and SwiGLU. Their rules for sharing hold as they are: tensor parallelism with sequence
parallelism divides all of it (their equation 4), a kernel that fuses attention keeps no matrix of scores (their
`5 a s / h` goes), full recomputation keeps a layer's input alone.

How wide a norm's tensors are depends on who casts. Autocast (ddp) leaves the residual stream and the norm's product in
fp32, and casts the norm's output anew for each matrix that takes it; fsdp, deepspeed and parallel compute in bf16, of
which the norm makes one copy in fp32.
"""

from typing import Literal

from .layout import Layout, Load
from .model import Shape

FP32_BYTES, BF16_BYTES = 4, 2

Casting = Literal["fp32", "autocast", "bf16"]

# the residual stream as the norm keeps it, and the normalised product
NORM_BYTES: dict[Casting, int] = {"fp32": 4 + 4, "autocast": 4 + 4, "bf16": 4 + 2}
# the norm's output: query, key and value take it, gate and up, or the logits' matrix
TAKERS = (3, 2)
# a layer's input, which is all that full recomputation keeps
RESIDUAL_BYTES: dict[Casting, int] = {"fp32": 4, "autocast": 4, "bf16": 2}


def casting(layout: Layout, load: Load) -> Casting:
    if load.precision == "fp32":
        return "fp32"
    return "autocast" if layout.strategy == "ddp" else "bf16"


def compute_bytes(load: Load) -> int:
    """Of a number in a matrix product."""
    return FP32_BYTES if load.precision == "fp32" else BF16_BYTES


def layer_bytes(layout: Layout, load: Load) -> int:
    """All that one layer keeps of one token, before it is divided by the tensor degree."""
    shape, cast = load.shape, casting(layout, load)
    norms = sum(_norm_bytes(cast, takers) for takers in TAKERS) * shape.hidden
    return norms + _attention_bytes(load) + _feed_forward_bytes(shape, compute_bytes(load))


def _norm_bytes(cast: Casting, takers: int) -> int:
    """Of a norm and its output, per token and hidden unit."""
    output = {"fp32": FP32_BYTES, "autocast": takers * BF16_BYTES, "bf16": BF16_BYTES}[cast]
    return NORM_BYTES[cast] + output


def _attention_bytes(load: Load) -> int:
    """Query, key, value and output, which the output projection needs too. A fused kernel adds the log of the softmax's
    sum; without one, keys and values are repeated for every query head, and the scores are kept in fp32 and cast."""
    shape, width = load.shape, compute_bytes(load)
    if load.attention == "fused":
        return width * 2 * (shape.hidden + shape.kv_hidden) + FP32_BYTES * shape.heads
    cast = BF16_BYTES if load.precision == "bf16" else 0
    return width * 4 * shape.hidden + shape.heads * shape.context * (FP32_BYTES + cast)


def _feed_forward_bytes(shape: Shape, width: int) -> int:
    """Gate, up, the activated gate and the product with it, for every expert that a token takes."""
    return 4 * width * shape.feed_forward * shape.experts_per_token


def kept_bytes(layout: Layout, load: Load) -> int:
    """What all layers of a process keep at the peak, all micro-batches in flight together; the final norm included."""
    shape, tokens = load.shape, load.micro_tokens(layout)
    cast = casting(layout, load)
    per_layer = RESIDUAL_BYTES[cast] * shape.hidden if layout.checkpointing == "full" else layer_bytes(layout, load)
    layers = tokens * per_layer * layers_in_flight(layout, load)
    final = tokens * _norm_bytes(cast, 1) * shape.hidden
    return round((layers + final) / layout.tensor)


def layers_in_flight(layout: Layout, load: Load) -> float:
    """Layers times the micro-batches that the first stage holds. In 1F1B it begins as many as there are stages before
    the first backward pass comes back, so a deeper pipeline saves nothing; interleaving adds a share of
    (p - 1) / (p v) (Narayanan et al. 2021)."""
    stages = layout.pipeline
    stage_layers = load.shape.layers / stages
    if layout.micro_batches < stages or stages == 1:
        return stage_layers * (layout.micro_batches if stages > 1 else 1)
    more = (stages - 1) / (stages * layout.interleaved) if layout.interleaved > 1 else 0.0
    return stage_layers * stages * (1 + more)


def recomputed_bytes(layout: Layout, load: Load) -> int:
    """What recomputing one layer makes again in the backward pass; nothing where nothing is recomputed."""
    if layout.checkpointing == "none":
        return 0
    return load.micro_tokens(layout) * layer_bytes(layout, load) // layout.tensor
