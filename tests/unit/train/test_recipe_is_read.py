"""Whether the trainer reads what a recipe says. That the operator says it is held in tests/unit/plan/test_fields.py.

By name only: a field that shares its name with another attribute passes for its sake. What checks a recipe (config.py)
makes no use of it, and does not count.
"""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

import slipway_train
from slipway.api.evaluation import Requirement
from slipway.api.trainingjob import CheckpointSpec
from slipway_train import config

PROGRAMS = [path for path in Path(slipway_train.__file__).parent.rglob("*.py") if path.name != "config.py"]
OWN_ANSWERS = (config.Recipe, config.Dataset, CheckpointSpec)  # types whose properties read fields for the programs
AS_A_WHOLE = (Requirement,)  # it asks for each of its own fields by what kind of bound the name says


def fields(model: type[BaseModel]) -> Iterator[str]:
    """The name in Python of every field that has no parts, and of the parts' fields."""
    for name, field in model.model_fields.items():
        parts = [part for part in _types(field.annotation) if issubclass(part, BaseModel) and part not in AS_A_WHOLE]
        yield from (each for part in parts for each in fields(part)) if parts else (name,)


def _types(annotation: object) -> list[type]:
    """The classes of which it is made."""
    if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
        return [annotation]
    return [each for part in getattr(annotation, "__args__", ()) for each in _types(part)]


def reads(source: str) -> set[str]:
    """Every attribute that is looked up."""
    found = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Attribute))
    return {node.attr for node in found if isinstance(node.ctx, ast.Load)}


@pytest.fixture(scope="module")
def used() -> set[str]:
    sources = [*(path.read_text() for path in PROGRAMS), *map(inspect.getsource, OWN_ANSWERS)]
    return set[str]().union(*map(reads, sources))


def test_every_field_of_a_recipe_is_read(used: set[str]) -> None:
    assert {"learning_rate", "similarity_percent", "bucket_mib", "require"} <= set(fields(config.Recipe))
    assert set(fields(config.Recipe)) - used == set()


def test_one_that_is_not_is_found(used: set[str]) -> None:
    class Planted(config.Recipe):
        planted: int = 1

    assert set(fields(Planted)) - used == {"planted"}
