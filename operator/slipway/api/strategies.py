"""How the processes of a training gang share the work: one type per strategy, with what can be set of it.

Decided here: a strategy's settings are an object of the strategy's name, and stand beside `strategy` only when that
strategy is the one chosen. What is left of the gang after `parallel` has taken its sizes is data parallel. What cannot
work together is refused by a rule here or in trainingjob.py, before a pod is made.
"""

from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import Field

from .common import Model, Rule, Schema

StrategyName = Literal["ddp", "fsdp", "deepspeed", "parallel"]

Size = Annotated[int, Field(ge=1, le=1024)]


class DdpSpec(Model):
    """DistributedDataParallel: every process holds the whole model and its optimizer."""

    bucket_mib: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=25, description="MiB of gradients that are sent together, while others are still computed."
    )


class FsdpSpec(Model):
    """Fully sharded data parallel: every process holds a piece of each weight, gradient and optimizer state."""

    shard: Literal["full", "gradients", "hybrid"] = Field(
        default="full",
        description="full gathers a layer's weights for each pass and gives them back; gradients keeps them from the "
        "forward to the backward pass; hybrid is full within a node, with a copy per node.",
    )
    offload: Literal["none", "cpu"] = Field(
        default="none", description="cpu keeps weights, gradients and optimizer state in main memory, and steps there."
    )


class DeepspeedSpec(Model):
    """DeepSpeed's ZeRO."""

    stage: Annotated[int, Field(ge=1, le=3)] = Field(
        default=2, description="What lies in pieces: 1 the optimizer state, 2 gradients too, 3 weights too."
    )
    offload: Literal["none", "cpu", "nvme"] = Field(
        default="none",
        description="Where weights (stage 3) and optimizer state are while they are not computed with; "
        "nvme needs stage 3.",
    )
    nvme_path: (
        Annotated[
            str,
            Field(max_length=1024, pattern=r"^/[^:]*$"),
            Schema(pattern_message="must be an absolute path, without ':'"),
        ]
        | None
    ) = Field(default=None, description="Directory on a local disk for offload nvme: mount one there with podTemplate.")

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("self.offload != 'nvme' || self.stage == 3", "offload nvme needs stage 3"),
        Rule(
            "(self.offload == 'nvme') == has(self.nvmePath)",
            "nvmePath goes with offload nvme: set both, or neither",
        ),
    )


class ParallelSpec(Model):
    """Cuts the model itself; what is left of the gang is data parallel, with weights in pieces (FSDP)."""

    tensor: Size = Field(
        default=1,
        description="Processes that compute a layer together, each its share of heads and of the feed-forward width; "
        "between them they hold each its share of the sequence.",
    )
    pipeline: Size = Field(default=1, description="Processes that compute the layers one after the other.")
    context: Size = Field(default=1, description="Processes that compute a sequence together, each its part of it.")
    expert: Size = Field(
        default=1,
        description="Data or context parallel processes that deal out a layer's experts between them; needs tensor 1.",
    )
    schedule: Literal["1F1B", "Interleaved1F1B"] = Field(
        default="1F1B",
        description="Order of the pipeline's work: one forward, one backward; interleaved gives each process two "
        "stages, for fewer idle moments and more sending.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("self.schedule == '1F1B' || self.pipeline > 1", "schedule Interleaved1F1B needs a pipeline of 2 or more"),
        Rule("self.expert == 1 || self.tensor == 1", "expert and tensor cannot both be more than 1"),
    )


SETTINGS: dict[str, type[Model]] = {
    "ddp": DdpSpec,
    "fsdp": FsdpSpec,
    "deepspeed": DeepspeedSpec,
    "parallel": ParallelSpec,
}
SIZES = "self.parallel.tensor * self.parallel.pipeline * self.parallel.context"
PROCESSES = "self.nodes * self.perNode"
DATA_RANKS = f"(has(self.parallel) && {SIZES} > 0 ? {PROCESSES} / ({SIZES}) : {PROCESSES})"


class Shape(Protocol):
    """The model's shape where the spec says nothing of it."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def context_length(self) -> int: ...

    @property
    def hidden_size(self) -> int: ...

    @property
    def layers(self) -> int: ...

    @property
    def heads(self) -> int: ...

    @property
    def kv_heads(self) -> int: ...

    @property
    def experts(self) -> int: ...


def of_model(field: str, otherwise: int) -> str:
    """A field of spec.model in CEL."""
    return f"(has(self.model) ? self.model.{field} : {otherwise})"


def strategy_rules(default: Shape) -> tuple[Rule, ...]:
    """Rules of a TrainingJob's spec. A size that the schema refuses anyhow (below 1) is let pass: no division by it."""

    def parallel(rule: str, message: str) -> Rule:
        return Rule(f"!has(self.parallel) || {SIZES} < 1 || ({rule})", message)

    tensor, pipeline = "self.parallel.tensor", "self.parallel.pipeline"
    shared = (
        of_model("heads", default.heads),
        of_model("kvHeads", default.kv_heads),
        of_model("vocabSize", default.vocab_size),
    )
    width = f"({of_model('hiddenSize', default.hidden_size)} * 8 + 95) / 96 * 32"
    stages = f"{pipeline} * (self.parallel.schedule == 'Interleaved1F1B' ? 2 : 1)"
    context = f"{of_model('contextLength', default.context_length)} % (2 * self.parallel.context * {tensor}) == 0"
    return (
        *(
            Rule(
                f"!has(self.{name}) || self.strategy == '{name}'",
                f"{name} belongs to strategy {name}: leave it out, or set strategy to {name}",
            )
            for name in SETTINGS
        ),
        Rule(
            "self.strategy != 'parallel' || has(self.parallel)",
            "strategy parallel needs parallel: how to cut the model",
        ),
        Rule(
            "!has(self.fsdp) || self.fsdp.shard != 'hybrid' || (self.nodes > 1 && self.perNode > 1)",
            "fsdp.shard hybrid needs nodes and perNode of 2 or more: it cuts within a node and copies between nodes",
        ),
        *(
            Rule(
                f"!has(self.{name}) || self.{name}.offload == 'none' || self.accelerator != 'cpu'",
                f"{name}.offload needs a GPU: with accelerator cpu all is in main memory already",
            )
            for name in ("fsdp", "deepspeed")
        ),
        parallel(
            f"{PROCESSES} % ({SIZES}) == 0",
            "parallel's tensor * pipeline * context must divide nodes * perNode: the rest is data parallel",
        ),
        parallel(
            " && ".join(f"{each} % {tensor} == 0" for each in shared),
            "model's heads, kvHeads and vocabSize must be multiples of parallel.tensor",
        ),
        parallel(
            f"{width} % {tensor} == 0",
            "the feed-forward width (8/3 of model.hiddenSize, rounded up to 32) must be a multiple of parallel.tensor",
        ),
        parallel(
            f"{tensor} == 1 || {of_model('experts', default.experts)} == 1",
            "parallel.tensor cuts no experts: use parallel.expert for a model with them",
        ),
        parallel(
            f"self.parallel.expert < 1 || ({of_model('experts', default.experts)} % self.parallel.expert == 0"
            f" && {PROCESSES} / ({tensor} * {pipeline}) % self.parallel.expert == 0)",
            "parallel.expert must divide model.experts, and the processes that tensor and pipeline leave over",
        ),
        parallel(
            f"{of_model('layers', default.layers)} % ({stages}) == 0",
            "model.layers must be a multiple of the stages: parallel.pipeline, twice that when interleaved",
        ),
        parallel(
            f"({tensor} == 1 && self.parallel.context == 1) || {context}",
            "model.contextLength must be a multiple of 2 * parallel.context * parallel.tensor",
        ),
        parallel(
            f"!has(self.training) || {pipeline} == 1 || self.training.accumulationSteps % {pipeline} == 0",
            "training.accumulationSteps are a pipeline's micro-batches: a multiple of parallel.pipeline",
        ),
    )
