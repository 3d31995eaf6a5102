"""Cleaning a corpus before pretraining: one pass over its documents settles which are dropped.

Decided here: a file of text is judged by its first piece, since no more of it need be in memory; numbers of the
dropped documents are kept, not texts, and training then reads the rest in its own order. The pass reads the whole
dataset before the first step of every attempt: what is large is cleaned once, by `python3 -m slipway_train.clean`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from slipway.api.dataset import CleaningSpec

from ..corpus import Corpus
from ..gang import Gang
from ..logs import event, log
from ..rows.reading import has_rows
from .filters import Judge, Looked, look
from .language import check_known
from .scrub import Scrubber
from .sweep import sweep


@dataclass(frozen=True, slots=True)
class _Document:
    file: str
    number: int
    text: str


def cleaned(corpus: Corpus, gang: Gang) -> tuple[Corpus, dict[str, int]]:
    """On every process, with the same result: the corpus without what its filters drop, and their counts."""
    spec = corpus.dataset.cleaning
    if spec is None:
        return corpus, {}
    check_known(tuple(spec.languages or ()))
    judge = Judge(spec)
    dropped: dict[str, set[int]] = {}
    for document, looked in sweep(gang, _documents(corpus), lambda each: _look(spec, each.text)):
        if judge.drops(looked):
            dropped.setdefault(document.file, set()).add(document.number)
    log.info(event("cleaned", **judge.account))
    left = replace(corpus, dropped={name: frozenset(numbers) for name, numbers in dropped.items()})
    left.check_sides()
    return left, judge.account


def _look(spec: CleaningSpec, text: str) -> Looked:
    scrub = Scrubber(spec)
    return look(spec, scrub(text), scrub.found)


def _documents(corpus: Corpus) -> Iterator[tuple[_Document, int]]:
    for name in corpus.tree.names:
        if has_rows(name):
            numbered = corpus.texts(name)
        else:
            first = next(corpus.pieces(name), "")
            numbered = iter(((1, first),))
        for number, text in numbered:
            yield _Document(name, number, text), len(text)
