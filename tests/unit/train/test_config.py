import json
from pathlib import Path
from typing import Any

import pytest

from slipway_train.config import Environment, check_world, data_ranks, read_recipe
from slipway_train.errors import RecipeError

from .support import parse, recipe_json

HERE = Path("/data")
BASED = {"baseModel": {"path": "/m", "contextLength": 64}}


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
        ("recipe", "dpo", "recipe"),
        ("strategy", "zero", "strategy"),
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
        ("model", {"experts": 2, "expertsPerToken": 3}, "model.expertsPerToken"),
        ("checkpoint.keep", 0, "checkpoint.keep"),
        ("training.accumulationSteps", 0, "training.accumulationSteps"),
        ("activationCheckpointing", "some", "activationCheckpointing"),
        ("fsdp", {"offload": "cpu"}, "fsdp.offload"),
        ("deepspeed", {"offload": "cpu"}, "deepspeed.offload"),
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


def eight_bits(**changes: Any) -> dict[str, Any]:
    return recipe_json(HERE) | {"precision": "fp8", "accelerator": "nvidia"} | changes


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_fp8_is_for_gpus(strategy: str) -> None:
    assert read(eight_bits(strategy=strategy)).bf16


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"accelerator": "cpu"}, "needs a GPU that multiplies it: with accelerator cpu use bf16 or fp32"),
        ({"strategy": "deepspeed"}, "trains by strategy ddp or fsdp: with deepspeed and parallel use bf16"),
        ({"strategy": "parallel"}, "trains by strategy ddp or fsdp: with deepspeed and parallel use bf16"),
        ({"model": {"experts": 4}}, "multiplies no experts: with model.experts use bf16"),
        ({"model": {"contextLength": 40}}, "multiplies by sixteens: make contextLength, 40, a multiple of 16"),
        (
            {"recipe": "lora", "baseModel": {"path": "/base"}},
            "is for pretrain and sft, which train every weight: use bf16",
        ),
    ],
)
def test_what_fp8_cannot_go_with(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(RecipeError) as error:
        read(eight_bits(**changes))
    assert str(error.value) == f"precision: fp8 {words}"


def test_all_wrong_fields_are_named_at_once() -> None:
    content = changed("training.steps", 0) | {"precision": "fp16"}
    with pytest.raises(RecipeError, match=r"precision: .*training\.steps: "):
        read(content)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": "sft"}, r"baseModel: it belongs to recipes sft, lora and qlora, and they need it"),
        ({"baseModel": {"path": "/m"}}, r"baseModel: it belongs to"),
        ({"output": {"require": {"exactMatchLeast": "0.5"}}}, r"output\.require: exactMatch and ROUGE are of answers"),
        ({"output": {"require": {"exactMatchLeast": "half"}}}, r"output\.require\.exactMatchLeast: "),
        (BASED | {"recipe": "sft", "strategy": "parallel"}, r"strategy: parallel cuts the model that pretrain makes"),
        ({"strategy": "deepspeed", "desync": "Fail"}, r"desync: deepspeed holds no copies that could be compared"),
        (BASED | {"recipe": "lora", "strategy": "deepspeed"}, r"strategy: recipe lora trains by ddp or fsdp"),
        (BASED | {"recipe": "qlora", "strategy": "deepspeed"}, r"strategy: recipe qlora trains by ddp or fsdp"),
        ({"checkpoint": {"layout": "Sharded"}}, r"checkpoint\.layout: with ddp every process holds the whole model"),
        (
            {"strategy": "fsdp", "checkpoint": {"layout": "Sharded", "memoryEvery": 5}},
            r"checkpoint\.memoryEvery: what is kept in memory is whole",
        ),
        ({"dataset": {"path": "/d", "cleaning": {"scrub": ["names"]}}}, r"dataset\.cleaning\.scrub\.0: "),
        (
            {"dataset": {"path": "/d", "cleaning": {"scrubPatterns": [{"name": "own", "pattern": "a)"}]}}},
            r"dataset\.cleaning\.scrubPatterns\[0\]\.pattern: no regular expression in RE2's syntax: ",
        ),
    ],
)
def test_fields_that_do_not_go_together_are_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(RecipeError, match=f"^{said}"):
        read(recipe_json(HERE) | changes)


def test_the_patterns_follow_the_recipe_where_none_are_given() -> None:
    nothing = parse(recipe_json(HERE, dataset={"path": "/d"}))
    assert nothing.dataset.patterns("pretrain") == ("**/*.txt",)
    assert nothing.dataset.patterns("sft") == ("**/*.jsonl", "**/*.parquet", "**/*.arrow")


@pytest.mark.parametrize("text", [None, "", "{", "[]"])
def test_a_recipe_that_is_missing_or_no_json_object_is_refused(text: str | None) -> None:
    with pytest.raises(RecipeError, match="SLIPWAY_RECIPE"):
        read_recipe({} if text is None else {"SLIPWAY_RECIPE": text})


def test_a_batch_must_divide_evenly() -> None:
    recipe = parse(recipe_json(HERE))
    check_world(recipe, 2)
    with pytest.raises(RecipeError, match=r"training\.batchSize: 4 is not a multiple of the 3 processes"):
        check_world(recipe, 3)


def test_a_batch_must_divide_into_micro_batches() -> None:
    check_world(parse(changed("training.accumulationSteps", 2)), 2)
    with pytest.raises(RecipeError, match=r"4 is not a multiple of the 2 processes \* training.accumulationSteps, 8"):
        check_world(parse(changed("training.accumulationSteps", 4)), 2)


def cut(model: dict[str, int] | None = None, *, accumulate: int = 1, **parallel: Any) -> dict[str, Any]:
    """A recipe with strategy parallel."""
    shape = {"vocabSize": 512, "contextLength": 64, "hiddenSize": 64, "layers": 4, "heads": 4, "kvHeads": 2}
    training = {"steps": 8, "batchSize": 4, "accumulationSteps": accumulate}
    return recipe_json(HERE, strategy="parallel", model=shape | (model or {}), training=training, parallel=parallel)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (cut(tensor=4), "model.kvHeads: 2 is not a multiple of 4"),
        (cut({"vocabSize": 513}, tensor=2), "model.vocabSize: 513 is not a multiple of 2"),
        (cut({"contextLength": 34}, context=2), "model.contextLength: 34 is not a multiple of 4"),
        (cut({"layers": 3}, pipeline=2, accumulate=2), "model.layers: 3 is not a multiple of 2"),
        (
            cut({"layers": 2}, pipeline=2, accumulate=2, schedule="Interleaved1F1B"),
            "model.layers: 2 is not a multiple of 4",
        ),
        (cut({"experts": 3}, expert=2), "model.experts: 3 is not a multiple of 2"),
        (cut(expert=2), "model.experts: 1 is not a multiple of 2"),
        (cut({"experts": 2}, tensor=2), "parallel.tensor: it cuts no experts"),
        (cut(pipeline=2), "training.accumulationSteps: 1 is not a multiple of 2"),
        (cut(schedule="Interleaved1F1B"), "parallel.schedule: Interleaved1F1B needs a pipeline"),
        (
            cut({"hiddenSize": 96, "heads": 3, "kvHeads": 3, "vocabSize": 513, "contextLength": 48}, tensor=3),
            "model.hiddenSize: the feed-forward width: 256 is not a multiple of 3",
        ),
    ],
)
def test_a_model_that_cannot_be_cut_so_is_refused(recipe: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as error:
        read(recipe)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("settings", "accelerator"),
    [({"offload": "nvme", "stage": 2, "nvmePath": "/scratch"}, "nvidia"), ({"offload": "nvme", "stage": 3}, "nvidia")],
)
def test_nvme_needs_stage_3_and_a_path(settings: dict[str, Any], accelerator: str) -> None:
    with pytest.raises(RecipeError, match=r"deepspeed.offload: nvme needs stage 3 and nvmePath"):
        read(recipe_json(HERE, accelerator=accelerator, strategy="deepspeed", deepspeed=settings))


def test_what_parallel_leaves_over_is_data_parallel() -> None:
    recipe = read(cut(tensor=2, pipeline=2, accumulate=2))
    check_world(recipe, 8)
    assert data_ranks(recipe, 8) == 2
    assert data_ranks(parse(recipe_json(HERE)), 8) == 8
    with pytest.raises(RecipeError, match=r"tensor \* pipeline \* context is 4, which does not divide the 6 processes"):
        check_world(recipe, 6)
    with pytest.raises(RecipeError, match=r"parallel.expert: it does not divide the processes"):
        check_world(read(cut({"experts": 4}, expert=4, pipeline=2, accumulate=2)), 4)
    with pytest.raises(RecipeError, match=r"4 is not a multiple of the 4 data parallel processes .*, 8"):
        check_world(recipe, 16)


@pytest.mark.parametrize(
    ("path", "value", "same"),
    [
        ("strategy", "fsdp", True),
        ("ddp", {"bucketMib": 1}, True),
        ("activationCheckpointing", "full", True),
        ("training.accumulationSteps", 2, True),
        ("checkpoint.everySteps", 99, True),
        ("checkpoint.mode", "Sync", True),
        ("checkpoint.layout", "Sharded", True),
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


def test_the_fingerprint_knows_what_is_scrubbed() -> None:
    cleanings = [{"scrubPatterns": [{"name": name, "pattern": pattern}]} for name in "ab" for pattern in "xy"]
    assert len({parse(changed("dataset.cleaning", each)).fingerprint for each in (None, *cleanings)}) == 5


def test_the_environment_is_read_and_empty_means_absent() -> None:
    environment = Environment.read({"SLIPWAY_OUTPUT_DIR": "/slipway/output", "SLIPWAY_PROGRESS_URL": ""})
    assert environment.output_dir == Path("/slipway/output")
    assert environment.progress_url is None
    assert environment.termination_log == Path("/dev/termination-log")
