"""Run other programs. Everything that the bed does to the machine goes through one small interface, so that unit tests
can record what would be run."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol


class Failure(Exception):
    """A step cannot go on. The message says what failed and what to do, and is printed without a traceback."""


class Shell(Protocol):
    """What the bed needs of a machine."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """Run to the end and return stdout; raise Failure, with the end of stderr, if it did not succeed."""
        ...

    def follow(
        self,
        argv: Sequence[str | Path],
        line: Callable[[str], None],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run to the end, handing on each line as it is printed; raise Failure, with the last ones, as run does."""
        ...

    def ok(self, argv: Sequence[str | Path], *, timeout_seconds: float = 60) -> bool:
        """Whether it ran and exited with zero."""
        ...

    def pipe(self, first: Sequence[str | Path], second: Sequence[str | Path]) -> str:
        """Run `first | second` without a file in between; return what the second printed."""
        ...

    def feed(self, write: Callable[[IO[bytes]], None], argv: Sequence[str | Path]) -> str:
        """Run a program whose stdin is what `write` writes; return what it printed."""
        ...


TAIL_CHARACTERS = 3000
TAIL_LINES = 100


def _words(argv: Sequence[str | Path]) -> list[str]:
    return [str(word) for word in argv]


def _failed(argv: list[str], code: int, text: str) -> Failure:
    return Failure(f"`{' '.join(argv)[:400]}` exited with {code}:\n{text.strip()[-TAIL_CHARACTERS:]}")


def _not_installed(argv: list[str]) -> Failure:
    return Failure(f"`{argv[0]}` is not installed; `setup` installs what is needed")


class RealShell:
    """Runs programs on this machine."""

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """See Shell.run."""
        words = _words(argv)
        try:
            done = subprocess.run(
                words,
                input=stdin,
                stdin=subprocess.DEVNULL if stdin is None else None,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                timeout=timeout_seconds,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            raise _not_installed(words) from error
        except subprocess.TimeoutExpired as error:
            raise Failure(f"`{' '.join(words)[:400]}` took longer than {timeout_seconds:.0f}s") from error
        if done.returncode:
            raise _failed(words, done.returncode, done.stdout[-TAIL_CHARACTERS:] + done.stderr)
        return done.stdout

    def follow(
        self,
        argv: Sequence[str | Path],
        line: Callable[[str], None],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """See Shell.follow."""
        words, last = _words(argv), deque[str](maxlen=TAIL_LINES)
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise _not_installed(words) from error
        with process:
            for printed in process.stdout or ():
                last.append(printed)
                line(printed.rstrip())
        if process.returncode:
            raise _failed(words, process.returncode, "".join(last))

    def ok(self, argv: Sequence[str | Path], *, timeout_seconds: float = 60) -> bool:
        """See Shell.ok."""
        try:
            self.run(argv, timeout_seconds=timeout_seconds)
        except Failure:
            return False
        return True

    def feed(self, write: Callable[[IO[bytes]], None], argv: Sequence[str | Path]) -> str:
        """See Shell.feed."""
        words = _words(argv)
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        # A program that gives up early closes its end; what it printed says more than the broken pipe.
        with contextlib.suppress(BrokenPipeError):
            if process.stdin:
                write(process.stdin)
                process.stdin.flush()
        printed = process.communicate()[0].decode(errors="replace")
        if process.returncode:
            raise _failed(words, process.returncode, printed)
        return printed

    def pipe(self, first: Sequence[str | Path], second: Sequence[str | Path]) -> str:
        """See Shell.pipe."""
        source = subprocess.Popen(_words(first), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        sink = subprocess.run(
            _words(second), stdin=source.stdout, capture_output=True, text=True, errors="replace", check=False
        )
        if source.stdout:
            source.stdout.close()
        _, errors = source.communicate()
        if sink.returncode:
            raise _failed(_words(second), sink.returncode, sink.stdout + sink.stderr)
        if source.returncode:
            raise _failed(_words(first), source.returncode, errors.decode(errors="replace"))
        return sink.stdout
