"""Every scenario, undisturbed: it ends as it says, nothing is written at rest, and a restart changes nothing."""

import pytest

from ..judge import expectations, judge
from ..scenarios import SCENARIOS
from ..script import Script


@pytest.mark.parametrize("name", SCENARIOS)
def test_undisturbed(name: str) -> None:
    outcome = judge(Script(name, restart=True))
    assert [str(violation) for violation in outcome.violations] == []
    assert expectations(name, outcome) == []
