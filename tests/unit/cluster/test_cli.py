from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from bed import cli
from bed.engine import Engine, EngineFiles
from bed.places import Places
from bed.shell import Failure

from .fake_shell import FakeShell


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
        capsys.readouterr().out
        == f'export KUBECONFIG={places.kubeconfig("two")}\nexport PATH={places.bin}:"$PATH":{places.uv_bin}\n'
    )


@pytest.mark.parametrize("count", ["0", "-3", "two", "1.5"])
def test_a_cluster_has_a_node(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["up", "--nodes", count])
    assert "is not a number of nodes: 1 or more" in capsys.readouterr().err


def test_env_is_for_eval_whatever_the_cache_is_called(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cache = tmp_path / "it's $HOME; a cache"
    monkeypatch.setenv("SLIPWAY_CACHE", str(cache))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert cli.main(["env"]) == 0
    script = f'{capsys.readouterr().out}printf "%s\\n" "$KUBECONFIG" "$PATH"'
    shown = subprocess.run(["sh", "-c", script], env={"PATH": "/bin"}, capture_output=True, text=True, check=True)
    assert shown.stdout.splitlines() == [
        str(cache / "slipway.kubeconfig"),
        f"{cache / 'bin'}:/bin:{cache / 'uv' / 'bin'}",
    ]


def test_load_needs_to_know_what() -> None:
    with pytest.raises(SystemExit):
        cli.parser().parse_args(["load"])


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (["images", "operator", "TYPO"], "no such image: TYPO. There are: "),
        (["addons", "TYPO"], "no such add-on: TYPO. There are: "),
        (["up", "--addons", "TYPO"], "no such add-on: TYPO. There are: "),
    ],
)
def test_a_misspelt_name_is_told_before_anything_is_started(
    command: list[str],
    complaint: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    shell = FakeShell()
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setattr(cli, "RealShell", lambda: shell)
    assert cli.main(command) == 1
    assert complaint in capsys.readouterr().err
    assert shell.commands == []


def test_down_without_an_engine_says_what_it_could_not_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A kubeconfig that leads nowhere goes; the engine's places are a test's, with nothing in them."""
    shell = FakeShell({"docker version": Failure("no daemon")})
    files = EngineFiles(data=tmp_path / "docker", run=tmp_path / "run", socket=tmp_path / "socket", proc=tmp_path)
    monkeypatch.setenv("SLIPWAY_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setattr(cli, "RealShell", lambda: shell)
    monkeypatch.setattr(cli, "Engine", lambda places, shell, steps: Engine(places, shell, steps, files))
    kubeconfig = Places(tmp_path).kubeconfig("slipway")
    kubeconfig.touch()
    assert cli.main(["down", "--all"]) == 0
    told = capsys.readouterr().out
    assert "cluster slipway: no container engine answers; what a stopped one holds of it" in told
    assert "container engine: none runs, and none of the bed's left anything" in told
    assert not kubeconfig.exists()
    assert shell.ran("kind") == []
