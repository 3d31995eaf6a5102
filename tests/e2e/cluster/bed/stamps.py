"""Whether something built is still what its inputs say: a stamp is a hash of everything that went in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def stamp(parts: Iterable[str | bytes]) -> str:
    """Return a short hash of the parts, which keeps where one ends and the next begins."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big"))
        digest.update(data)
    return digest.hexdigest()[:16]


def file_parts(root: Path, names: Iterable[str]) -> list[str | bytes]:
    """Return path, mode and content of every file below these names, in a stable order."""
    parts: list[str | bytes] = []
    for name in names:
        top = root / name
        files = sorted(path for path in top.rglob("*") if path.is_file()) if top.is_dir() else [top]
        for path in files:
            if "__pycache__" in path.parts:
                continue
            parts += [str(path.relative_to(root)), oct(path.stat().st_mode & 0o777), path.read_bytes()]
    return parts


def is_current(path: Path, value: str) -> bool:
    """Whether the stamp in this file has this value."""
    try:
        return path.read_text() == value
    except FileNotFoundError:
        return False


def write(path: Path, value: str) -> None:
    """Write a stamp, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(".half")
    half.write_text(value)
    half.replace(path)
