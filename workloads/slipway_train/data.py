"""Text to samples: an endless token stream, packed, shuffled in blocks, and resumable at any sample.

Decided here: the order of samples is one for the whole gang and depends on the seed alone (batch.py says who computes
which). Every process tokenizes the whole stream; in return nobody has to send data, and memory is one block of samples.
"""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from .corpus import Corpus
from .tokenizer import END_OF_TEXT

Tokens = NDArray[np.int32]
BLOCK_SAMPLES = 512  # shuffled together: neighbours in a file would make a batch all alike


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """The next token: pass over the files, file in that pass's order, piece of the file (each document's
    end is one), token of the piece."""

    epoch: int = 0
    file: int = 0
    piece: int = 0
    token: int = 0


@dataclass(frozen=True, slots=True)
class DataPosition:
    """The next sample, counted over the whole gang, and where in the stream the block that holds it begins."""

    sample: int = 0
    block: StreamPosition = StreamPosition()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "DataPosition":
        return cls(sample=content["sample"], block=StreamPosition(**content["block"]))


class TokenStream:
    """The training files one after the other, in a new order at every pass; END_OF_TEXT after each document."""

    def __init__(self, corpus: Corpus, tokenizer: Tokenizer, *, seed: int, start: StreamPosition) -> None:
        self._corpus = corpus
        self._tokenizer = tokenizer
        self._seed = seed
        self._pieces = self._from(start)
        self._piece: Tokens = np.empty(0, np.int32)
        self.position = start

    def take(self, count: int) -> Tokens:
        """The next `count` tokens."""
        taken: Tokens = np.empty(count, np.int32)
        filled = 0
        while filled < count:
            if self.position.token >= len(self._piece):
                self.position, self._piece = next(self._pieces)
            at = self.position.token
            part = self._piece[at : at + count - filled]
            taken[filled : filled + len(part)] = part
            filled += len(part)
            self.position = StreamPosition(self.position.epoch, self.position.file, self.position.piece, at + len(part))
        return taken

    def _from(self, start: StreamPosition) -> Iterator[tuple[StreamPosition, Tokens]]:
        epoch, skip = start.epoch, start
        while True:
            order = np.random.default_rng([self._seed, epoch]).permutation(len(self._corpus.training))
            for file in range(skip.file if epoch == skip.epoch else 0, len(order)):
                for piece, tokens in enumerate(self._file(self._corpus.training[order[file]], skip, (epoch, file))):
                    if (epoch, file, piece) >= (skip.epoch, skip.file, skip.piece):
                        at = skip.token if (epoch, file, piece) == (skip.epoch, skip.file, skip.piece) else 0
                        yield StreamPosition(epoch, file, piece, at), tokens
            epoch += 1

    def _file(self, name: str, skip: StreamPosition, here: tuple[int, int]) -> Iterator[Tokens]:
        """Each document's pieces, then END_OF_TEXT as a piece of its own. What will be skipped is not tokenized."""
        end = np.array([self._tokenizer.token_to_id(END_OF_TEXT)], np.int32)
        piece = 0
        for document in self._corpus.documents(name, held_out=False):
            for text in document:
                behind = (*here, piece) < (skip.epoch, skip.file, skip.piece)
                yield np.empty(0, np.int32) if behind else encode(self._tokenizer, text)
                piece += 1
            yield end
            piece += 1


class Samples:
    """Global batches of shape (batch, width), in an order that the seed alone decides."""

    def __init__(
        self, corpus: Corpus, tokenizer: Tokenizer, *, seed: int, width: int, start: DataPosition | None = None
    ) -> None:
        start = start or DataPosition()
        self._seed = seed
        self._width = width
        self._stream = TokenStream(corpus, tokenizer, seed=seed, start=start.block)
        self._sample = start.sample
        self._block_start = start.block
        self._block: Tokens | None = None

    @property
    def position(self) -> DataPosition:
        """What `start` must be to go on from here."""
        at_block_end = self._sample % BLOCK_SAMPLES == 0 and self._block is not None
        return DataPosition(self._sample, self._stream.position if at_block_end else self._block_start)

    def batch(self, size: int) -> Tokens:
        """The next `size` samples of the gang."""
        return np.stack([self._next() for _ in range(size)])

    def _next(self) -> Tokens:
        index = self._sample % BLOCK_SAMPLES
        if self._block is None or index == 0:
            self._read_block()
        assert self._block is not None
        self._sample += 1
        sample: Tokens = self._block[index]
        return sample

    def _read_block(self) -> None:
        self._block_start = self._stream.position
        samples = self._stream.take(BLOCK_SAMPLES * self._width).reshape(BLOCK_SAMPLES, self._width)
        order = np.random.default_rng([self._seed, 1, self._sample // BLOCK_SAMPLES])
        self._block = samples[order.permutation(BLOCK_SAMPLES)]


def encode(tokenizer: Tokenizer, text: str) -> Tokens:
    return np.array(tokenizer.encode(text, add_special_tokens=False).ids, np.int32)
