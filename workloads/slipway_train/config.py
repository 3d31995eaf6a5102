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
from slipway.api.trainingjob import CheckpointSpec, ModelSpec, TrainingSpec

from .errors import RecipeError

RECIPE_VARIABLE = "SLIPWAY_RECIPE"


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
    strategy: Literal["ddp"] = "ddp"
    precision: Literal["fp32", "bf16"] = "fp32"
    accelerator: Accelerator = "cpu"
    model: ModelSpec = ModelSpec()
    base_model: BaseModel | None = None
    adapter: AdapterSpec = AdapterSpec()
    dataset: Dataset
    training: TrainingSpec
    checkpoint: CheckpointSpec = CheckpointSpec()
    stall: StallSpec | None = None  # when the watchdog ends a rank that makes no step; None: never
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
    def fingerprint(self) -> str:
        """What a checkpoint or a finished model must agree on to belong to this recipe.

        World size, strategy, checkpoint interval and watchdog are left out: a run may go on with others.
        """
        made_of = {"recipe", "model", "base_model", "adapter", "dataset", "training"}
        parts = self.model_dump(mode="json", include=made_of)
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
    _check_base(recipe)
    _check_requirement(recipe)
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


def _check_base(recipe: Recipe) -> None:
    if (recipe.base_model is None) != (recipe.recipe == "pretrain"):
        raise RecipeError("baseModel: it belongs to recipes sft, lora and qlora, and they need it")


def _check_requirement(recipe: Recipe) -> None:
    require, answers = recipe.output.require, recipe.recipe != "pretrain" and recipe.evaluation.prompts > 0
    if require is not None and require.needs_answers and not answers:
        raise RecipeError("output.require: exactMatch and ROUGE are of answers, and evaluation.prompts asks for none")


def _check_shape(model: ModelSpec) -> None:
    if model.hidden_size % model.heads:
        raise RecipeError(f"model.hiddenSize: {model.hidden_size} is not a multiple of model.heads, {model.heads}")
    if model.hidden_size // model.heads % 2:
        raise RecipeError(
            f"model.heads: the head size {model.hidden_size}/{model.heads} is odd, and rotary positions need pairs"
        )
    if model.heads % model.kv_heads:
        raise RecipeError(f"model.kvHeads: model.heads, {model.heads}, is not a multiple of {model.kv_heads}")
