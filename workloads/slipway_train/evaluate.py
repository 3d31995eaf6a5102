"""How well the model compresses the held-out files, in bits per byte, beside what their byte counts alone give.

Decided here: the denominator is bytes of text, so that vocabularies compare, and every token is predicted exactly once,
END_OF_TEXT after each file included. A token sees at most one context window, and those at its beginning see little:
the figure is an upper bound. Windows come in rounds that every data rank shares evenly, padded at the end: under some
strategies a forward pass is a collective, and nobody may make one more than the others.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from tokenizers import Tokenizer

from .batch import IGNORED, Batch
from .corpus import Corpus
from .data import Tokens, encode
from .errors import RecipeError
from .gang import Gang
from .strategies import Sharded
from .tokenizer import END_OF_TEXT

PERPLEXITY_MOST = 1e12


@dataclass(frozen=True, slots=True)
class Evaluation:
    bits_per_byte: float
    unigram_bits_per_byte: float
    perplexity: float

    def to_json(self) -> dict[str, str | int]:
        """In the API's spelling: decimals are strings."""
        return {
            "bitsPerByte": decimal(self.bits_per_byte),
            "unigramBitsPerByte": decimal(self.unigram_bits_per_byte),
            "perplexity": decimal(self.perplexity),
        }


def evaluate(
    sharded: Sharded, corpus: Corpus, tokenizer: Tokenizer, gang: Gang, *, context: int, batch: int
) -> Evaluation:
    """On all held-out files, on every rank. `batch` is windows per forward pass of one data rank."""
    counts = byte_counts(corpus)
    total_bytes = counts.total()
    if not total_bytes:
        raise RecipeError("dataset: the held-out files hold no text in UTF-8")
    nats = targets = 0.0
    for windows in _rounds(_windows(corpus, tokenizer, context), batch * sharded.data_size):
        share = Batch.from_windows(windows).share(rank=sharded.data_rank, size=sharded.data_size)
        nats += float(sharded.losses(share).double().sum())
        targets += share.targets
    total_nats, total_targets = gang.sum([nats, targets])
    each_counted = gang.world_size // sharded.data_size  # the processes of one data rank all know its losses
    bits = total_nats / each_counted / math.log(2) / total_bytes
    return Evaluation(bits, entropy_bits(counts), perplexity(total_nats, total_targets))


def perplexity(nats: float, targets: float) -> float:
    """exp of the mean; no more than PERPLEXITY_MOST, since what is written down has so many digits only."""
    mean = nats / max(1.0, targets)
    return math.exp(mean) if mean < math.log(PERPLEXITY_MOST) else PERPLEXITY_MOST if mean == mean else math.nan


def decimal(value: float) -> str:
    return f"{value:.4f}"


def byte_counts(corpus: Corpus) -> Counter[int]:
    """How often each byte occurs in the held-out files."""
    counts: Counter[int] = Counter()
    for document in _documents(corpus):
        for piece in document:
            counts.update(piece.encode())
    return counts


def _documents(corpus: Corpus) -> Iterator[Iterator[str]]:
    for name in corpus.held_out:
        yield from corpus.documents(name, held_out=True)


def entropy_bits(counts: Counter[int]) -> float:
    """Entropy of the distribution that the counts give, in bits per symbol."""
    total = counts.total()
    return -sum(n / total * math.log2(n / total) for n in counts.values() if n)


def _windows(corpus: Corpus, tokenizer: Tokenizer, context: int) -> Iterator[Tokens]:
    """Rows of context + 1 tokens that overlap by one; the last is padded with IGNORED."""
    end = np.array([tokenizer.token_to_id(END_OF_TEXT)], np.int32)
    waiting = end
    for document in _documents(corpus):
        for tokens in chain((encode(tokenizer, piece) for piece in document), (end,)):
            waiting = np.concatenate([waiting, tokens])
            while len(waiting) > context:
                yield waiting[: context + 1]
                waiting = waiting[context:]
    if len(waiting) > 1:
        yield np.pad(waiting, (0, context + 1 - len(waiting)), constant_values=IGNORED)


def _rounds(windows: Iterator[Tokens], size: int) -> Iterator[Tokens]:
    """`size` windows each, shape (size, context + 1); the last round is filled up with windows of nothing."""
    while taken := list(islice(windows, size)):
        missing = size - len(taken)
        yield np.pad(np.stack(taken), ((0, missing), (0, 0)), constant_values=IGNORED)
