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

from slipway.api.common import Accelerator, Model
from slipway.api.strategies import DdpSpec, DeepspeedSpec, FsdpSpec, ParallelSpec, StrategyName
from slipway.api.trainingjob import CheckpointSpec, ModelSpec, TrainingSpec

from .errors import RecipeError

RECIPE_VARIABLE = "SLIPWAY_RECIPE"


class Dataset(Model):
    """Text files under `path`, already mounted: the operator has turned the API's `uri` into a path."""

    path: Annotated[str, Field(min_length=1, pattern="^/")]
    include: Annotated[tuple[str, ...], Field(min_length=1)] = ("**/*.txt",)
    held_out_percent: Annotated[int, Field(ge=1, le=50)] = 5


class Recipe(Model):
    """What to train and how, in the API's spelling."""

    recipe: Literal["pretrain"]
    strategy: StrategyName = "ddp"
    ddp: DdpSpec = DdpSpec()
    fsdp: FsdpSpec = FsdpSpec()
    deepspeed: DeepspeedSpec = DeepspeedSpec()
    parallel: ParallelSpec = ParallelSpec()
    activation_checkpointing: Literal["none", "full"] = "none"
    precision: Literal["fp32", "bf16"] = "fp32"
    accelerator: Accelerator = "cpu"
    model: ModelSpec = ModelSpec()
    dataset: Dataset
    training: TrainingSpec
    checkpoint: CheckpointSpec = CheckpointSpec()

    @property
    def fingerprint(self) -> str:
        """What a checkpoint or a finished model must agree on to belong to this recipe.

        World size, strategy, micro-batches and checkpoint interval are left out: a run may go on with others.
        """
        parts = self.model_dump(mode="json", include={"recipe", "model", "dataset", "training"})
        del parts["training"]["accumulation_steps"]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Environment:
    """The rest of what the operator says. `output_dir` is None on pods that have no output volume."""

    output_dir: Path | None
    progress_url: str | None
    progress_token_file: Path | None
    result_file: Path | None
    termination_log: Path

    @classmethod
    def read(cls, variables: Mapping[str, str]) -> "Environment":
        def path(name: str) -> Path | None:
            return Path(variables[name]) if variables.get(name) else None

        return cls(
            output_dir=path("SLIPWAY_OUTPUT_DIR"),
            progress_url=variables.get("SLIPWAY_PROGRESS_URL") or None,
            progress_token_file=path("SLIPWAY_PROGRESS_TOKEN_FILE"),
            result_file=path("SLIPWAY_RESULT_FILE"),
            termination_log=path("SLIPWAY_TERMINATION_LOG") or Path("/dev/termination-log"),
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
    _check_strategy(recipe)
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


def _check_strategy(recipe: Recipe) -> None:
    if recipe.accelerator == "cpu":
        for name, offload in (("fsdp", recipe.fsdp.offload), ("deepspeed", recipe.deepspeed.offload)):
            if offload != "none":
                raise RecipeError(f"{name}.offload: with accelerator cpu all is in main memory already")
    if recipe.deepspeed.offload == "nvme" and (recipe.deepspeed.stage != 3 or not recipe.deepspeed.nvme_path):
        raise RecipeError("deepspeed.offload: nvme needs stage 3 and nvmePath")
    if recipe.strategy == "parallel":
        _check_parallel(recipe)


def _check_parallel(recipe: Recipe) -> None:
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
