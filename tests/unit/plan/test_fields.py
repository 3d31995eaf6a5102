"""Contract 3: no field of the API is accepted that has no effect. Which of them shows where: fieldcases.py.

A new field fails here until the plan does something about it (or, if it shows only where something happens, until
fieldcases.py names that situation). What becomes of a recipe in the trainer: tests/unit/train/test_recipe_is_read.py.
"""

import importlib
from dataclasses import replace
from typing import Annotated

import pytest
from pydantic import Field

from slipway.api.crd import TRAINING_JOB
from slipway.api.trainingjob import TrainingJob, TrainingJobSpec

from .fieldcases import JOB, SERVICE, Subject, has_effect, paths

FIELDS = [(subject, path) for subject in (JOB, SERVICE) for path in paths(subject.kind)]


class PlantedSpec(TrainingJobSpec):
    planted: Annotated[int, Field(ge=1, le=9)] = 1


class PlantedJob(TrainingJob):
    spec: PlantedSpec


@pytest.mark.parametrize(("subject", "path"), FIELDS, ids=[f"{subject.kind.kind} {path}" for subject, path in FIELDS])
def test_every_field_has_an_effect(subject: Subject, path: str) -> None:
    assert has_effect(subject, path)


def test_a_field_that_nobody_reads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    planted = replace(JOB, kind=replace(TRAINING_JOB, model=PlantedJob))
    monkeypatch.setattr(importlib.import_module("slipway.plan.training.plan"), "TrainingJob", PlantedJob)
    assert set(paths(planted.kind)) - set(paths(JOB.kind)) == {"planted"}
    assert not has_effect(planted, "planted")
    assert has_effect(planted, "suspend")


def test_the_cases_are_of_fields_that_there_are() -> None:
    for subject in (JOB, SERVICE):
        assert set(subject.cases) <= set(paths(subject.kind))
