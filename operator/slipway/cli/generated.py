"""Files that are generated and committed: written by a command, compared by the same command with `--check`.

A stale file fails `make check` with a difference and the command that mends it, so that types and charts cannot part.
What is decided here too: a file is deleted only where its own first words say that the same command made it. Any other
file in the directory is somebody's.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Generated:
    """What ought to be on disk. `owns`: how a file in `directory` begins that only this generator makes."""

    directory: Path
    files: Mapping[str, str]
    regenerate: str  # the command, run at the root of the repository
    owns: str = ""

    def write(self) -> list[Path]:
        """Write all files and delete owned ones that are no longer generated. Returns the paths deleted."""
        self.directory.mkdir(parents=True, exist_ok=True)
        deleted = self._stale()
        for stale in deleted:
            stale.unlink()
        for name, text in self.files.items():
            (self.directory / name).write_text(text, encoding="utf-8")
        return deleted

    def difference(self) -> str:
        """A unified diff from what is on disk to what ought to be; "" when they are the same."""
        parts = [_diff(self.directory / name, text) for name, text in self.files.items()]
        return "".join([*parts, *(_diff(stale, "") for stale in self._stale())])

    def _stale(self) -> list[Path]:
        found = self.directory.iterdir() if self.owns and self.directory.is_dir() else iter(())
        return sorted(path for path in found if path.name not in self.files and _begins(path, self.owns))


def _begins(path: Path, text: str) -> bool:
    if not path.is_file():
        return False
    start = text.encode()
    with path.open("rb") as file:
        return file.read(len(start)) == start


def _diff(path: Path, wanted: str) -> str:
    present = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
    lines = difflib.unified_diff(
        present.splitlines(keepends=True),
        wanted.splitlines(keepends=True),
        f"{path} (committed)",
        f"{path} (generated)",
    )
    return "".join(lines)
