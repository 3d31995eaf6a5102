"""A shell that runs nothing: it records what would be run and answers from a table."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from bed.shell import Failure

Answer = str | Failure | Callable[[list[str]], str]


class FakeShell:
    """Answers by how a command line begins; anything else succeeds and prints nothing."""

    def __init__(self, answers: Mapping[str, Answer] | None = None) -> None:
        """`answers` maps the beginning of a command line to what it prints, or to its failure."""
        self.answers = dict(answers or {})
        self.commands: list[str] = []
        self.stdin: list[str | None] = []
        self.fed: list[bytes] = []

    def run(
        self,
        argv: Sequence[str | Path],
        *,
        stdin: str | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_seconds: float | None = None,
    ) -> str:
        """Record the command, and answer."""
        words = [str(word) for word in argv]
        line = " ".join(words)
        self.commands.append(line)
        self.stdin.append(stdin)
        for beginning, answer in self.answers.items():
            if line.startswith(beginning):
                if isinstance(answer, Failure):
                    raise answer
                return answer if isinstance(answer, str) else answer(words)
        return ""

    def follow(
        self,
        argv: Sequence[str | Path],
        line: Callable[[str], None],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Record the command, and hand on its answer line by line."""
        for printed in self.run(argv, cwd=cwd, env=env).splitlines():
            line(printed)

    def ok(self, argv: Sequence[str | Path], *, timeout_seconds: float = 60) -> bool:
        """Whether the table has no failure for this command."""
        try:
            self.run(argv)
        except Failure:
            return False
        return True

    def pipe(self, first: Sequence[str | Path], second: Sequence[str | Path]) -> str:
        """Record both commands as one line."""
        return self.run([*first, "|", *second])

    def feed(self, write: Callable[[IO[bytes]], None], argv: Sequence[str | Path]) -> str:
        """Record the command and keep what it was fed."""
        out = io.BytesIO()
        write(out)
        self.fed.append(out.getvalue())
        return self.run(argv)

    def ran(self, beginning: str) -> list[str]:
        """Return the recorded commands that begin like this."""
        return [command for command in self.commands if command.startswith(beginning)]
