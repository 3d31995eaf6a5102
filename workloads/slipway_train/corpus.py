"""Which texts are trained on and which are held out, and their content in pieces of bounded size.

A document is a file of text, or a row of a file of rows. Decided here: a document's side is settled by a hash (of a
file's name under the dataset's root, of a row's text), so every pod and every attempt agrees without talking, and
adding others moves none of them. Equal rows are on one side.
"""

import codecs
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .cleaning.scrub import Scrubber
from .config import Dataset
from .errors import RecipeError
from .logs import event, log
from .rows.bad import BadRows
from .rows.conversation import BadRow, encodable
from .rows.reading import has_rows, read_rows
from .tree import Tree, open_tree, splits

PIECE_BYTES = 1 << 20  # the most of a file that is in memory at once is twice this
_BUCKETS = 10_000
_JUDGED_ROWS = 1000  # before so many, one bad row is too large a share of those read


@dataclass(frozen=True, slots=True)
class Corpus:
    """Names under the tree's root, sorted; a file of rows is on both sides. `dropped`: documents' numbers, by file."""

    tree: Tree
    dataset: Dataset
    training: tuple[str, ...]
    held_out: tuple[str, ...]
    dropped: Mapping[str, frozenset[int]] = field(default_factory=dict)
    bad: BadRows = field(default_factory=lambda: BadRows(100))
    _skipped: set[str] = field(default_factory=set)
    _counted: set[str] = field(default_factory=set)

    @property
    def fingerprint(self) -> str:
        return self.tree.fingerprint

    def documents(self, name: str, *, held_out: bool) -> Iterator[Iterator[str]]:
        """The documents of one file on one side, each in pieces: to be taken to its end before the next."""
        dropped = self.dropped.get(name, frozenset())
        if not has_rows(name):
            if 1 not in dropped:
                yield map(self._scrubbed, self.pieces(name))
            return
        for number, text in self.texts(name):
            if number not in dropped and self._is_held_out(text) == held_out:
                yield iter((self._scrubbed(text),))

    def pieces(self, name: str) -> Iterator[str]:
        """The text file's content in pieces that end with a line, except where a line is longer than a piece.

        A file that is not UTF-8 ends where it stops being so, with a warning: the same bytes on every pod.
        """
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            with self.tree.open(name) as file:
                while data := file.read(PIECE_BYTES):
                    yield decoder.decode(data + file.readline(PIECE_BYTES))
                decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            if name not in self._skipped:
                self._skipped.add(name)
                log.info(event("skipped", file=name, reason="not UTF-8 from here on"))

    def texts(self, name: str) -> Iterator[tuple[int, str]]:
        """The good rows of a file of rows: their number and text. The first whole reading counts the bad ones."""
        here = BadRows(self.dataset.bad_rows_percent)
        for row in read_rows(self.tree, name):
            try:
                text = _text(row.value, self.dataset.text_field) if not row.bad else ""
            except BadRow as why:
                here.add(name, row.number, str(why))
                continue
            if row.bad:
                here.add(name, row.number, row.bad)
                continue
            here.good()
            yield row.number, text
        self._count(name, here)

    def check_sides(self) -> None:
        """Raises RecipeError where nothing is left to train on, or to measure by."""
        for held_out, names in ((False, self.training), (True, self.held_out)):
            if not any(True for name in names for _ in self.documents(name, held_out=held_out)):
                side = "held out" if held_out else "trained on"
                raise RecipeError(
                    f"dataset: no document of {self.tree.address} is {side}: give more of them, "
                    "or change heldOutPercent or cleaning"
                )

    def _count(self, name: str, here: BadRows) -> None:
        if name in self._counted:
            return
        self._counted.add(name)
        self.bad.merge(here)
        if self.bad.total >= _JUDGED_ROWS or {each for each in self.tree.names if has_rows(each)} <= self._counted:
            self.bad.check()

    def _scrubbed(self, text: str) -> str:
        cleaning = self.dataset.cleaning
        return Scrubber(cleaning)(text) if cleaning else text

    def _is_held_out(self, text: str) -> bool:
        return bucket(text.encode()) < held_out_below(self.dataset.held_out_percent)


def open_corpus(dataset: Dataset) -> Corpus:
    """Lists the dataset. Raises RecipeError where either side would be empty."""
    patterns = dataset.patterns("pretrain")
    tree = open_tree(dataset.path, patterns)
    check_splits(tree)
    texts = [name for name in tree.names if not has_rows(name)]
    rows = [name for name in tree.names if has_rows(name)]
    if len(texts) < 2 and not rows:
        raise RecipeError(
            f"dataset.include: {len(texts)} file(s) match {', '.join(patterns)} under {tree.address}, "
            "two or more are needed"
        )
    held_out = _held_out(texts, dataset.held_out_percent) if len(texts) > 1 else set()
    training = sorted({*texts, *rows} - held_out)
    corpus = Corpus(
        tree, dataset, tuple(training), tuple(sorted({*held_out, *rows})), bad=BadRows(dataset.bad_rows_percent)
    )
    corpus.check_sides()
    return corpus


def check_splits(tree: Tree) -> None:
    """Raises RecipeError where training and test splits of one saved dataset would be mixed."""
    if found := splits(tree):
        raise RecipeError(
            f"dataset.include: {tree.address} has the splits {', '.join(found)}: name the one to train on, "
            f"such as {found[0]}/*.arrow"
        )


def bucket(content: bytes) -> int:
    """One of 10,000, by the content's hash."""
    return int.from_bytes(hashlib.sha256(content).digest()[:8], "big") % _BUCKETS


def held_out_below(percent: int) -> int:
    """What is in a bucket below this is held out."""
    return percent * _BUCKETS // 100


def _held_out(names: list[str], percent: int) -> set[str]:
    """Both sides get a file at least: the lowest hash is held out, the highest is trained on."""
    by_hash = sorted(names, key=lambda name: bucket(_bytes(name)))
    chosen = {name for name in names if bucket(_bytes(name)) < held_out_below(percent)}
    return (chosen | {by_hash[0]}) - {by_hash[-1]}


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _text(row: dict[str, object], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str):
        raise BadRow(f"{name} is {'missing' if value is None else 'not text'}")
    return encodable(value, name)
