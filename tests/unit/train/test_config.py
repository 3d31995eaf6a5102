import json
from pathlib import Path
from typing import Any

import pytest

from slipway_train.config import Environment, check_world, read_recipe
from slipway_train.errors import RecipeError

from .support import parse, recipe_json

HERE = Path("/data")


def read(content: dict[str, Any]) -> Any:
    return read_recipe({"SLIPWAY_RECIPE": json.dumps(content)})


def test_the_operators_recipe_is_read_in_the_apis_spelling() -> None:
    recipe = read(recipe_json(HERE))
    assert (recipe.model.context_length, recipe.model.kv_heads) == (32, 1)
    assert recipe.dataset.held_out_percent == 20
    assert recipe.training.optimizer.warmup_steps == 2
    assert recipe.training.optimizer.learning_rate == "0.003", "the API's default, where nothing is said"


def changed(path: str, value: object) -> dict[str, Any]:
    content = recipe_json(HERE)
    *parents, last = path.split(".")
    place = content
    for parent in parents:
        place = place[parent]
    place[last] = value
    return content


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        ("recipe", "sft", "recipe"),
        ("strategy", "fsdp", "strategy"),
        ("precision", "fp16", "precision"),
        ("training.steps", 0, "training.steps"),
        ("training.optimizer.learningRate", "fast", "training.optimizer.learningRate"),
        ("dataset.path", "relative", "dataset.path"),
        ("dataset.include", [], "dataset.include"),
        ("dataset.heldOutPercent", 0, "dataset.heldOutPercent"),
        ("model.vocabSize", 100, "model.vocabSize"),
        ("model.hiddenSize", 33, "model.hiddenSize"),
        ("model.heads", 32, "model.heads"),
        ("model.kvHeads", 4, "model.kvHeads"),
        ("checkpoint.keep", 0, "checkpoint.keep"),
        ("checkpoint.mode", "sometimes", "checkpoint.mode"),
        ("checkpoint.everySeconds", 60, "checkpoint"),
        ("checkpoint.memoryEvery", 3, "checkpoint.memoryEvery"),
        ("model.dropout", 0.1, "model.dropout"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(path: str, value: object, named: str) -> None:
    with pytest.raises(RecipeError) as error:
        read(changed(path, value))
    assert str(error.value).startswith(f"{named}: ")


def test_all_wrong_fields_are_named_at_once() -> None:
    content = changed("training.steps", 0) | {"precision": "fp8"}
    with pytest.raises(RecipeError, match=r"precision: .*training\.steps: "):
        read(content)


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_recipe_that_is_missing_or_no_json_object_is_refused(text: str | None) -> None:
    with pytest.raises(RecipeError, match="SLIPWAY_RECIPE"):
        read_recipe({} if text is None else {"SLIPWAY_RECIPE": text})


def test_a_batch_must_divide_evenly() -> None:
    recipe = parse(recipe_json(HERE))
    check_world(recipe, 2)
    with pytest.raises(RecipeError, match=r"training\.batchSize: 4 is not a multiple of the 3 processes"):
        check_world(recipe, 3)


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("strategy", "ddp", True),
        ("checkpoint.everySteps", 99, True),
        ("checkpoint.mode", "Sync", True),
        ("precision", "bf16", True),
        ("training.seed", 4, False),
        ("training.optimizer.learningRate", "0.01", False),
        ("model.layers", 2, False),
        ("dataset.heldOutPercent", 21, False),
    ],
)
def test_the_fingerprint_follows_what_the_curve_depends_on(path: str, value: object, same: bool) -> None:
    before = parse(recipe_json(HERE)).fingerprint
    assert (parse(changed(path, value)).fingerprint == before) is same


def test_the_environment_is_read_and_empty_means_absent() -> None:
    environment = Environment.read({"SLIPWAY_OUTPUT_DIR": "/slipway/output", "SLIPWAY_PROGRESS_URL": ""})
    assert environment.output_dir == Path("/slipway/output")
    assert environment.progress_url is None
    assert environment.termination_log == Path("/dev/termination-log")
