"""What strategy auto becomes, and what a trainer is told of the chosen one."""

import json
from typing import Any

import pytest

from slipway.api.trainingjob import ModelSpec, TrainingJobSpec
from slipway.plan.training.recipe import recipe_json
from slipway.plan.training.strategy import automatic, parameters, process_memory_bytes

from .builders import RECIPE


def spec(**changes: Any) -> TrainingJobSpec:
    return TrainingJobSpec.model_validate({**RECIPE, **changes})


def limited(memory: str, **changes: Any) -> TrainingJobSpec:
    container = {"name": "main", "resources": {"limits": {"memory": memory}}}
    return spec(podTemplate={"spec": {"containers": [{"name": "other"}, container]}}, **changes)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (ModelSpec(), 2048 * 192 + 4 * (2 * 192 * 192 + 2 * 192 * 64 + 3 * 192 * 512 + 2 * 192) + 192),
        (ModelSpec(experts=3), 2048 * 192 + 4 * (2 * 192 * 256 + 3 * 3 * 192 * 512 + 3 * 192 + 2 * 192) + 192),
        (ModelSpec(vocab_size=512, hidden_size=32, layers=1, heads=2, kv_heads=1), 16384 + 3072 + 9216 + 64 + 32),
    ],
)
def test_parameters_are_counted(model: ModelSpec, expected: int) -> None:
    assert parameters(model) == expected


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        ("2Gi", 2**30),
        ("1500M", 750e6),
        ("3000000000", 1.5e9),
        ("1.5Gi", 0.75 * 2**30),
        ("500m", 0.25),
        ("2E", 1e18),
        ("1Ei", 2**59),
    ],
)
def test_a_process_has_its_share_of_the_containers_limit(memory: str, expected: float) -> None:
    assert process_memory_bytes(limited(memory, perNode=2)) == expected


@pytest.mark.parametrize(
    "nothing_said",
    [
        spec(),
        spec(podTemplate={"spec": {}}),
        spec(podTemplate={"spec": {"containers": [{"name": "main"}]}}),
        spec(podTemplate={"spec": {"containers": [{"name": "main", "resources": {"limits": {"cpu": "2"}}}]}}),
        limited("8Gi", accelerator="nvidia"),
        limited("much"),
        spec(podTemplate={"spec": {"containers": {"name": "main"}}}),
        spec(podTemplate={"spec": {"containers": ["main", {"name": "main", "resources": ["1Gi"]}]}}),
    ],
)
def test_memory_that_nothing_limits_is_not_known(nothing_said: TrainingJobSpec) -> None:
    assert process_memory_bytes(nothing_said) is None
    assert automatic(nothing_said) == "ddp"


def test_auto_is_ddp_for_a_base_model_of_unknown_size() -> None:
    base = limited("1M", perNode=2, recipe="sft", model=None, baseModel={"uri": "file:///m"})
    assert automatic(base) == "ddp"
    assert json.loads(recipe_json(base))["strategy"] == "ddp"


def test_auto_is_ddp_while_a_process_can_hold_the_model() -> None:
    needed = 16 * parameters(ModelSpec())
    assert automatic(limited(str(needed))) == "ddp"
    assert automatic(limited(str(needed - 1))) == "fsdp"
    assert automatic(limited(str(2 * needed - 1), perNode=2)) == "fsdp"


def test_one_process_has_nobody_to_share_with() -> None:
    assert automatic(limited("1Mi", nodes=1)) == "ddp"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, {"strategy": "ddp", "ddp": {"bucketMib": 25}}),
        ({"strategy": "ddp", "ddp": {"bucketMib": 50}}, {"strategy": "ddp", "ddp": {"bucketMib": 50}}),
        ({"strategy": "fsdp"}, {"strategy": "fsdp", "fsdp": {"shard": "full", "offload": "none"}}),
        (
            {"strategy": "deepspeed", "deepspeed": {"stage": 1}},
            {"strategy": "deepspeed", "deepspeed": {"stage": 1, "offload": "none"}},
        ),
        (
            {"strategy": "parallel", "parallel": {"tensor": 2}},
            {
                "strategy": "parallel",
                "parallel": {"tensor": 2, "pipeline": 1, "context": 1, "expert": 1, "schedule": "1F1B"},
            },
        ),
    ],
)
def test_the_trainer_is_told_of_its_strategy_alone(changes: Any, told: Any) -> None:
    rendered = json.loads(recipe_json(spec(**changes)))
    names = ("strategy", "ddp", "fsdp", "deepspeed", "parallel")
    assert {name: rendered[name] for name in names if name in rendered} == told
    assert rendered["activationCheckpointing"] == "none"
