"""The samples are jobs that the recipes take; the demo applies the one of pretrain."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.api.trainingjob import TrainingJob
from slipway.plan.training.recipe import recipe_json
from slipway_train.config import RECIPE_VARIABLE, Recipe, check_world, read_recipe

SAMPLE = Path(__file__).parents[3] / "workloads" / "samples" / "trainingjob-pretrain.yaml"


@pytest.fixture
def body() -> Any:
    return yaml.safe_load(SAMPLE.read_text())


def as_recipe(job: TrainingJob) -> Recipe:
    return read_recipe({RECIPE_VARIABLE: recipe_json(job.spec)})


def test_the_sample_is_a_job_of_the_api(body: Any) -> None:
    assert (body["apiVersion"], body["kind"]) == ("slipway.dev/v1alpha1", "TrainingJob")
    assert body["metadata"]["name"] == "stdlib"
    spec = TrainingJob.read(body).spec
    assert (spec.recipe, spec.nodes, spec.per_node) == ("pretrain", 2, 1)


def test_the_recipe_takes_it(body: Any) -> None:
    job = TrainingJob.read(body)
    recipe = as_recipe(job)
    check_world(recipe, job.spec.nodes * job.spec.per_node)
    assert recipe.dataset.path == "/usr/lib/python3.11"


def test_the_head_size_can_be_served(body: Any) -> None:
    model = as_recipe(TrainingJob.read(body)).model
    assert model.hidden_size // model.heads in {32, 64, 80, 96, 112, 128, 192, 256}, "vLLM's CPU attention"


@pytest.mark.parametrize("name", ["sft", "lora"])
def test_the_other_samples_are_taken_too(name: str) -> None:
    body = yaml.safe_load(SAMPLE.with_name(f"trainingjob-{name}.yaml").read_text())
    job = TrainingJob.read(body)
    recipe = as_recipe(job)
    check_world(recipe, job.spec.nodes * job.spec.per_node)
    assert recipe.recipe == name
    assert recipe.base_model
    assert recipe.base_model.path == "/slipway/base-model"
