"""How the processes of a job share the work: a strategy with its degrees, and the load that each process gets.

Decided here: what a layout is called, in the API's own words, and why one cannot be (`impossible`): no process may have
another share than its peers. Data parallelism is what tensor, pipeline and context leave over.
"""

from dataclasses import dataclass
from typing import Literal

from ...api.precision import FP8_STRATEGIES, Precision
from ...api.trainingjob import ModelSpec, TrainingJobSpec
from .model import Shape, shape_of

Strategy = Literal["ddp", "fsdp", "deepspeed", "parallel"]
Shard = Literal["full", "gradients", "hybrid"]
Offload = Literal["none", "cpu", "nvme"]
Checkpointing = Literal["none", "full"]
Attention = Literal["fused", "eager"]


@dataclass(frozen=True, slots=True)
class Layout:
    """`processes` in all, `per_node` of them on a node. `shard` is fsdp's, `stage` deepspeed's, degrees parallel's."""

    strategy: Strategy
    processes: int
    per_node: int
    shard: Shard = "full"
    stage: int = 3  # 1 to 3
    offload: Offload = "none"
    tensor: int = 1
    pipeline: int = 1
    context: int = 1
    expert: int = 1
    interleaved: int = 1  # parts of the model that each pipeline stage has; 1 is 1F1B
    checkpointing: Checkpointing = "none"
    micro_batches: int = 1  # steps of accumulation, and what a pipeline is filled with

    @property
    def data(self) -> int:
        """How many shares a batch is cut into."""
        return self.processes // (self.tensor * self.pipeline * self.context)

    @property
    def nodes(self) -> int:
        return max(1, self.processes // self.per_node)

    @property
    def gathers(self) -> bool:
        """Whether weights lie in pieces and are put together layer by layer, as FSDP does."""
        return self.strategy in ("fsdp", "parallel")

    @property
    def sharing(self) -> int:
        """How many processes have a piece each of what data parallelism shares out; 1 where each has all of it."""
        if self.strategy == "ddp":
            return 1
        if self.strategy == "fsdp" and self.shard == "hybrid":
            return min(self.per_node, self.processes)
        return self.processes // (self.tensor * self.pipeline)

    @property
    def pieces(self) -> int:
        """How many processes have a piece each of one copy of the model and its optimizer."""
        return self.sharing * self.tensor * self.pipeline

    @property
    def name(self) -> str:
        """In the API's words, on one line."""
        details = {
            "ddp": "",
            "fsdp": f" {self.shard}",
            "deepspeed": f" stage {self.stage}",
            "parallel": f" tensor {self.tensor} pipeline {self.pipeline}" + _extra(self),
        }[self.strategy]
        more = [
            "" if self.offload == "none" else f", offload {self.offload}",
            ", checkpointing" if self.checkpointing == "full" else "",
            f", {self.micro_batches} micro-batches" if self.micro_batches > 1 else "",
        ]
        return f"{self.strategy}{details}{''.join(more)}"


def _extra(layout: Layout) -> str:
    named = (("context", layout.context), ("expert", layout.expert))
    return "".join(f" {name} {degree}" for name, degree in named if degree > 1)


@dataclass(frozen=True, slots=True)
class Load:
    """What there is to train, whatever the layout: `batch` sequences a step over the whole gang."""

    shape: Shape
    batch: int
    precision: Precision
    attention: Attention = "fused"  # the trainer asks for SDPA, whose kernels keep no matrix of scores
    shards: bool = False  # checkpoints in pieces: nobody gathers them

    def micro_tokens(self, layout: Layout) -> int:
        """Tokens of one micro-batch that a process holds between forward and backward. At least a sequence's share."""
        sequences = max(1, self.batch // (layout.data * layout.micro_batches))
        return sequences * self.shape.context // layout.context


def load_of(spec: TrainingJobSpec) -> Load:
    """Of a recipe's spec, which has training parameters; AssertionError otherwise."""
    assert spec.training is not None
    return Load(
        shape=shape_of(spec.model or ModelSpec()),
        batch=spec.training.batch_size,
        precision=spec.precision,
        shards=spec.checkpoint is not None and spec.checkpoint.layout == "Sharded",
    )


def impossible(layout: Layout, load: Load) -> str | None:
    """Why the processes cannot share the work in equal parts, by field; None where they can."""
    if load.precision == "fp8" and layout.strategy not in FP8_STRATEGIES:
        return f"precision fp8 trains by {' or '.join(FP8_STRATEGIES)}"
    shape, parts = load.shape, layout.tensor * layout.pipeline * layout.context
    wanted = [
        ("nodes * perNode", layout.processes, "tensor * pipeline * context", parts),
        ("model.heads", shape.heads, "tensor", layout.tensor),
        ("model.kvHeads", shape.kv_heads, "tensor", layout.tensor),
        ("model.vocabSize", shape.vocabulary, "tensor", layout.tensor),
        ("the feed-forward width", shape.feed_forward, "tensor", layout.tensor),
        ("model.layers", shape.layers, "pipeline", layout.pipeline * layout.interleaved),
        ("experts", shape.experts, "expert", layout.expert),
        (
            "training.batchSize",
            load.batch,
            "data parallel processes * micro-batches",
            layout.data * layout.micro_batches,
        ),
        ("micro-batches", layout.micro_batches, "pipeline", layout.pipeline),
    ]
    if layout.tensor * layout.context > 1:
        wanted.append(
            ("model.contextLength", shape.context, "2 * context * tensor", 2 * layout.context * layout.tensor)
        )
    for name, whole, of, part in wanted:
        if part == 0 or whole % part:
            return f"{name}, {whole}, is not a multiple of {of}, {part}"
    return None
