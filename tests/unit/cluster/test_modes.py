from __future__ import annotations

import io
from pathlib import Path

import pytest
from bed import modes
from bed.modes import PUBLISHED_NODE, Mode
from bed.places import Places
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import FakeShell

NO = Failure("no")


def quiet() -> Steps:
    return Steps(out=io.StringIO())


def test_an_engine_that_the_bed_started_pulls_nothing(tmp_path: Path) -> None:
    shell = FakeShell()
    assert modes.decide(Places(tmp_path), shell, engine_is_ours=True)[0] is Mode.BUILT
    assert not shell.commands


def test_a_node_image_that_is_there_is_not_pulled(tmp_path: Path) -> None:
    shell = FakeShell()
    assert modes.decide(Places(tmp_path), shell, engine_is_ours=False)[0] is Mode.PUBLISHED
    assert not shell.ran("docker pull")


def test_an_engine_that_can_pull_uses_published_images(tmp_path: Path) -> None:
    shell = FakeShell({"docker image inspect": NO})
    assert modes.decide(Places(tmp_path), shell, engine_is_ours=False)[0] is Mode.PUBLISHED
    assert shell.ran("docker pull") == [f"docker pull --quiet {PUBLISHED_NODE}"]


def test_an_engine_without_a_registry_builds(tmp_path: Path) -> None:
    shell = FakeShell({"docker image inspect": NO, "docker pull": NO})
    assert modes.decide(Places(tmp_path), shell, engine_is_ours=False)[0] is Mode.BUILT


def test_what_was_asked_for_once_decides_nothing_later(tmp_path: Path) -> None:
    places, shell = Places(tmp_path), FakeShell({"docker image inspect": NO, "docker pull": NO})
    for asked, expected in (("published", Mode.PUBLISHED), (None, Mode.BUILT), ("published", Mode.PUBLISHED)):
        assert modes.choose(places, shell, quiet(), engine_is_ours=False, asked=asked) is expected


def test_a_pull_that_failed_is_tried_again_after_the_machine_was_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places, shell = Places(tmp_path / "cache"), FakeShell({"docker image inspect": NO, "docker pull": NO})
    monkeypatch.setattr(modes, "BOOT", tmp_path / "boot")
    for boot, pulls in (("one", 1), ("one", 1), ("two", 2)):
        modes.BOOT.write_text(boot)
        assert modes.choose(places, shell, quiet(), engine_is_ours=False, asked=None) is Mode.BUILT
        assert len(shell.ran("docker pull")) == pulls


def test_an_image_that_came_in_some_other_way_is_used_after_a_failed_pull(tmp_path: Path) -> None:
    places, shell = Places(tmp_path), FakeShell({"docker image inspect": NO, "docker pull": NO})
    assert modes.choose(places, shell, quiet(), engine_is_ours=False, asked=None) is Mode.BUILT
    del shell.answers["docker image inspect"]
    assert modes.choose(places, shell, quiet(), engine_is_ours=False, asked=None) is Mode.PUBLISHED
