"""A fixed budget of what `make sim` searches without end: crash points, deletions and random scripts."""

from itertools import islice

import pytest

from ..crashes import every_crash, every_deletion
from ..faults import Overlook
from ..judge import judge
from ..scenarios import SCENARIOS
from ..script import Script
from ..seeds import script

SEEDS = 120
EVERY_CRASH, EVERY_DELETION = 97, 61  # one point in so many


def verdict(script: Script) -> list[str]:
    return [str(violation) for violation in judge(script).violations]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_seed(seed: int) -> None:
    assert verdict(script(seed)) == []


@pytest.mark.parametrize("name", ["the training operator is installed late", "KEDA is installed late"])
def test_a_kind_that_kopf_overlooks_costs_a_restart(name: str) -> None:
    """It is served, and nothing of it is ever told: the operator ends, and sees it when it is back."""
    (late,) = SCENARIOS[name].absent
    assert verdict(Script(name, faults=(Overlook(late),), restart=True)) == []


def test_crash_points() -> None:
    found = {repr(point): wrong for point in islice(every_crash(), 0, None, EVERY_CRASH) if (wrong := verdict(point))}
    assert found == {}


def test_deletions() -> None:
    chosen = islice(every_deletion(), 0, None, EVERY_DELETION)
    assert {repr(point): wrong for point in chosen if (wrong := verdict(point))} == {}
