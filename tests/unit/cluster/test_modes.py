from __future__ import annotations

import io
from pathlib import Path

from bed import modes
from bed.modes import PUBLISHED_NODE, Mode
from bed.places import Places
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import FakeShell

NO = Failure("no")


def quiet() -> Steps:
    return Steps(out=io.StringIO())


def test_an_engine_that_the_bed_started_pulls_nothing() -> None:
    shell = FakeShell()
    assert modes.decide(shell, engine_is_ours=True)[0] is Mode.BUILT
    assert not shell.commands


def test_a_node_image_that_is_there_is_not_pulled() -> None:
    shell = FakeShell()
    assert modes.decide(shell, engine_is_ours=False)[0] is Mode.PUBLISHED
    assert not shell.ran("docker pull")


def test_an_engine_that_can_pull_uses_published_images() -> None:
    shell = FakeShell({"docker image inspect": NO})
    assert modes.decide(shell, engine_is_ours=False)[0] is Mode.PUBLISHED
    assert shell.ran("docker pull") == [f"docker pull --quiet {PUBLISHED_NODE}"]


def test_an_engine_without_a_registry_builds() -> None:
    shell = FakeShell({"docker image inspect": NO, "docker pull": NO})
    assert modes.decide(shell, engine_is_ours=False)[0] is Mode.BUILT


def test_the_decision_is_made_once_and_may_be_overridden(tmp_path: Path) -> None:
    places, shell = Places(tmp_path), FakeShell({"docker image inspect": NO, "docker pull": NO})
    for forced, expected in (
        (None, Mode.BUILT),
        (None, Mode.BUILT),
        ("published", Mode.PUBLISHED),
        (None, Mode.PUBLISHED),
    ):
        assert modes.remembered(places, shell, quiet(), engine_is_ours=False, forced=forced) is expected
    assert len(shell.ran("docker pull")) == 1
