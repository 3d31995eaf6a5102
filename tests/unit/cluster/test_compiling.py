from __future__ import annotations

import io
import itertools
from pathlib import Path

import pytest
from bed import gobuild
from bed.compiling import TELL_SECONDS
from bed.places import Places
from bed.shell import Failure, RealShell
from bed.steps import Steps

from .fake_shell import FakeShell

LISTED = "go: downloading k8s.io/api v0.34.4\nunsafe\nnet/http\nexample.com/tool\n"
BUILT = "net/http\nexample.com/tool\n"


def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, seconds_a_look: float) -> tuple[FakeShell, str]:
    """Build kind with a go that prints the above, by a clock that moves with every look at it."""
    places, out, ticks = Places(tmp_path), io.StringIO(), itertools.count()
    monkeypatch.setattr("bed.toolchain.shutil.which", lambda _: "go")

    def go_build(words: list[str]) -> str:
        (Path(words[words.index("-o") + 1]) / "kind").touch()
        return BUILT

    shell = FakeShell({"go env GOVERSION": "go1.26.0", "go list -deps": LISTED, "go build": go_build})
    steps = Steps(out=out, clock=lambda: next(ticks) * seconds_a_look)
    gobuild.GoBuilder(places, shell, steps).build(["kind"])
    return shell, out.getvalue()


def test_a_long_build_says_how_many_of_its_packages_are_compiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell, printed = build(tmp_path, monkeypatch, seconds_a_look=TELL_SECONDS)
    told = [line.split("]   ")[1] for line in printed.splitlines() if "]   " in line]
    assert told == [
        "modules downloaded: 1",
        "packages compiled: 1 of at most 3",
        "packages compiled: 2 of at most 3",
    ]
    assert len(shell.ran("go build -v ")) == 1


def test_a_short_build_says_nothing_in_between(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, printed = build(tmp_path, monkeypatch, seconds_a_look=0.01)
    assert [line.split("] ")[1].split(":")[0] for line in printed.splitlines()] == [
        "go build kind ...",
        "go build kind",
    ]


def test_lines_are_handed_on_while_the_program_runs(tmp_path: Path) -> None:
    """The program waits for what only the first line's reader makes."""
    gate, lines = tmp_path / "gate", []

    def line(text: str) -> None:
        lines.append(text)
        gate.touch()

    script = f"echo one >&2; while [ ! -e {gate} ]; do :; done; echo two"
    RealShell().follow(["sh", "-c", script], line)
    assert lines == ["one", "two"]


def test_a_program_that_is_not_there_is_a_failure_with_the_mend() -> None:
    with pytest.raises(Failure, match="`no-such-program` is not installed; `setup` installs"):
        RealShell().follow(["no-such-program"], lambda _: None)


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(Failure, match=r"exited with 3:\nfile.go:1: wrong"):
        RealShell().follow(["sh", "-c", "echo file.go:1: wrong; exit 3"], lambda _: None)
