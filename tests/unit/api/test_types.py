"""Reading objects through the types: defaults, spelling, and what is refused at which path."""

from typing import Any

import pytest
from pydantic import ValidationError

from slipway.api.common import Resource
from slipway.api.inferenceservice import InferenceService
from slipway.api.trainingjob import TrainingJob

JOB: dict[str, Any] = {"recipe": "pretrain", "dataset": {"uri": "file:///x"}, "training": {"steps": 5}}
SERVICE: dict[str, Any] = {"model": {"from": {"trainingJob": "pretrain"}}}


def test_defaults_of_a_training_job() -> None:
    spec = TrainingJob.read({"spec": JOB}).spec
    assert (spec.nodes, spec.per_node, spec.accelerator, spec.strategy, spec.precision) == (1, 1, "cpu", "auto", "fp32")
    assert spec.training is not None
    assert (spec.training.batch_size, spec.training.optimizer.learning_rate) == (16, "0.003")
    assert (spec.output.when_deleted, spec.failure_policy.max_restarts, spec.model) == ("Retain", 3, None)


def test_from_is_read_although_it_is_a_word_of_python() -> None:
    source = InferenceService.read({"spec": SERVICE}).spec.model.source
    assert source is not None
    assert source.training_job == "pretrain"


def test_a_pod_template_keeps_what_it_does_not_know() -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"anything": [1]}}
    read = TrainingJob.read({"spec": JOB | {"podTemplate": template}}).spec.pod_template
    assert read is not None
    assert (read.metadata, read.spec) == (template["metadata"], template["spec"])


def test_what_is_spelled_for_the_api_is_written_so() -> None:
    dumped = TrainingJob.read({"spec": JOB}).model_dump(by_alias=True, exclude_none=True)
    assert dumped["spec"]["training"]["batchSize"] == 16


@pytest.mark.parametrize(
    ("kind", "spec", "where"),
    [
        (TrainingJob, JOB | {"lottery": "a"}, ("spec", "lottery")),
        (TrainingJob, JOB | {"nodes": 0}, ("spec", "nodes")),
        (TrainingJob, JOB | {"dataset": {"uri": "hf://x"}}, ("spec", "dataset", "uri")),
        (TrainingJob, JOB | {"training": {}}, ("spec", "training", "steps")),
        (TrainingJob, JOB | {"podTemplate": {"metadata": {"name": "x"}}}, ("spec", "podTemplate", "metadata", "name")),
        (TrainingJob, JOB | {"output": {"size": "big"}}, ("spec", "output", "size")),
        (InferenceService, SERVICE | {"engine": "other"}, ("spec", "engine")),
        (InferenceService, SERVICE | {"engineArgs": ["a"]}, ("spec", "engineArgs", 0)),
        (InferenceService, SERVICE | {"scaling": {}}, ("spec", "scaling", "maxReplicas")),
        (InferenceService, {}, ("spec", "model")),
    ],
)
def test_a_mistake_is_refused_with_its_path(kind: type[Resource], spec: dict[str, Any], where: tuple[Any, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        kind.read({"spec": spec})
    assert where in [error["loc"] for error in caught.value.errors()]


def test_objects_are_frozen() -> None:
    job = TrainingJob.read({"spec": JOB})
    with pytest.raises(ValidationError, match="frozen"):
        job.spec.nodes = 2  # type: ignore[misc]
