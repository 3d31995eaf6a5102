"""The one reader of the environment: the recipe as JSON, and where output and progress go.

The recipe's parts are the API's own types, so a field has one definition from the CRD to the pod. What the API server
checks with CEL is checked again here, because a recipe may also be run by hand.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from slipway.api.basemodel import AdapterSpec
from slipway.api.common import Accelerator, Model
from slipway.api.dataset import DEFAULT_TEXT_FIELD, CleaningSpec, default_include
from slipway.api.evaluation import EvaluationSpec, Requirement
from slipway.api.gang import StallSpec
from slipway.api.precision import FP8_MULTIPLE, FP8_RECIPES, FP8_STRATEGIES, Precision
from slipway.api.strategies import DdpSpec, DeepspeedSpec, FsdpSpec, ParallelSpec, StrategyName
from slipway.api.trainingjob import CheckpointSpec, ModelSpec, TrainingSpec

from .cleaning.scrub import check_patterns
from .errors import RecipeError

RECIPE_VARIABLE = "SLIPWAY_RECIPE"
RESULT_VARIABLE = "SLIPWAY_RESULT_FILE"  # these three are the launcher's, for its ranks
MEMORY_VARIABLE = "SLIPWAY_MEMORY_DIR"
STACKS_VARIABLE = "SLIPWAY_STACKS_DIR"


class Dataset(Model):
    """Files under `path`: the operator has turned a file:// or pvc:// `uri` into a path that is already mounted."""

    path: Annotated[str, Field(min_length=1, pattern=r"^(/|[a-z0-9]+://)")]
    include: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    held_out_percent: Annotated[int, Field(ge=1, le=50)] = 5
    text_field: str = DEFAULT_TEXT_FIELD
    bad_rows_percent: Annotated[int, Field(ge=0, le=100)] = 1
    cleaning: CleaningSpec | None = None

    def patterns(self, recipe: str) -> tuple[str, ...]:
        return self.include or default_include(recipe)


class BaseModel(Model):
    """A directory of Hugging Face's, already mounted."""

    path: Annotated[str, Field(min_length=1, pattern="^/")]
    context_length: Annotated[int, Field(ge=32, le=131072)] = 1024


class Result(Model):
    """What of `output` is the trainer's business."""

    merge: Literal["none", "merged"] = "none"
    require: Requirement | None = None


class Recipe(Model):
    """What to train and how, in the API's spelling."""

    recipe: Literal["pretrain", "sft", "lora", "qlora"]
    strategy: StrategyName = "ddp"
    ddp: DdpSpec = DdpSpec()
    fsdp: FsdpSpec = FsdpSpec()
    deepspeed: DeepspeedSpec = DeepspeedSpec()
    parallel: ParallelSpec = ParallelSpec()
    activation_checkpointing: Literal["none", "full"] = "none"
    precision: Precision = "fp32"
    accelerator: Accelerator = "cpu"
    model: ModelSpec = ModelSpec()
    base_model: BaseModel | None = None
    adapter: AdapterSpec = AdapterSpec()
    dataset: Dataset
    training: TrainingSpec
    checkpoint: CheckpointSpec = CheckpointSpec()
    stall: StallSpec | None = None  # when the watchdog ends a rank that makes no step; None: never
    desync: Literal["Ignore", "Fail"] = "Ignore"
    evaluation: EvaluationSpec = EvaluationSpec()
    output: Result = Result()

    @property
    def context_length(self) -> int:
        """Tokens of a row of a batch."""
        return self.base_model.context_length if self.base_model else self.model.context_length

    @property
    def adapts(self) -> bool:
        """Whether an adapter is trained, and not the model itself."""
        return self.recipe in ("lora", "qlora")

    @property
    def bf16(self) -> bool:
        """Whether bfloat16 is computed in, and a model written in: with fp8 it is all but the products of layers."""
        return self.precision != "fp32"

    @property
    def fingerprint(self) -> str:
        """What a checkpoint or a finished model must agree on to belong to this recipe.

        World size, strategy, micro-batches, checkpoint interval and watchdog are left out: a run may go on with others.
        """
        made_of = {"recipe", "model", "base_model", "adapter", "dataset", "training"}
        parts = self.model_dump(mode="json", include=made_of)
        del parts["training"]["accumulation_steps"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Environment:
    """The rest of what the operator says, and the launcher. `output_dir` is None on pods that have no output volume."""

    output_dir: Path | None
    progress_url: str | None
    progress_token_file: Path | None
    result_file: Path | None
    termination_log: Path
    memory_dir: Path | None = None
    stacks_dir: Path | None = None

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Environment":
        def path(name: str) -> Path | None:
            return Path(variables[name]) if variables.get(name) else None

        return cls(
            output_dir=path("SLIPWAY_OUTPUT_DIR"),
            progress_url=variables.get("SLIPWAY_PROGRESS_URL") or None,
            progress_token_file=path("SLIPWAY_PROGRESS_TOKEN_FILE"),
            result_file=path(RESULT_VARIABLE),
            termination_log=path("SLIPWAY_TERMINATION_LOG") or Path("/dev/termination-log"),
            memory_dir=path(MEMORY_VARIABLE),
            stacks_dir=path(STACKS_VARIABLE),
        )


def read_recipe(variables: Mapping[str, str]) -> Recipe:
    """The recipe in `SLIPWAY_RECIPE`. Raises RecipeError with the path of every field that is wrong."""
    text = variables.get(RECIPE_VARIABLE)
    if not text:
        raise RecipeError(f"{RECIPE_VARIABLE} is not set: it holds the recipe as JSON")
    try:
        recipe = Recipe.model_validate_json(text)
    except ValidationError as error:
        raise RecipeError("; ".join(_describe(dict(each)) for each in error.errors())) from None
    _check_shape(recipe.model)
    if recipe.dataset.cleaning:
        check_patterns(recipe.dataset.cleaning)
    _check_base(recipe)
    _check_requirement(recipe)
    _check_strategy(recipe)
    if recipe.precision == "fp8":
        _check_fp8(recipe)
    _check_checkpoint(recipe.checkpoint, recipe.strategy)
    return recipe


def data_ranks(recipe: Recipe, world_size: int) -> int:
    """How many shares a global batch is cut into: processes that compute other rows than each other."""
    return world_size // _processes_of_a_model(recipe)


def check_world(recipe: Recipe, world_size: int) -> None:
    """Every data rank takes an equal share of a batch, in equal parts, so that ranks take as long as each other."""
    together = _processes_of_a_model(recipe)
    if world_size % together:
        raise RecipeError(
            f"parallel: tensor * pipeline * context is {together}, which does not divide the {world_size} processes"
        )
    if recipe.strategy == "parallel" and world_size // (recipe.parallel.tensor * recipe.parallel.pipeline) % (
        recipe.parallel.expert
    ):
        raise RecipeError("parallel.expert: it does not divide the processes that tensor and pipeline leave over")
    shares = data_ranks(recipe, world_size) * recipe.training.accumulation_steps
    if recipe.training.batch_size % shares:
        of = f"the {world_size} processes" if together == 1 else f"the {world_size // together} data parallel processes"
        times = f" * training.accumulationSteps, {shares}" if recipe.training.accumulation_steps > 1 else ""
        raise RecipeError(f"training.batchSize: {recipe.training.batch_size} is not a multiple of {of}{times}")


def _processes_of_a_model(recipe: Recipe) -> int:
    if recipe.strategy != "parallel":
        return 1
    return recipe.parallel.tensor * recipe.parallel.pipeline * recipe.parallel.context


def _describe(error: dict[str, object]) -> str:
    location = error["loc"]
    path = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    return f"{path or RECIPE_VARIABLE}: {error['msg']}"


def _check_base(recipe: Recipe) -> None:
    if (recipe.base_model is None) != (recipe.recipe == "pretrain"):
        raise RecipeError("baseModel: it belongs to recipes sft, lora and qlora, and they need it")


def _check_requirement(recipe: Recipe) -> None:
    require, answers = recipe.output.require, recipe.recipe != "pretrain" and recipe.evaluation.prompts > 0
    if require is not None and require.needs_answers and not answers:
        raise RecipeError("output.require: exactMatch and ROUGE are of answers, and evaluation.prompts asks for none")


def _check_strategy(recipe: Recipe) -> None:
    if recipe.accelerator == "cpu":
        for name, offload in (("fsdp", recipe.fsdp.offload), ("deepspeed", recipe.deepspeed.offload)):
            if offload != "none":
                raise RecipeError(f"{name}.offload: with accelerator cpu all is in main memory already")
    if recipe.deepspeed.offload == "nvme" and (recipe.deepspeed.stage != 3 or not recipe.deepspeed.nvme_path):
        raise RecipeError("deepspeed.offload: nvme needs stage 3 and nvmePath")
    if recipe.desync == "Fail" and recipe.strategy in ("deepspeed", "parallel"):
        raise RecipeError(f"desync: {recipe.strategy} holds no copies that could be compared: leave it out")
    if recipe.adapts and recipe.strategy not in ("ddp", "fsdp"):
        raise RecipeError(f"strategy: recipe {recipe.recipe} trains by ddp or fsdp")
    if recipe.strategy == "parallel":
        _check_parallel(recipe)


def _check_fp8(recipe: Recipe) -> None:
    """What the device can do is looked at where it is known (strategies/float8.py)."""
    wrong = (
        (recipe.accelerator == "cpu", "needs a GPU that multiplies it: with accelerator cpu use bf16 or fp32"),
        (recipe.strategy not in FP8_STRATEGIES, "trains by strategy ddp or fsdp: with deepspeed and parallel use bf16"),
        (recipe.recipe not in FP8_RECIPES, "is for pretrain and sft, which train every weight: use bf16"),
        (recipe.model.experts > 1, "multiplies no experts: with model.experts use bf16"),
        (
            recipe.context_length % FP8_MULTIPLE > 0,
            f"multiplies by sixteens: make contextLength, {recipe.context_length}, a multiple of {FP8_MULTIPLE}",
        ),
    )
    for is_wrong, message in wrong:
        if is_wrong:
            raise RecipeError(f"precision: fp8 {message}")


def _check_parallel(recipe: Recipe) -> None:
    if recipe.recipe != "pretrain":
        raise RecipeError("strategy: parallel cuts the model that pretrain makes: with sft use fsdp or deepspeed")
    cut, model = recipe.parallel, recipe.model
    multiples = {
        "model.heads": (model.heads, cut.tensor),
        "model.kvHeads": (model.kv_heads, cut.tensor),
        "model.vocabSize": (model.vocab_size, cut.tensor),
        "model.hiddenSize: the feed-forward width": (feed_forward_width(model.hidden_size), cut.tensor),
        "model.layers": (model.layers, cut.pipeline * stages_per_process(cut)),
        "model.experts": (model.experts, cut.expert),
        "training.accumulationSteps": (recipe.training.accumulation_steps, cut.pipeline),
    }
    if cut.tensor * cut.context > 1:
        multiples["model.contextLength"] = (model.context_length, 2 * cut.context * cut.tensor)
    for field, (value, size) in multiples.items():
        if value % size:
            raise RecipeError(f"{field}: {value} is not a multiple of {size}, which parallel needs")
    if cut.tensor > 1 and (model.experts > 1 or cut.expert > 1):
        raise RecipeError("parallel.tensor: it cuts no experts; use parallel.expert for a model with them")
    if cut.schedule != "1F1B" and cut.pipeline == 1:
        raise RecipeError("parallel.schedule: Interleaved1F1B needs a pipeline of 2 or more")


def stages_per_process(cut: ParallelSpec) -> int:
    return 1 if cut.schedule == "1F1B" else 2


def feed_forward_width(hidden_size: int) -> int:
    """8/3 of the hidden size, rounded up to 32."""
    return -(-hidden_size * 8 // 3 // 32) * 32


def _check_checkpoint(checkpoint: CheckpointSpec, strategy: StrategyName) -> None:
    if checkpoint.layout == "Sharded" and strategy == "ddp":
        raise RecipeError("checkpoint.layout: with ddp every process holds the whole model: use Full")
    if checkpoint.layout == "Sharded" and checkpoint.memory_every:
        raise RecipeError("checkpoint.memoryEvery: what is kept in memory is whole: leave it out with layout Sharded")
    if checkpoint.every_steps and checkpoint.every_seconds:
        raise RecipeError("checkpoint: everySteps and everySeconds exclude each other: leave one out")
    between = checkpoint.steps_between
    if checkpoint.memory_every and between and checkpoint.memory_every >= between:
        raise RecipeError(f"checkpoint.memoryEvery: must be less than everySteps, {between}: it saves nothing else")


def _check_shape(model: ModelSpec) -> None:
    if model.hidden_size % model.heads:
        raise RecipeError(f"model.hiddenSize: {model.hidden_size} is not a multiple of model.heads, {model.heads}")
    if model.hidden_size // model.heads % 2:
        raise RecipeError(
            f"model.heads: the head size {model.hidden_size}/{model.heads} is odd, and rotary positions need pairs"
        )
    if 1 < model.experts < model.experts_per_token:
        raise RecipeError(f"model.expertsPerToken: {model.experts_per_token} is more than the {model.experts} experts")
    if model.heads % model.kv_heads:
        raise RecipeError(f"model.kvHeads: model.heads, {model.heads}, is not a multiple of {model.kv_heads}")
