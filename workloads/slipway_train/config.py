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
from slipway.api.trainingjob import CheckpointSpec, ModelSpec, TrainingSpec

from .errors import RecipeError

RECIPE_VARIABLE = "SLIPWAY_RECIPE"
RESULT_VARIABLE = "SLIPWAY_RESULT_FILE"  # these three are the launcher's, for its ranks
MEMORY_VARIABLE = "SLIPWAY_MEMORY_DIR"
STACKS_VARIABLE = "SLIPWAY_STACKS_DIR"


class Dataset(Model):
    """Text files under `path`, already mounted: the operator has turned the API's `uri` into a path."""

    path: Annotated[str, Field(min_length=1, pattern="^/")]
    include: Annotated[tuple[str, ...], Field(min_length=1)] = ("**/*.txt",)
    held_out_percent: Annotated[int, Field(ge=1, le=50)] = 5


class StallSpec(Model):
    """When a step that does not end counts as stalled: after `factor` times the usual step."""

    factor: Annotated[int, Field(ge=2, le=1000)] = 10


class Recipe(Model):
    """What to train and how, in the API's spelling."""

    recipe: Literal["pretrain"]
    strategy: Literal["ddp"] = "ddp"
    precision: Literal["fp32", "bf16"] = "fp32"
    accelerator: Accelerator = "cpu"
    model: ModelSpec = ModelSpec()
    dataset: Dataset
    training: TrainingSpec
    checkpoint: CheckpointSpec = CheckpointSpec()
    stall: StallSpec = StallSpec()
    desync: Literal["Ignore", "Fail"] = "Ignore"

    @property
    def fingerprint(self) -> str:
        """What a checkpoint or a finished model must agree on to belong to this recipe.

        World size, strategy and checkpoint interval are left out: a run may go on with others.
        """
        parts = self.model_dump(mode="json", include={"recipe", "model", "dataset", "training"})
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
    _check_checkpoint(recipe.checkpoint)
    return recipe


def check_world(recipe: Recipe, world_size: int) -> None:
    """Every process takes an equal share of a batch, so that the mean of means is the mean."""
    if recipe.training.batch_size % world_size:
        raise RecipeError(
            f"training.batchSize: {recipe.training.batch_size} is not a multiple of the {world_size} processes"
        )


def _describe(error: dict[str, object]) -> str:
    location = error["loc"]
    path = ".".join(str(part) for part in location) if isinstance(location, tuple) else ""
    return f"{path or RECIPE_VARIABLE}: {error['msg']}"


def _check_checkpoint(checkpoint: CheckpointSpec) -> None:
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
    if model.heads % model.kv_heads:
        raise RecipeError(f"model.kvHeads: model.heads, {model.heads}, is not a multiple of {model.kv_heads}")
