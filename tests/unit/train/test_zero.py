"""What DeepSpeed is told, judged by DeepSpeed; that it trains is in tests/integration/test_train_strategies.py."""

import os
from pathlib import Path
from typing import Any

import pytest

from slipway_train.config import Recipe
from slipway_train.errors import RecipeError
from slipway_train.gang import Gang
from slipway_train.strategies import zero

from .support import parse, recipe_json

os.environ.setdefault("DS_ACCELERATOR", "cpu")  # it would look for GPUs
deepspeed = pytest.importorskip("deepspeed")


def recipe(**settings: Any) -> Recipe:
    training = {"steps": 8, "batchSize": 16, "accumulationSteps": 2}
    return parse(recipe_json(Path("/data"), strategy="deepspeed", training=training, deepspeed=settings))


def test_it_is_told_the_batch_and_the_precision() -> None:
    config = zero.zero_config(recipe(stage=1).model_copy(update={"precision": "bf16"}), 4)
    assert config["train_batch_size"] == 16
    assert config["train_micro_batch_size_per_gpu"] == 2
    assert config["gradient_accumulation_steps"] == 2
    assert config["torch_autocast"] == {"enabled": True, "dtype": "bfloat16"}
    assert config["gradient_clipping"] == 1.0


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"stage": 1}, {"stage": 1}),
        ({"stage": 2, "offload": "cpu"}, {"stage": 2, "offload_optimizer": {"device": "cpu", "pin_memory": True}}),
        (
            {"stage": 3, "offload": "nvme", "nvmePath": "/scratch"},
            {
                "stage": 3,
                "offload_optimizer": {"device": "nvme", "pin_memory": True, "nvme_path": "/scratch"},
                "offload_param": {"device": "nvme", "pin_memory": True, "nvme_path": "/scratch"},
            },
        ),
    ],
)
def test_it_is_told_the_stage_and_the_offload(settings: dict[str, Any], expected: dict[str, Any]) -> None:
    assert zero.zero_config(recipe(**settings), 1)["zero_optimization"] == expected


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("offload", ["none", "cpu", "nvme"])
def test_its_own_configuration_class_takes_it(gang: Gang, stage: int, offload: str) -> None:
    settings = {"stage": stage, "offload": offload} | ({"nvmePath": "/scratch"} if offload == "nvme" else {})
    config = zero.zero_config(recipe(**settings), gang.world_size)
    read = deepspeed.runtime.config.DeepSpeedConfig(config)
    assert read.zero_optimization_stage == stage
    where = read.zero_config.offload_optimizer
    assert (where.device if where else "none") == offload
    assert (read.zero_config.offload_param is not None) == (stage == 3 and offload != "none")
    assert (read.train_batch_size, read.gradient_accumulation_steps, read.gradient_clipping) == (16, 2, 1.0)


def test_nvme_without_its_reader_is_the_recipes_mistake(gang: Gang, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepspeed.ops.op_builder.AsyncIOBuilder.is_compatible", lambda self, verbose: False)
    with pytest.raises(RecipeError, match=r"deepspeed.offload: nvme needs DeepSpeed's async_io"):
        zero.Zero(object(), recipe(stage=3, offload="nvme", nvmePath="/scratch"), gang)


def test_nvme_without_its_disk_is_the_recipes_mistake(gang: Gang, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepspeed.ops.op_builder.AsyncIOBuilder.is_compatible", lambda self, verbose: True)
    with pytest.raises(RecipeError, match=r"deepspeed.nvmePath: /nowhere cannot be written"):
        zero.Zero(object(), recipe(stage=3, offload="nvme", nvmePath="/nowhere"), gang)
