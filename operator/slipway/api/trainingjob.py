"""TrainingJob: train a model on a gang of pods.

Backend-neutral: no field of PyTorchJob appears here. Fields arrive as they become real (contract 3): what is not listed
is refused, never ignored.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field

from .common import Accelerator, Conditions, Decimal, ImageRef, Model, Name, PodTemplate, Quantity, Rule, Schema

KIND = "TrainingJob"
PLURAL = "trainingjobs"
SINGULAR = "trainingjob"
SHORT_NAMES = ("tj",)

NAME_MAX = 40  # <name>-<attempt>-worker-<index> must fit in a DNS label of 63


class ModelSpec(Model):
    """Shape of the Llama-architecture model that `pretrain` makes. Sizes in tokens, layers, heads, hidden units."""

    vocab_size: Annotated[int, Field(ge=512, le=262144)] = 2048
    context_length: Annotated[int, Field(ge=32, le=131072)] = 256
    hidden_size: Annotated[int, Field(ge=32, le=16384)] = 192
    layers: Annotated[int, Field(ge=1, le=256)] = 4
    heads: Annotated[int, Field(ge=1, le=256)] = 6
    kv_heads: Annotated[int, Field(ge=1, le=256)] = 2

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("self.hiddenSize % self.heads == 0", "hiddenSize must be a multiple of heads"),
        Rule("self.hiddenSize / self.heads % 2 == 0", "hiddenSize / heads (the head size) must be even for rotary positions"),
        Rule("self.heads % self.kvHeads == 0", "heads must be a multiple of kvHeads"),
    )


class DatasetSpec(Model):
    """Text to train on: files under `uri`, in a fixed order; a share of the files is held out for evaluation."""

    uri: Annotated[str, Field(max_length=1024, pattern=r"^(file:///|pvc://[a-z0-9]([-a-z0-9.]*[a-z0-9])?(/|$)).*$")] = Field(
        description="file:///path in the image, or pvc://claim/path in the job's namespace (mounted read-only)."
    )
    include: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=16), Schema(list_type="set")
    ] = Field(default=["**/*.txt"], description="Glob patterns under `uri`.")
    held_out_percent: Annotated[int, Field(ge=1, le=50)] = Field(
        default=5, description="Share of the files kept from training, in percent."
    )


class OutputSpec(Model):
    """Where checkpoints and the model go: an existing claim, or one that Slipway makes as `<job>-output`."""

    claim: Name | None = Field(default=None, description="An existing PersistentVolumeClaim. Not with size or storageClassName.")
    size: Quantity | None = Field(default=None, description="Size of the claim that Slipway makes; 10Gi when nothing is said.")
    storage_class_name: Name | None = None
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

    learning_rate: Decimal = "0.003"
    warmup_steps: Annotated[int, Field(ge=0, le=1_000_000)] = 20
    weight_decay: Decimal = "0.1"


class TrainingSpec(Model):
    """How long and in what steps. `batch_size` counts sequences of `contextLength` over the whole gang."""

    steps: Annotated[int, Field(ge=1, le=100_000_000)]
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)] = 16
    seed: Annotated[int, Field(ge=0, le=2_147_483_647)] = 0
    optimizer: OptimizerSpec = OptimizerSpec()


class CheckpointSpec(Model):
    every_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 100
    keep: Annotated[int, Field(ge=1, le=100)] = Field(default=2, description="Newest checkpoints to keep.")


class FailurePolicy(Model):
    max_restarts: Annotated[int, Field(ge=0, le=900)] = Field(
        default=3, description="Whole-gang restarts from the last checkpoint before the job is Failed."
    )


class TrainingJobSpec(Model):
    recipe: Literal["pretrain"] | None = Field(default=None, description="A recipe of Slipway's. Exclusive with command.")
    command: Annotated[
        list[Annotated[str, Field(max_length=4096)]], Field(min_length=1, max_length=256), Schema(list_type="atomic")
    ] | None = Field(
        default=None, description="Your own program, started once per process by torchrun. Exclusive with recipe."
    )
    image: ImageRef | None = Field(default=None, description="Image of the pods; the operator's trainer image when left out.")
    accelerator: Accelerator = "cpu"
    nodes: Annotated[int, Field(ge=1, le=1000)] = Field(default=1, description="Pods of the gang.")
    per_node: Annotated[int, Field(ge=1, le=16)] = Field(default=1, description="Processes per pod; GPUs per pod on nvidia.")
    strategy: Literal["auto", "ddp"] = "auto"
    precision: Literal["fp32", "bf16"] = "fp32"
    model: ModelSpec | None = None
    dataset: DatasetSpec | None = None
    training: TrainingSpec | None = None
    checkpoint: CheckpointSpec | None = None
    output: OutputSpec = OutputSpec()
    failure_policy: FailurePolicy = FailurePolicy()
    pod_template: PodTemplate | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.recipe) != has(self.command)", "exactly one of recipe and command must be set"),
        Rule(
            "!has(self.recipe) || (has(self.dataset) && has(self.training))",
            "recipe pretrain needs dataset and training",
        ),
        Rule(
            "!has(self.command) || !(has(self.model) || has(self.dataset) || has(self.training) || has(self.checkpoint))",
            "model, dataset, training and checkpoint belong to a recipe: leave them out with command",
        ),
        Rule(
            "!has(self.command) || (self.strategy == 'auto' && self.precision == 'fp32')",
            "strategy and precision are the recipe's: with command the program decides",
        ),
        Rule(
            "!has(self.training) || self.training.batchSize % (self.nodes * self.perNode) == 0",
            "training.batchSize must be a multiple of nodes * perNode: every process takes an equal share",
        ),
        Rule("self == oldSelf", "a TrainingJob's spec cannot change: delete the job and create another"),
    )


class Progress(Model):
    """What rank 0 last reported. Decimals are strings: the API has no floats."""

    step: Annotated[int, Field(ge=0)]
    total_steps: Annotated[int, Field(ge=0)] = 0
    loss: Annotated[str, Field(max_length=24)] | None = None
    tokens_per_second: Annotated[int, Field(ge=0)] | None = None
    last_checkpoint_step: Annotated[int, Field(ge=0)] | None = None
    updated: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]


class Evaluation(Model):
    """On the held-out files, after training: the model's bits per byte, and the unigram byte entropy to compare with."""

    bits_per_byte: Annotated[str, Field(max_length=24)]
    unigram_bits_per_byte: Annotated[str, Field(max_length=24)]


class Output(Model):
    """Where the model is: a claim in the job's namespace and the directory in it."""

    claim: Annotated[str, Field(max_length=253)]
    path: Annotated[str, Field(max_length=1024)]


class TrainingJobStatus(Model):
    conditions: Conditions = []
    observed_generation: Annotated[int, Field(ge=0)] = 0
    attempt: Annotated[int, Field(ge=0, le=1000)] = Field(default=0, description="The gang that runs, counted from 0.")
    start_time: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})] | None = None
    completion_time: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})] | None = None
    progress: Progress | None = None
    evaluation: Evaluation | None = None
    output: Output | None = None


class TrainingJob(Model):
    spec: TrainingJobSpec
    status: TrainingJobStatus | None = None

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            f"self.metadata.name.size() <= {NAME_MAX} && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
            f"the name must be a DNS label that starts with a letter, of at most {NAME_MAX} characters: pods are named after it",
        ),
    )

    @classmethod
    def read(cls, body: dict[str, object]) -> Self:
        """From a Kubernetes object. Raises pydantic.ValidationError, whose locations are field paths."""
        return cls.model_validate({"spec": body.get("spec", {}), "status": body.get("status")})
