"""Directories that appear whole or not at all.

Decided here: what is written goes to a hidden sibling first, every file and directory is fsynced, then one rename shows
it. A crash leaves a hidden directory, which the next run removes.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = ".partial-"
_REMOVED = "removed-"


@contextmanager
def whole_directory(target: Path) -> Iterator[Path]:
    """Yields a directory to fill; on success it becomes `target`, replacing what was there."""
    partial = target.parent / f"{_PREFIX}{target.name}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    for path in partial.rglob("*"):
        readable(path)
        sync(path)
    sync(partial)
    if target.exists():
        remove_directory(target)
    partial.rename(target)
    sync(target.parent)


def readable(path: Path) -> None:
    """Some writers make files 0600, and the server is another user."""
    path.chmod(0o755 if path.is_dir() else 0o644)


def remove_directory(path: Path) -> None:
    """Hides the directory by one rename, then removes it, so that a crash leaves no half of it in sight."""
    hidden = path.parent / f"{_PREFIX}{_REMOVED}{path.name}"
    shutil.rmtree(hidden, ignore_errors=True)
    path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def half_written(parent: Path) -> list[str]:
    """The directories that were to appear in `parent` when a crash came between."""
    names = sorted(path.name.removeprefix(_PREFIX) for path in parent.glob(f"{_PREFIX}*"))
    return [name for name in names if not name.startswith(_REMOVED)]


def remove_partials(parent: Path) -> None:
    """What crashes left behind in `parent`."""
    for path in parent.glob(f"{_PREFIX}*"):
        shutil.rmtree(path, ignore_errors=True)


def write_whole(path: Path, content: bytes) -> None:
    """One file, replaced by a rename."""
    partial = path.parent / f"{_PREFIX}{path.name}"
    partial.write_bytes(content)
    sync(partial)
    partial.rename(path)
    sync(path.parent)


def sync(path: Path) -> None:
    """fsync of a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
