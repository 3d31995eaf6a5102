"""TrainingJob: train a model on a gang of pods.

Backend-neutral: no field of PyTorchJob appears here. Fields arrive as they become real (contract 3): what is not listed
is refused, never ignored.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .basemodel import AdapterSpec, BaseModelSpec
from .common import (
    NO_NUL,
    Accelerator,
    Decimal,
    ImageRef,
    Model,
    Name,
    PodTemplate,
    Quantity,
    Resource,
    Rule,
    Schema,
    between,
    name_rule,
)
from .dataset import DatasetSpec
from .elastic import ELASTIC_RULES, ElasticSpec
from .evaluation import EvaluationSpec, Requirement
from .gang import FailurePolicy, StallSpec
from .scheduling import QueueName, SchedulingSpec
from .strategies import (
    DATA_RANKS,
    DdpSpec,
    DeepspeedSpec,
    FsdpSpec,
    ParallelSpec,
    strategy_rules,
)
from .trainingstatus import TrainingJobStatus

KIND = "TrainingJob"
PLURAL = "trainingjobs"
SINGULAR = "trainingjob"
SHORT_NAMES = ("tj",)

NAME_MAX = 40  # <name>-<attempt>-worker-<index> must fit in a DNS label of 63
SECONDS_MAX = 315_360_000  # ten years


# Of a job that has a recipe, as CEL has it: it goes on from a model; it trains an adapter for one.
_ANSWERS = "self.recipe != 'pretrain'"
_ADAPTS = "(self.recipe == 'lora' || self.recipe == 'qlora')"


class ModelSpec(Model):
    """Shape of the Llama- or Mixtral-architecture model that `pretrain` makes."""

    vocab_size: Annotated[int, Field(ge=512, le=262144)] = Field(
        default=2048, description="Tokens of the byte-level BPE vocabulary that is trained on the data set."
    )
    context_length: Annotated[int, Field(ge=32, le=131072)] = Field(
        default=256, description="Tokens per sequence, in training and as the model's longest context."
    )
    hidden_size: Annotated[int, Field(ge=32, le=16384)] = Field(
        default=192, description="Width of the residual stream."
    )
    layers: Annotated[int, Field(ge=1, le=256)] = Field(default=4, description="Transformer layers.")
    heads: Annotated[int, Field(ge=1, le=256)] = Field(default=6, description="Query heads of each attention layer.")
    kv_heads: Annotated[int, Field(ge=1, le=256)] = Field(
        default=2, description="Key and value heads, each shared by heads / kvHeads query heads."
    )

    experts: Annotated[int, Field(ge=1, le=1024)] = Field(
        default=1,
        description="Feed-forward networks per layer, of which a router chooses for each token; 1 is a Llama, "
        "more a Mixtral.",
    )
    experts_per_token: Annotated[int, Field(ge=1, le=64)] = Field(
        default=2, description="How many experts compute a token, where there are several."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("self.experts == 1 || self.expertsPerToken <= self.experts", "expertsPerToken must be at most experts"),
        Rule("self.heads < 1 || self.hiddenSize % self.heads == 0", "hiddenSize must be a multiple of heads"),
        Rule(
            "self.heads < 1 || self.hiddenSize / self.heads % 2 == 0",
            "hiddenSize / heads (the head size) must be even for rotary positions",
        ),
        Rule("self.kvHeads < 1 || self.heads % self.kvHeads == 0", "heads must be a multiple of kvHeads"),
    )


class OutputSpec(Model):
    """Where checkpoints and the model go: an existing claim, or one that Slipway makes as `<job>-output`."""

    claim: Name | None = Field(
        default=None, description="An existing PersistentVolumeClaim. Not with size or storageClassName."
    )
    size: (
        Annotated[
            Quantity,
            Schema(
                rules=(
                    Rule(
                        "!isQuantity(self) || !quantity(self).isLessThan(quantity('1Mi'))",
                        "must be at least 1Mi",  # 500m is half a byte
                    ),
                    Rule("!isQuantity(self) || quantity(self).isLessThan(quantity('1Ei'))", "must be less than 1Ei"),
                )
            ),
        ]
        | None
    ) = Field(default=None, description="Size of the claim that Slipway makes; 10Gi when nothing is said.")
    storage_class_name: Name | None = Field(
        default=None, description="Storage class of the claim that Slipway makes; the cluster's default when left out."
    )
    when_deleted: Literal["Retain", "Delete"] = Field(
        default="Retain", description="What becomes of a claim that Slipway made when the job is deleted."
    )
    merge: Literal["none", "merged"] = Field(
        default="none",
        description="lora, qlora: merged writes the base model with the adapter merged into it, ready to be served, "
        "beside the adapter.",
    )
    require: Requirement | None = Field(
        default=None, description="What the model must reach on held-out data; else the job fails, without a model."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!(has(self.claim) && (has(self.size) || has(self.storageClassName)))",
            "claim names an existing volume: leave out size and storageClassName, or leave out claim",
        ),
        Rule(
            "!(has(self.claim) && self.whenDeleted == 'Delete')",
            "Slipway does not delete a claim that it did not make: leave whenDeleted at Retain",
        ),
    )


LearningRate = Annotated[Decimal, between(0, 1, "AdamW moves each weight by about so much in a step")]
WeightDecay = Annotated[Decimal, between(0, 10, "a step takes this times the learning rate of each weight away")]


class OptimizerSpec(Model):
    """AdamW with linear warm-up and cosine decay to a tenth."""

    learning_rate: LearningRate = Field(default="0.003", description="Highest learning rate, after warm-up: a decimal.")
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=20, description="Steps in which the learning rate rises from zero."
    )
    weight_decay: WeightDecay = Field(default="0.1", description="Decoupled weight decay of matrices: a decimal.")


class TrainingSpec(Model):
    """How long and in what steps."""

    steps: Annotated[int, Field(ge=1, le=100_000_000)] = Field(description="Optimizer steps until the job is complete.")
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=16,
        description="Sequences of contextLength per step, over the whole gang: "
        "a multiple of nodes * perNode * accumulationSteps.",
    )
    accumulation_steps: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=1,
        description="Parts in which a process computes its share of a step, one after the other, to need less memory.",
    )
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = Field(
        default=0, description="Seed of the initial weights and of the order of the data."
    )
    optimizer: OptimizerSpec = OptimizerSpec()


DEFAULT_EVERY_STEPS = 100


class CheckpointSpec(Model):
    """When training saves what it needs to go on after a restart, where to, and who waits for it."""

    every_steps: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="Steps between two checkpoints on the output volume: the most that a restart repeats. "
        "100 when neither this nor everySeconds is set.",
    )
    every_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = Field(
        default=None,
        description="Seconds between two checkpoints on the output volume, after the step in which they have passed. "
        "Exclusive with everySteps.",
    )
    memory_every: Annotated[int, Field(ge=1, le=1_000_000)] | None = Field(
        default=None,
        description="Steps between two checkpoints in the memory of rank 0's pod, saved to the output when a process "
        "dies or the pod is told to stop; none when left out. They take up to four times the training state.",
    )
    keep: Annotated[int, Field(ge=1, le=100)] = Field(
        default=2, description="Newest checkpoints to keep on the output volume."
    )
    mode: Literal["Async", "Sync"] = Field(
        default="Async",
        description="Async writes a copy while training goes on; Sync holds the steps up until it is written.",
    )
    layout: Literal["Full", "Sharded"] = Field(
        default="Full",
        description="Full gathers whole tensors on rank 0, which writes one file. Sharded has every process write what "
        "it holds, on an output that all pods mount; with strategies fsdp, deepspeed and parallel. Either is read by "
        "any strategy and any number of processes.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "self.layout == 'Full' || !has(self.memoryEvery)",
            "memoryEvery keeps whole checkpoints: leave it out with layout Sharded",
        ),
        Rule(
            "!(has(self.everySteps) && has(self.everySeconds))",
            "everySteps and everySeconds exclude each other: leave one out",
        ),
        Rule(
            "!has(self.memoryEvery) || has(self.everySeconds)"
            f" || self.memoryEvery < (has(self.everySteps) ? self.everySteps : {DEFAULT_EVERY_STEPS})",
            f"memoryEvery must be less than everySteps ({DEFAULT_EVERY_STEPS} when left out): it saves nothing else",
        ),
    )

    @property
    def steps_between(self) -> int | None:
        """Steps between two checkpoints on the volume; None where seconds decide."""
        return None if self.every_seconds else self.every_steps or DEFAULT_EVERY_STEPS


class TrainingJobSpec(Model):
    """What to train, on what and where. Only suspend can change: else delete the job and create another."""

    recipe: Literal["pretrain", "sft", "lora", "qlora"] | None = Field(
        default=None,
        description="A recipe of Slipway's: pretrain makes a model, sft goes on with one on instructions, lora and "
        "qlora train an adapter for one. Exclusive with command.",
    )
    command: (
        Annotated[
            list[Annotated[str, Field(max_length=4096), Schema(rules=(NO_NUL,))]],
            Field(min_length=1, max_length=256),
            Schema(list_type="atomic", rules=(Rule("self[0] != ''", "must begin with the program to start"),)),
        ]
        | None
    ) = Field(
        default=None,
        description="Your own program, started once per process by torchrun. $(NAME) is the pod's variable NAME, as in "
        "a container's command. Exclusive with recipe.",
    )
    image: ImageRef | None = Field(
        default=None, description="Image of the pods; the operator's trainer image when left out."
    )
    accelerator: Accelerator = Field(default="cpu", description="What the processes compute on.")
    nodes: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Pods of the gang.")
    elastic: ElasticSpec | None = Field(
        default=None,
        description="Lets the gang run with fewer pods where there is no room for all; without it they all wait.",
    )
    per_node: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="Processes per pod; GPUs per pod on nvidia."
    )
    strategy: Literal["auto", "ddp", "fsdp", "deepspeed", "parallel"] = Field(
        default="auto",
        description="How the processes share the work. ddp: a copy of the model in each; fsdp: a piece of each weight "
        "in each; deepspeed: ZeRO; parallel: layers and sequences cut too. auto: ddp where the model fits, else fsdp.",
    )
    ddp: DdpSpec | None = Field(default=None, description="Settings of strategy ddp; their defaults when left out.")
    fsdp: FsdpSpec | None = Field(default=None, description="Settings of strategy fsdp; their defaults when left out.")
    deepspeed: DeepspeedSpec | None = Field(
        default=None, description="Settings of strategy deepspeed; their defaults when left out."
    )
    parallel: ParallelSpec | None = Field(default=None, description="Settings of strategy parallel, which needs them.")
    activation_checkpointing: Literal["none", "full"] = Field(
        default="none",
        description="full computes each layer's activations again for the backward pass instead of keeping them.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Number format of the forward and backward pass; weights stay fp32."
    )
    model: ModelSpec | None = Field(
        default=None, description="pretrain: shape of the model to make; its defaults when left out."
    )
    base_model: BaseModelSpec | None = Field(
        default=None, description="sft, lora, qlora: the model to start from. They need it."
    )
    adapter: AdapterSpec | None = Field(
        default=None, description="lora, qlora: the adapter; its defaults when left out."
    )
    dataset: DatasetSpec | None = Field(default=None, description="What to train on. A recipe needs it.")
    training: TrainingSpec | None = Field(default=None, description="How long and in what steps. A recipe needs it.")
    checkpoint: CheckpointSpec | None = Field(
        default=None, description="When to save; every 100 steps, keeping 2, when left out."
    )
    evaluation: EvaluationSpec | None = Field(
        default=None, description="sft, lora, qlora: how answers are measured; its defaults when left out."
    )
    desync: Literal["Ignore", "Fail"] = Field(
        default="Ignore",
        description="Fail compares the ranks' copies of weights and gradients now and then, and fails the gang when "
        "they differ, naming parameter and rank; Ignore does not look. Fail needs strategy auto, ddp or fsdp.",
    )
    output: OutputSpec = OutputSpec()
    failure_policy: FailurePolicy = FailurePolicy()
    stall: StallSpec = StallSpec()
    queue: QueueName | None = Field(
        default=None,
        description="Kueue's LocalQueue, in which the gang waits before every attempt until it is admitted as a whole.",
    )
    scheduling: SchedulingSpec | None = Field(default=None, description="How the gang's pods are placed.")
    suspend: bool = Field(
        default=False,
        description="While true nothing of the job runs: a gang that runs is stopped, and saves a checkpoint. "
        "Going on is a new attempt, which uses no budget.",
    )
    deadline_seconds: Annotated[int, Field(ge=1, le=SECONDS_MAX)] | None = Field(
        default=None,
        description="Seconds for which the whole gang may run, over all attempts, before the job is Failed. "
        "Waiting, queued and suspended time does not count.",
    )
    start_deadline_seconds: Annotated[int, Field(ge=1, le=SECONDS_MAX)] | None = Field(
        default=None,
        description="Seconds in which all pods of an attempt must run, before the job is Failed. "
        "Queued and suspended time does not count.",
    )
    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=SECONDS_MAX)] | None = Field(
        default=None,
        description="Seconds after which a job that is Complete or Failed is deleted, with its pods and their logs; "
        "never when left out. The output's claim is kept as output.whenDeleted says.",
    )
    pod_template: PodTemplate | None = Field(
        default=None, description="What to add to the pods: resources, node selectors, volumes, tolerations."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.recipe) != has(self.command)", "exactly one of recipe and command must be set"),
        Rule(
            "!has(self.recipe) || (has(self.dataset) && has(self.training))",
            "a recipe needs dataset and training",
        ),
        Rule(
            f"has(self.baseModel) == (has(self.recipe) && {_ANSWERS})",
            "baseModel belongs to recipes sft, lora and qlora, and they need it",
        ),
        Rule(
            "!has(self.model) || !has(self.recipe) || self.recipe == 'pretrain'",
            "model is the shape that pretrain makes: sft, lora and qlora take baseModel as it is",
        ),
        Rule(
            f"!has(self.adapter) || (has(self.recipe) && {_ADAPTS})",
            "adapter belongs to recipes lora and qlora",
        ),
        Rule(
            f"self.output.merge == 'none' || (has(self.recipe) && {_ADAPTS})",
            "output.merge belongs to recipes lora and qlora: the others write a whole model",
        ),
        Rule(
            f"!has(self.evaluation) || (has(self.recipe) && {_ANSWERS})",
            "evaluation belongs to recipes sft, lora and qlora: only they answer prompts",
        ),
        Rule(
            "!has(self.dataset) || !has(self.dataset.textField) || !has(self.recipe) || self.recipe == 'pretrain'",
            "dataset.textField belongs to pretrain: the other recipes find the fields of a row by their names",
        ),
        Rule(
            "!has(self.output.require) || has(self.recipe)",
            "output.require belongs to a recipe: with command nothing is measured",
        ),
        Rule(
            "!has(self.output.require) || !(has(self.output.require.exactMatchLeast)"
            " || has(self.output.require.rouge1Least) || has(self.output.require.rouge2Least)"
            " || has(self.output.require.rougeLLeast)) || !has(self.recipe)"
            f" || ({_ANSWERS} && (!has(self.evaluation) || self.evaluation.prompts > 0))",
            "output.require of exactMatch or ROUGE needs answers: sft, lora or qlora, evaluation.prompts above 0",
        ),
        Rule(
            "!has(self.command)"
            " || !(has(self.model) || has(self.dataset) || has(self.training) || has(self.checkpoint))",
            "model, dataset, training and checkpoint belong to a recipe: leave them out with command",
        ),
        Rule(
            "!has(self.command)"
            " || (self.strategy == 'auto' && self.precision == 'fp32' && self.activationCheckpointing == 'none')",
            "strategy, precision and activationCheckpointing are the recipe's: with command the program decides",
        ),
        Rule(
            "!has(self.command) || self.desync == 'Ignore'",
            "desync looks into a recipe's ranks: leave it out with command",
        ),
        Rule(
            "self.desync == 'Ignore' || (self.strategy != 'deepspeed' && self.strategy != 'parallel')",
            "desync compares copies that strategies ddp and fsdp hold: leave it out with deepspeed and parallel",
        ),
        Rule(
            f"!has(self.training) || {DATA_RANKS} * self.training.accumulationSteps < 1"
            f" || self.training.batchSize % ({DATA_RANKS} * self.training.accumulationSteps) == 0",
            "training.batchSize must be a multiple of nodes * perNode * accumulationSteps (with parallel: of the data"
            " parallel processes): every process takes an equal share, in equal parts",
        ),
        *strategy_rules(ModelSpec()),
        *ELASTIC_RULES,
        Rule(
            "!has(self.recipe) || self.recipe != 'lora'"
            " || (self.strategy != 'deepspeed' && self.strategy != 'parallel')",
            "recipe lora trains by strategy ddp, or fsdp where the base model is too large for a process",
        ),
        Rule(
            "!has(self.recipe) || self.recipe != 'qlora' || self.strategy == 'auto' || self.strategy == 'ddp'",
            "recipe qlora trains by strategy ddp: weights of four bits are not cut into pieces",
        ),
        Rule(
            "!has(self.checkpoint) || self.checkpoint.layout == 'Full'"
            " || (self.strategy != 'ddp' && self.strategy != 'auto')",
            "checkpoint.layout Sharded needs strategy fsdp, deepspeed or parallel: with ddp, which auto may choose,"
            " every process holds the whole model",
        ),
        Rule(
            "!has(self.checkpoint) || self.checkpoint.layout == 'Full' || self.nodes == 1 || has(self.output.claim)",
            "checkpoint.layout Sharded is written from every pod, and the claim that Slipway makes is one pod's: with"
            " several nodes name a ReadWriteMany claim as output.claim",
        ),
        Rule(
            "!has(self.recipe) || self.recipe == 'pretrain' || self.strategy != 'parallel'",
            "strategy parallel cuts the model that pretrain makes: with sft use fsdp or deepspeed",
        ),
        Rule(
            "!has(self.scheduling) || has(self.queue)"
            " || !(has(self.scheduling.topology) || has(self.scheduling.queuePriorityClass))",
            "scheduling.topology and scheduling.queuePriorityClass are for Kueue: name a queue, or leave them out",
        ),
    )
    FIXED_OF: ClassVar[str] = KIND
    CHANGEABLE: ClassVar[frozenset[str]] = frozenset({"suspend"})


class TrainingJob(Resource):
    """Trains a model on a gang of pods that starts, restarts and ends as one."""

    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (name_rule(NAME_MAX),)
