"""What an engine leaves of a GPU for keys and values, from the GPU's size alone.

Decided here: what is taken before. vLLM uses `utilization` of the card: weights, then the peak of a dummy step of
`batched_tokens` (its profile run), then what lies outside of torch. SGLang uses `utilization` of it for weights and
cache together (--mem-fraction-static) and keeps activations in the rest.

The peak is either the widest layer, with the residual stream and its norm, or the sampler's logits in fp32 with their
probabilities; it is not both, since the layers are done by then. What lies outside of torch (CUDA's context, cuBLAS'
workspaces) is the median of what the published figures leave for it that docs/planner.md calls `fit`, and of no others;
NCCL's share is the training planner's assumption.
"""

from dataclasses import dataclass

from .decoder import Decoder, FeedForward
from .devices import GIB, Device
from .kvcache import Cache
from .sharding import Sharding, weight_bytes
from .training_memory import NCCL_OVERHEAD_BYTES

COMPUTE_BYTES = 2  # of a number in a matrix product
LOGITS_COPIES = 2
RUNTIME_BYTES = round(0.4 * GIB)
LARGE_BYTES, LARGEST_BYTES = 70 * GIB, 160 * GIB


@dataclass(frozen=True, slots=True)
class Budget:
    """`utilization` is vLLM's --gpu-memory-utilization or SGLang's --mem-fraction-static; `sequences` at once."""

    memory_bytes: int
    utilization: float
    cache: Cache
    sequences: int = 256


@dataclass(frozen=True, slots=True)
class Parts:
    """Of one GPU: what there is to use, and what of it goes where. `free` is the cache's, and may be below zero."""

    usable: int
    weights: int
    step: int
    runtime: int

    @property
    def free(self) -> int:
        return self.usable - self.weights - self.step - self.runtime


def default_budget(device: Device, cache: Cache, utilization: float) -> Budget:
    """vLLM's defaults for a server on this GPU (EngineArgs.get_batch_defaults of 0.32.0)."""
    large = device.memory_bytes >= LARGE_BYTES and not device.is_called("a100")
    return Budget(device.memory_bytes, utilization, cache, 1024 if large else 256)


def default_batched_tokens(device: Device) -> int:
    """Likewise."""
    if device.memory_bytes >= LARGEST_BYTES:
        return 16384
    return 8192 if device.memory_bytes >= LARGE_BYTES and not device.is_called("a100") else 2048


def parts(decoder: Decoder, sharding: Sharding, budget: Budget) -> list[Parts]:
    """Of one GPU of each stage."""
    usable = round(budget.memory_bytes * budget.utilization)
    static = budget.cache.engine == "sglang"
    step = 0 if static else _step_bytes(decoder, sharding, budget)
    runtime = RUNTIME_BYTES + (NCCL_OVERHEAD_BYTES if sharding.gpus > 1 else 0)
    return [Parts(usable, weights, step, runtime) for weights in weight_bytes(decoder, sharding)]


def _step_bytes(decoder: Decoder, sharding: Sharding, budget: Budget) -> int:
    widest = max(_layer_numbers(layer.feed_forward, decoder.hidden, sharding.tensor) for layer in decoder.layers)
    forward = budget.cache.batched_tokens * (2 * decoder.hidden + widest) * COMPUTE_BYTES
    sampler = min(budget.sequences, budget.cache.batched_tokens) * decoder.vocabulary * 4 * LOGITS_COPIES
    return round(max(forward, sampler))


def _layer_numbers(forward: FeedForward, hidden: int, tensor: int) -> float:
    """Of a token: gate, up and their product; of experts each that it takes, with their outputs (fused_moe.py)."""
    if forward.experts == 1:
        return forward.matrices * forward.width / tensor
    each = max(2 * forward.width / tensor, hidden) + forward.width / tensor
    return forward.experts_per_token * each + 3 * forward.shared_width / tensor
