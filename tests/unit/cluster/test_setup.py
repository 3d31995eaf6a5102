"""What the bed installs, and what it only asks for."""

import io

import pytest
from bed import setup
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import FakeShell


def test_without_uv_it_says_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pip is called: a bare Debian has none, and what it would install for the whole system nobody removes."""
    monkeypatch.setattr("bed.setup.shutil.which", lambda program, path=None: None if program == "uv" else program)
    shell = FakeShell()
    with pytest.raises(Failure, match="run `make setup` once"):
        setup.install_packages(shell, Steps(out=io.StringIO()))
    assert not any("pip" in command for command in shell.commands)
