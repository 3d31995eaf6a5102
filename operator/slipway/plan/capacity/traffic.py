"""What one process sends in a step, and how long a pipeline idles: what tells layouts apart that all fit.

A ring of n sends (n - 1) / n of what it gathers or scatters, and twice that to reduce for all. Narayanan et al. 2021
(arXiv:2104.04473) have the tensor and pipeline terms, Rajbhandari et al. 2020 section 7 those of ZeRO's stages.
"""

from .activations import FP32_BYTES, compute_bytes
from .layout import Layout, Load
from .model import parameters
from .training_memory import held_parameters

RING_PASSES = 3  # of keys and values in context parallelism: forward, and twice as much backward


def sent_bytes(layout: Layout, load: Load) -> int:
    """Of one process in one optimizer step, to its peers and, where states are offloaded, to its host."""
    if layout.strategy == "parallel":
        return round(_tensor(layout, load) + _pipeline(layout, load) + _context(layout, load) + _data(layout, load))
    return round(_sharded(layout, load) + _host(layout, load))


def bubble_percent(layout: Layout) -> int:
    """Of a step, how much a stage waits: (p - 1) / v against the micro-batches that it works on."""
    idle = (layout.pipeline - 1) / layout.interleaved
    return round(100 * idle / (layout.micro_batches + idle))


def _ring(processes: int) -> float:
    return (processes - 1) / processes


def _sharded(layout: Layout, load: Load) -> float:
    """Gradients reduced and, but for ddp, weights gathered: again for backward where they were let go."""
    whole = parameters(load.shape)
    if layout.strategy == "ddp":
        return whole * FP32_BYTES * 2 * _ring(layout.processes)
    copies = layout.processes // layout.sharing
    between = 2 * whole * FP32_BYTES / layout.sharing * _ring(copies)
    if layout.strategy == "fsdp":
        return _gathered(whole, layout, load, times=1 if layout.shard == "gradients" else 2) + between
    width = compute_bytes(load)
    gathers = 2 * layout.micro_batches if layout.stage == 3 else 1
    return whole * width * (gathers + 1) * _ring(layout.processes)


def _gathered(held: float, layout: Layout, load: Load, *, times: int) -> float:
    """fsdp's: every micro-batch gathers weights and reduces gradients; a pipeline waits for the last."""
    rounds = 1 if layout.pipeline > 1 else layout.micro_batches
    return held * (times * compute_bytes(load) + FP32_BYTES) * rounds * _ring(layout.sharing)


def _host(layout: Layout, load: Load) -> float:
    """The gradients' share down, the weights' share up."""
    if layout.offload == "none":
        return 0.0
    return parameters(load.shape) / layout.processes * 2 * compute_bytes(load)


def _tensor(layout: Layout, load: Load) -> float:
    """Four all-reduces a layer, or as much of gathers and scatters with sequence parallelism; six with recomputing."""
    times = 6 if layout.checkpointing == "full" else 4
    layers = load.shape.layers / layout.pipeline * layout.micro_batches
    return times * layers * _stream(layout, load) * 2 * _ring(layout.tensor)


def _pipeline(layout: Layout, load: Load) -> float:
    """A micro-batch's activations to the next stage, their gradients to the one before."""
    crossings = 2 * layout.interleaved * layout.micro_batches if layout.pipeline > 1 else 0
    return crossings * _stream(layout, load) / layout.tensor


def _context(layout: Layout, load: Load) -> float:
    block = load.micro_tokens(layout) * 2 * load.shape.kv_hidden * compute_bytes(load) / layout.tensor
    layers = load.shape.layers / layout.pipeline * layout.micro_batches
    return RING_PASSES * layers * block * (layout.context - 1)


def _data(layout: Layout, load: Load) -> float:
    held = held_parameters(layout, load, layers=load.shape.layers // layout.pipeline)
    return _gathered(held, layout, load, times=1 if layout.pipeline > 1 else 2)


def _stream(layout: Layout, load: Load) -> float:
    """The residual stream of a micro-batch."""
    return load.micro_tokens(layout) * load.shape.hidden * compute_bytes(load)
