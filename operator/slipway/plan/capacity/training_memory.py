"""Bytes that one process of a training job needs at the peak of a step, part by part.

Decided here: what AdamW keeps of a parameter, who keeps it, and which moment is the peak.

- A parameter in fp32: weight 4, gradient 4, AdamW's two moments 8. In bf16 the fp32 weight is the optimizer's master
  copy (4 more there), the weight that computes has 2 and the gradient 4; deepspeed's engine keeps gradients in bf16
  (2), which makes it the 2 + 2 + 12 of Rajbhandari et al., "ZeRO" (2020, arXiv:1910.02054), whose stages are the
  division.
- fsdp and ZeRO-3 gather whole weights for a while: two layers (the one that runs and the next), and the group of the
  embedding, which stays; ZeRO-3 keeps up to MAX_LIVE_PARAMETERS. `parallel` is fsdp over what tensor and pipeline
  leave; a pipeline keeps its stage's weights whole, and adds its micro-batches' gradients up whole before it shares
  them out.
- The peak is where backward begins: everything that forward kept is there, and the logits three times in fp32 (the
  saved log-probabilities, their gradient, the logits' gradient), whole on every tensor parallel process. Where a
  layer's own work takes more than the logits, it is later, and `temporary` is what it takes more. By then the
  gradient of the tied embedding from the output side waits for the one from the input side.
- Of a pipeline the fuller one of its first and last stage counts: the first has most micro-batches, the last the
  logits.

Overheads of GPUs are assumptions (CUDA's context, cuBLAS' workspaces, NCCL's channels), on CPUs what was measured
(docs/planner-training.md): a process that has imported torch and transformers and read its data.
"""

from dataclasses import dataclass, fields, replace

from ...api.common import Accelerator
from .activations import BF16_BYTES, FP32_BYTES, casting, compute_bytes, kept_bytes, recomputed_bytes
from .layout import Layout, Load
from .model import (
    attention_parameters,
    embedding_parameters,
    expert_parameters,
    layer_parameters,
    parameters,
    router_parameters,
)

MIB = 1 << 20
LOGITS_COPIES = 3
MOMENT_BYTES = 8
GATHERED_LAYERS = 2
# DeepSpeed's own defaults: stage3_max_live_parameters, reduce_bucket_size (doubled by overlap_comm), in elements.
MAX_LIVE_PARAMETERS = 1_000_000_000
BUCKET_PARAMETERS = 2 * 500_000_000

CPU_OVERHEAD_BYTES = 420 * MIB
GPU_OVERHEAD_BYTES = 1024 * MIB
NCCL_OVERHEAD_BYTES = 512 * MIB
CHECKPOINT_BYTES = 12  # of a parameter, while rank 0 saves: a copy of the weight and of both moments


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of one process on its device. `host` is what offload moves to the node's memory or disk, per process."""

    weights: int
    gradients: int
    optimizer: int
    activations: int
    logits: int
    temporary: int
    buckets: int
    overhead: int
    host: int = 0

    @property
    def states(self) -> int:
        """What no smaller batch makes smaller."""
        return self.weights + self.gradients + self.optimizer + self.buckets + self.overhead

    @property
    def total(self) -> int:
        return self.states + self.activations + self.logits + self.temporary

    def parts(self) -> tuple[tuple[str, int], ...]:
        """Name and bytes of what makes the total."""
        return tuple((each.name, getattr(self, each.name)) for each in fields(self) if each.name != "host")


def memory(layout: Layout, load: Load, accelerator: Accelerator) -> Memory:
    """Of the process that needs most."""
    if layout.pipeline == 1:
        return _of_stage(layout, load, accelerator, layers=load.shape.layers, logits=True)
    layers = load.shape.layers // layout.pipeline
    first = _of_stage(layout, load, accelerator, layers=layers, logits=False)
    lonely = replace(layout, micro_batches=1)  # the last stage sends a micro-batch back before it takes the next
    kept = kept_bytes(lonely, replace(load, batch=max(1, load.batch // layout.micro_batches)))
    last = replace(_of_stage(layout, load, accelerator, layers=layers, logits=True), activations=kept)
    return max(first, last, key=lambda each: each.total)


def _of_stage(layout: Layout, load: Load, accelerator: Accelerator, *, layers: int, logits: bool) -> Memory:
    logits_bytes = _logits_bytes(layout, load) if logits else 0
    weights, gradients, optimizer, host = _states(layout, load, held_parameters(layout, load, layers=layers))
    return Memory(
        weights=weights,
        gradients=gradients,
        optimizer=optimizer,
        activations=kept_bytes(layout, load),
        logits=logits_bytes,
        temporary=max(0, _backward_bytes(layout, load) - logits_bytes),
        buckets=_bucket_bytes(layout, load),
        overhead=_overhead_bytes(layout, accelerator),
        host=host,
    )


def held_parameters(layout: Layout, load: Load, *, layers: int) -> int:
    """Of the model, the part that a process works on: its stage, its share of every matrix. Norms are whole."""
    shape = load.shape
    norms = 2 * shape.hidden
    matrices = (attention_parameters(shape) - norms) / layout.tensor
    experts = expert_parameters(shape) / layout.tensor / layout.expert + router_parameters(shape)
    return round(layers * (matrices + norms + experts) + embedding_parameters(shape) / layout.tensor + shape.hidden)


def _states(layout: Layout, load: Load, held: int) -> tuple[int, int, int, int]:
    """Weights, gradients, optimizer on the device, and what is on the host instead."""
    width = compute_bytes(load)
    owned = [round(held * each / part) for each, part in zip(_bytes_each(layout, load), _shares(layout), strict=True)]
    away = [_offloaded(layout, which) for which in range(3)]
    here = [0 if gone else each for each, gone in zip(owned, away, strict=True)]
    host = sum(each for each, gone in zip(owned, away, strict=True) if gone)
    waiting = held * FP32_BYTES if layout.pipeline > 1 else 0
    return here[0] + _gathered_parameters(layout, load, held) * width, here[1] + waiting, here[2], host


def _bytes_each(layout: Layout, load: Load) -> tuple[int, int, int]:
    """Of a parameter: weight, gradient, optimizer, before they are shared out."""
    if load.precision == "fp32":
        return FP32_BYTES, FP32_BYTES, MOMENT_BYTES
    gradient = BF16_BYTES if layout.strategy == "deepspeed" else FP32_BYTES
    own_weight = 0 if layout.gathers else BF16_BYTES  # else the weights that compute are the gathered ones
    return own_weight, gradient, FP32_BYTES + MOMENT_BYTES


def _shares(layout: Layout) -> tuple[int, int, int]:
    """Into how many parts weights, gradients and optimizer are cut by data parallelism."""
    count = layout.sharing
    if layout.strategy != "deepspeed":
        return count, count, count
    return count if layout.stage == 3 else 1, count if layout.stage >= 2 else 1, count


def _offloaded(layout: Layout, which: int) -> bool:
    """Whether weights (0), gradients (1), optimizer (2) are elsewhere: all that is sharded, and the optimizer."""
    if layout.offload == "none":
        return False
    return layout.strategy == "fsdp" or which == 2 or layout.stage >= 3 - which


def _gathered_parameters(layout: Layout, load: Load, held: int) -> int:
    """Whole weights that a process has only for a while."""
    layers = GATHERED_LAYERS * layer_parameters(load.shape)
    if layout.gathers:
        keeps = layout.pipeline > 1 or (layout.strategy == "fsdp" and layout.shard == "gradients")
        return held if keeps else min(held, (layers + embedding_parameters(load.shape)) // layout.tensor)
    if layout.strategy == "deepspeed" and layout.stage == 3:
        return min(held, max(MAX_LIVE_PARAMETERS, layers))
    return 0


def _bucket_bytes(layout: Layout, load: Load) -> int:
    """What gradients are put together in to be sent. ddp's are the gradients themselves (gradient_as_bucket_view)."""
    if layout.gathers:  # of the layer that runs, as it was computed and as it is reduced
        return layer_parameters(load.shape) * (compute_bytes(load) + FP32_BYTES) // layout.tensor
    if layout.strategy == "deepspeed":
        return min(parameters(load.shape), BUCKET_PARAMETERS) * compute_bytes(load)
    return 0


def _logits_bytes(layout: Layout, load: Load) -> int:
    return load.micro_tokens(layout) * load.shape.vocabulary * FP32_BYTES * LOGITS_COPIES


def _backward_bytes(layout: Layout, load: Load) -> int:
    """What the backward pass of a layer has beside what forward kept: the embedding's waiting gradient, gradients of
    the feed-forward's tensors and of its largest matrix, and the layer itself where it is recomputed."""
    shape, width = load.shape, compute_bytes(load)
    gradient = FP32_BYTES if casting(layout, load) != "bf16" else width
    flows = load.micro_tokens(layout) * width * (3 * shape.feed_forward * shape.experts_per_token + 2 * shape.hidden)
    matrices = gradient * (embedding_parameters(shape) + shape.hidden * shape.feed_forward)
    return round((flows + matrices) / layout.tensor) + recomputed_bytes(layout, load)


def _overhead_bytes(layout: Layout, accelerator: Accelerator) -> int:
    if accelerator == "cpu":
        return CPU_OVERHEAD_BYTES
    return GPU_OVERHEAD_BYTES + (NCCL_OVERHEAD_BYTES if layout.processes > 1 else 0)
