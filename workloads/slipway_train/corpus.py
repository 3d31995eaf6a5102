"""Which files are trained on and which are held out, and their text in pieces of bounded size.

Decided here: a file's side is settled by the hash of its path under the dataset's root, so every pod and every attempt
agrees without talking, and adding files moves none of the others. Symbolic links are left out, because a link could
put one text on both sides.
"""

import codecs
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .config import Dataset
from .errors import RecipeError
from .logs import event, log

PIECE_BYTES = 1 << 20  # the most of a file that is in memory at once is twice this
_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Corpus:
    """Paths relative to `root`, sorted. `fingerprint` changes when a file is added, removed or resized."""

    root: Path
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    fingerprint: str
    _skipped: set[str] = field(default_factory=set)

    def pieces(self, name: str) -> Iterator[str]:
        """The file's text in pieces that end with a line, except where a line is longer than a piece.

        A file that is not UTF-8 ends where it stops being so, with a warning: the same bytes on every pod.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with (self.root / name).open("rb") as file:
                while data := file.read(PIECE_BYTES):
                    yield decoder.decode(data + file.readline(PIECE_BYTES))
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            if name not in self._skipped:
                self._skipped.add(name)
                log.info(event("skipped", file=name, reason="not UTF-8 from here on"))


def open_corpus(dataset: Dataset) -> Corpus:
    """Lists the dataset. Raises RecipeError where either side would be empty."""
    root = Path(dataset.path)
    if not root.is_dir():
        raise RecipeError(f"dataset.path: {root} is not a directory in this pod")
    sizes = {str(path.relative_to(root)): path.stat().st_size for path in _matches(root, dataset.include)}
    names = sorted(name for name, size in sizes.items() if size)
    if len(names) < 2:
        patterns = ", ".join(dataset.include)
        raise RecipeError(
            f"dataset.include: {len(names)} file(s) match {patterns} under {root}, two or more are needed"
        )
    held_out = _held_out(names, dataset.held_out_percent)
    listing = "\n".join(f"{name} {sizes[name]}" for name in names)
    return Corpus(
        root=root,
        training=tuple(name for name in names if name not in held_out),
        held_out=tuple(sorted(held_out)),
        fingerprint=hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest(),
    )


def _matches(root: Path, patterns: tuple[str, ...]) -> set[Path]:
    try:
        found = {path for pattern in patterns for path in root.glob(pattern)}
    except (ValueError, NotImplementedError) as error:
        raise RecipeError(f"dataset.include: {error}") from None
    return {path for path in found if path.is_file() and not path.is_symlink()}


def _held_out(names: list[str], percent: int) -> set[str]:
    """Both sides get a file at least: the lowest hash is held out, the highest is trained on."""
    by_hash = sorted(names, key=_bucket)
    chosen = {name for name in names if _bucket(name) < percent * _BUCKETS // 100}
    return (chosen | {by_hash[0]}) - {by_hash[-1]}


def _bucket(name: str) -> int:
    digest = hashlib.sha256(name.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:8], "big") % _BUCKETS
