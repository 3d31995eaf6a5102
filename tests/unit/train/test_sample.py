"""The sample that the demo applies is a job that this recipe takes."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.api.trainingjob import TrainingJob
from slipway_train.config import Recipe, _check_shape, check_world

from .support import parse

SAMPLE = Path(__file__).parents[3] / "workloads" / "samples" / "trainingjob-pretrain.yaml"


@pytest.fixture
def body() -> Any:
    return yaml.safe_load(SAMPLE.read_text())


def as_recipe(job: TrainingJob) -> Recipe:
    """As the operator renders SLIPWAY_RECIPE (docs/architecture.md)."""
    spec = job.spec
    assert spec.model
    assert spec.dataset
    assert spec.training
    assert spec.checkpoint
    dataset = spec.dataset.model_dump(mode="json", by_alias=True)
    dataset["path"] = dataset.pop("uri").removeprefix("file://")
    parts = {"model": spec.model, "training": spec.training, "checkpoint": spec.checkpoint}
    rendered = {name: part.model_dump(mode="json", by_alias=True) for name, part in parts.items()}
    rest = {"recipe": spec.recipe, "precision": spec.precision, "accelerator": spec.accelerator}
    return parse({**rendered, **rest, "strategy": "ddp", "dataset": dataset})


def test_the_sample_is_a_job_of_the_api(body: Any) -> None:
    assert (body["apiVersion"], body["kind"]) == ("slipway.dev/v1alpha1", "TrainingJob")
    assert body["metadata"]["name"] == "stdlib"
    spec = TrainingJob.read(body).spec
    assert (spec.recipe, spec.nodes, spec.per_node) == ("pretrain", 2, 1)


def test_the_recipe_takes_it(body: Any) -> None:
    job = TrainingJob.read(body)
    recipe = as_recipe(job)
    _check_shape(recipe.model)
    check_world(recipe, job.spec.nodes * job.spec.per_node)
    assert recipe.dataset.path == "/usr/lib/python3.11"


def test_the_head_size_can_be_served(body: Any) -> None:
    model = as_recipe(TrainingJob.read(body)).model
    assert model.hidden_size // model.heads in {32, 64, 80, 96, 112, 128, 192, 256}, "vLLM's CPU attention"
