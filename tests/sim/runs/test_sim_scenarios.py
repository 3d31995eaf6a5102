"""Every scenario, undisturbed: it ends as it says, nothing is written at rest, and a restart changes nothing."""

import json

import pytest

from ..acts import SERVICES
from ..judge import expectations, judge
from ..scenarios import SCENARIOS
from ..script import Script


@pytest.mark.parametrize("name", SCENARIOS)
def test_undisturbed(name: str) -> None:
    outcome = judge(Script(name, restart=True))
    assert [str(violation) for violation in outcome.violations] == []
    assert expectations(name, outcome) == []


def test_what_others_add_to_the_pods_is_told_and_left() -> None:
    end = judge(Script("an annotation is added to the Deployment's pods", restart=True)).end.objects
    assert json.loads(end[f"{SERVICES}/serve"])["status"]["podTemplateAdditions"] == [
        "metadata.annotations[team.example/note] (user)"
    ]
