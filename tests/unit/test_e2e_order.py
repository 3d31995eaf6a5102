"""The end-to-end cases that take the operator away come last, wherever their file stands in the alphabet."""

from typing import Any, cast

import pytest

from tests.e2e import test_helm
from tests.e2e.conftest import pytest_collection_modifyitems


class Item:
    def __init__(self, name: str, *marks: str) -> None:
        self.name, self.marks = name, marks

    def get_closest_marker(self, name: str) -> str | None:
        return name if name in self.marks else None


def test_what_runs_last_comes_after_the_rest_and_all_else_stays() -> None:
    items = [Item("chain"), Item("helm 1", "runs_last"), Item("helm 2", "runs_last"), Item("bad input", "level")]
    pytest_collection_modifyitems(cast(list[pytest.Item], items))
    assert [item.name for item in items] == ["chain", "bad input", "helm 1", "helm 2"]


def test_helm_runs_last() -> None:
    marks: Any = test_helm.pytestmark
    assert "runs_last" in [mark.name for mark in marks]
