"""Two runs on one cache, each a process of its own: a script's shell or the bed's Python."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest
from bed import cli, lock
from bed.places import CLUSTER_DIR, REPOSITORY, Places

PYTHON = """
import os, subprocess, sys
from bed.lock import held
from bed.places import from_environment

with held(from_environment().lock, lambda text: print(text, file=sys.stderr, flush=True)):
    print("held", flush=True)
    for _ in range(2):
        subprocess.run(sys.argv[1:] or ["true"], check=True)
    sys.stdin.readline()
"""
SHELL = 'source scripts/lib.sh; hold_bed; echo held; "${@:-true}"; "${@:-true}"; read -r _ || true'
# Each holds the bed, says so, runs its arguments twice, and ends with its stdin.
PROGRAMS = {"python": [sys.executable, "-c", PYTHON], "shell": ["bash", "-c", SHELL, "scripts/some.sh"]}
PAIRS = list(itertools.product(PROGRAMS, PROGRAMS))

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path / "cache")


@pytest.fixture
def start(places: Places) -> Iterator[Start]:
    """Starts a program that ends with the test, and with it whatever it called that waits for ever."""
    base = {key: value for key, value in os.environ.items() if key != lock.HOLDER}
    base |= {"SLIPWAY_CACHE": str(places.cache), "PYTHONPATH": str(CLUSTER_DIR)}
    started = []

    def start(program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        argv, pipe = [*PROGRAMS[program], *arguments], subprocess.PIPE
        process = subprocess.Popen(
            argv,
            cwd=REPOSITORY,
            env=base | environment,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def line(stream: IO[str] | None) -> str:
    """The next line of a process: what it says when it got so far."""
    assert stream
    return stream.readline()


def end(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Let it end; return what it still said."""
    said = process.communicate("\n")
    assert process.returncode == 0, said
    return said


@pytest.mark.parametrize(("holder", "waiter"), PAIRS)
def test_who_comes_second_says_who_was_first_and_waits_for_its_end(holder: str, waiter: str, start: Start) -> None:
    """However it ends: a run that was killed leaves nothing that holds up."""
    first = start(holder)
    assert line(first.stdout) == "held\n"
    second = start(waiter)
    told = line(second.stderr)
    assert f"waiting for the test bed: process {first.pid} has it (" in told
    assert told.endswith(")\n")
    first.kill()
    assert line(second.stdout) == "held\n"
    assert end(second) == ("", "")


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_what_the_holder_calls_does_not_wait_for_it(outer: str, inner: str, start: Start) -> None:
    process = start(outer, *PROGRAMS[inner])
    said, complaints = process.communicate("\n\n\n")
    assert (said, complaints, process.returncode) == ("held\n" * 3, "", 0)


@pytest.mark.parametrize("waiter", PROGRAMS)
def test_a_lock_that_went_with_the_cache_is_not_taken_for_one(waiter: str, places: Places, start: Start) -> None:
    first = start("shell")
    assert line(first.stdout) == "held\n"
    second = start(waiter)
    line(second.stderr)
    places.lock.unlink()
    places.cache.rmdir()
    end(first)
    assert line(second.stdout) == "held\n"
    assert places.lock.read_text().split()[0] == str(second.pid)


@pytest.mark.parametrize("waiter", PROGRAMS)
def test_what_outlives_the_run_that_called_it_holds_the_bed_itself(waiter: str, places: Places, start: Start) -> None:
    places.cache.mkdir()
    places.lock.write_text("1 scripts/test.sh\n")
    first = start(waiter, **{lock.HOLDER: "1"})
    assert line(first.stdout) == "held\n"
    assert f"process {first.pid} has it" in line(start(waiter, **{lock.HOLDER: "1"}).stderr)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_a_command_holds_the_bed_if_it_changes_it(
    command: str, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    monkeypatch.delenv(lock.HOLDER, raising=False)
    monkeypatch.setenv("SLIPWAY_CACHE", str(places.cache))
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.setitem(cli.COMMANDS, command, lambda bed: found.append(os.environ.get(lock.HOLDER)))
    assert cli.main([command, *(["image"] if command == "load" else [])]) == 0
    holds = command not in ("setup", "build", "status", "env")
    assert found == [str(os.getpid()) if holds else None]


def test_each_script_that_uses_the_bed_holds_it_before() -> None:
    for name, use in (("test.sh", "trap remove EXIT"), ("demo.sh", "exec python3"), ("clean.sh", "bed down --all")):
        text = (REPOSITORY / "scripts" / name).read_text()
        assert text.index("\nhold_bed\n") < text.index(f"\n{use}"), name
