from __future__ import annotations

from pathlib import Path

import pytest
from bed import cli
from bed.places import Places


def test_every_command_explains_itself() -> None:
    assert all(function.__doc__ for function in cli.COMMANDS.values())
    assert set(cli.COMMANDS) == {"setup", "build", "images", "up", "addons", "load", "status", "down", "env"}


def test_env_is_for_eval_and_nothing_else(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin")
    assert cli.main(["env", "--name", "two"]) == 0
    places = Places(tmp_path)
    assert (
        capsys.readouterr().out == f'export KUBECONFIG={places.kubeconfig("two")}\nexport PATH={places.bin}:"$PATH"\n'
    )


def test_load_needs_to_know_what() -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["load"])
