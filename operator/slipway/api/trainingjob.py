"""TrainingJob: train a model on a gang of pods.

Backend-neutral: no field of PyTorchJob appears here. Fields arrive as they become real (contract 3): what is not listed
is refused, never ignored.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .common import (
    Accelerator,
    Conditions,
    Decimal,
    ImageRef,
    Model,
    Name,
    PodTemplate,
    Quantity,
    Resource,
    Rule,
    Schema,
    Timestamp,
    name_rule,
)

KIND = "TrainingJob"
PLURAL = "trainingjobs"
SINGULAR = "trainingjob"
SHORT_NAMES = ("tj",)

NAME_MAX = 40  # <name>-<attempt>-worker-<index> must fit in a DNS label of 63


class ModelSpec(Model):
    """Shape of the Llama-architecture model that `pretrain` makes. Sizes in tokens, layers, heads, hidden units."""

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

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("self.heads < 1 || self.hiddenSize % self.heads == 0", "hiddenSize must be a multiple of heads"),
        Rule(
            "self.heads < 1 || self.hiddenSize / self.heads % 2 == 0",
            "hiddenSize / heads (the head size) must be even for rotary positions",
        ),
        Rule("self.kvHeads < 1 || self.heads % self.kvHeads == 0", "heads must be a multiple of kvHeads"),
    )


NO_PARENT_DIRECTORY = Rule(r"!self.matches(r'(^|/)\.\.(/|$)')", "must not step out with '..'")


class DatasetSpec(Model):
    """Text to train on: files under `uri`, in a fixed order; a share of the files is held out for evaluation."""

    uri: Annotated[
        str,
        Field(max_length=1024, pattern=r"^(file:///|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/|$)).*$"),
        Schema(pattern_message="must be file:///path or pvc://claim/path", rules=(NO_PARENT_DIRECTORY,)),
    ] = Field(description="file:///path in the image, or pvc://claim/path in the job's namespace (mounted read-only).")
    include: Annotated[
        list[
            Annotated[
                str,
                Field(min_length=1, max_length=256),
                Schema(
                    rules=(
                        NO_PARENT_DIRECTORY,
                        Rule("!self.startsWith('/')", "is relative to uri: must not start with /"),
                    )
                ),
            ]
        ],
        Field(min_length=1, max_length=16),
        Schema(list_type="set"),
    ] = Field(default=["**/*.txt"], description="Glob patterns under `uri`; ** stands for any directories.")
    held_out_percent: Annotated[int, Field(ge=1, le=50)] = Field(
        default=5, description="Share of the files kept from training, in percent."
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
                        "!isQuantity(self) || quantity(self).isGreaterThan(quantity('0'))", "must be more than nothing"
                    ),
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


class OptimizerSpec(Model):
    """AdamW with linear warm-up and cosine decay to a tenth."""

    learning_rate: Decimal = Field(default="0.003", description="Highest learning rate, after warm-up: a decimal.")
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=20, description="Steps in which the learning rate rises from zero."
    )
    weight_decay: Decimal = Field(default="0.1", description="Decoupled weight decay of matrices: a decimal.")


class TrainingSpec(Model):
    """How long and in what steps."""

    steps: Annotated[int, Field(ge=1, le=100_000_000)] = Field(description="Optimizer steps until the job is complete.")
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=16,
        description="Sequences of contextLength per step, over the whole gang: a multiple of nodes * perNode.",
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

    RULES: ClassVar[tuple[Rule, ...]] = (
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


class FailurePolicy(Model):
    """What happens when a process of the gang fails."""

    max_restarts: Annotated[int, Field(ge=0, le=900)] = Field(
        default=3, description="Whole-gang restarts from the last checkpoint before the job is Failed."
    )


class TrainingJobSpec(Model):
    """What to train, on what and where. It cannot change: delete the job and create another."""

    recipe: Literal["pretrain"] | None = Field(
        default=None, description="A recipe of Slipway's. Exclusive with command."
    )
    command: (
        Annotated[
            list[Annotated[str, Field(max_length=4096)]],
            Field(min_length=1, max_length=256),
            Schema(list_type="atomic", rules=(Rule("self[0] != ''", "must begin with the program to start"),)),
        ]
        | None
    ) = Field(
        default=None, description="Your own program, started once per process by torchrun. Exclusive with recipe."
    )
    image: ImageRef | None = Field(
        default=None, description="Image of the pods; the operator's trainer image when left out."
    )
    accelerator: Accelerator = Field(default="cpu", description="What the processes compute on.")
    nodes: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Pods of the gang.")
    per_node: Annotated[int, Field(ge=1, le=16)] = Field(
        default=1, description="Processes per pod; GPUs per pod on nvidia."
    )
    strategy: Literal["auto", "ddp"] = Field(
        default="auto",
        description="How the processes share the work; ddp keeps a copy of the model in each. auto is ddp.",
    )
    precision: Literal["fp32", "bf16"] = Field(
        default="fp32", description="Number format of the forward and backward pass; weights stay fp32."
    )
    model: ModelSpec | None = Field(default=None, description="Shape of the model to make; its defaults when left out.")
    dataset: DatasetSpec | None = Field(default=None, description="Text to train on. A recipe needs it.")
    training: TrainingSpec | None = Field(default=None, description="How long and in what steps. A recipe needs it.")
    checkpoint: CheckpointSpec | None = Field(
        default=None, description="When to save; every 100 steps, keeping 2, when left out."
    )
    desync: Literal["Ignore", "Fail"] = Field(
        default="Ignore",
        description="Fail compares the ranks' copies of weights and gradients now and then, and fails the gang when "
        "they differ, naming parameter and rank; Ignore does not look.",
    )
    output: OutputSpec = OutputSpec()
    failure_policy: FailurePolicy = FailurePolicy()
    pod_template: PodTemplate | None = Field(
        default=None, description="What to add to the pods: resources, node selectors, volumes, tolerations."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.recipe) != has(self.command)", "exactly one of recipe and command must be set"),
        Rule(
            "!has(self.recipe) || (has(self.dataset) && has(self.training))",
            "recipe pretrain needs dataset and training",
        ),
        Rule(
            "!has(self.command)"
            " || !(has(self.model) || has(self.dataset) || has(self.training) || has(self.checkpoint))",
            "model, dataset, training and checkpoint belong to a recipe: leave them out with command",
        ),
        Rule(
            "!has(self.command) || (self.strategy == 'auto' && self.precision == 'fp32')",
            "strategy and precision are the recipe's: with command the program decides",
        ),
        Rule(
            "!has(self.command) || self.desync == 'Ignore'",
            "desync looks into a recipe's ranks: leave it out with command",
        ),
        Rule(
            "!has(self.training) || self.nodes * self.perNode < 1"
            " || self.training.batchSize % (self.nodes * self.perNode) == 0",
            "training.batchSize must be a multiple of nodes * perNode: every process takes an equal share",
        ),
        Rule("self == oldSelf", "a TrainingJob's spec cannot change: delete the job and create another"),
    )


class Progress(Model):
    """What rank 0 last reported. Decimals are strings: the API has no floats."""

    step: Annotated[int, Field(ge=0)] = Field(description="Optimizer steps done.")
    total_steps: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Optimizer steps that make the job complete."
    )
    loss: Annotated[str, Field(max_length=24)] | None = Field(
        default=None, description="Training loss of the last step, in nats per token."
    )
    tokens_per_second: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Tokens trained on per second, over the whole gang."
    )
    last_checkpoint_step: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Step of the newest complete checkpoint: where a restart goes on."
    )
    updated: Timestamp = Field(description="When the operator received this.")


class Evaluation(Model):
    """On the held-out files, after training: the model's bits per byte, and the unigram byte entropy beside them."""

    bits_per_byte: Annotated[str, Field(max_length=24)] = Field(description="The model's, a decimal; lower is better.")
    unigram_bits_per_byte: Annotated[str, Field(max_length=24)] = Field(
        description="Of a model that knows only how frequent each byte is: what training has to beat."
    )


class Output(Model):
    """Where the model is: a claim in the job's namespace and the directory in it."""

    claim: Annotated[str, Field(max_length=253)] = Field(description="Name of the PersistentVolumeClaim.")
    path: Annotated[str, Field(max_length=1024)] = Field(description="Directory of the model in the claim.")


class TrainingJobStatus(Model):
    """Where the job stands. Written by the operator alone."""

    conditions: Conditions = Field(
        default=[],
        description="Accepted, Running, Complete, Failed and Ready, each with a reason from the first visit on.",
    )
    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0, description="The metadata.generation that this status speaks of."
    )
    attempt: Annotated[int, Field(ge=0, le=1000)] = Field(default=0, description="The gang that runs, counted from 0.")
    start_time: Timestamp | None = Field(default=None, description="When all pods of the first gang ran.")
    completion_time: Timestamp | None = Field(default=None, description="When the job was Complete or Failed.")
    progress: Progress | None = Field(default=None, description="What rank 0 last reported.")
    evaluation: Evaluation | None = Field(default=None, description="How good the model is, once training is over.")
    output: Output | None = Field(default=None, description="Where the model is, once it is written.")


class TrainingJob(Resource):
    """Trains a model on a gang of pods that starts, restarts and ends as one."""

    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (name_rule(NAME_MAX),)
