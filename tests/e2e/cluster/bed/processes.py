"""Which processes of this machine are the bed's engine: the only ones that it ever signals.

A process is told by its program's name and a whole argument. That a command line mentions the engine's directory says
nothing: an editor's, a `tail`'s or a shell's does too.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
DAEMON = "dockerd"
# What dockerd starts, with its exec root in some argument: they outlive it when it is killed.
PROGRAMS = frozenset({DAEMON, "containerd", "containerd-shim", "containerd-shim-runc-v2", "runc"})


def daemons_with(argument: str, *, proc: Path = PROC) -> list[int]:
    """Return the dockerd processes that have exactly this argument."""
    return [pid for pid, program, arguments in _commands(proc) if program == DAEMON and argument in arguments]


def engine_processes(exec_root: Path, *, proc: Path = PROC) -> list[int]:
    """Return the engine's processes of which an argument is this exec root or something below it."""
    return [
        pid
        for pid, program, arguments in _commands(proc)
        if program in PROGRAMS and any(_is_below(argument, exec_root) for argument in arguments)
    ]


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may have ended since it was found."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _commands(proc: Path) -> Iterator[tuple[int, str, list[str]]]:
    """Each process but the caller: its id, its program's name and its arguments."""
    for entry in proc.iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            program, *arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        yield int(entry.name), Path(program).name, arguments


def _is_below(argument: str, root: Path) -> bool:
    """Whether an argument, or the value in `--option=value`, is this path or one below it."""
    value = argument.rpartition("=")[2]
    return value == str(root) or value.startswith(f"{root}/")
