"""Samples of different lengths into rows of one length, whole and apart from each other.

Decided here: a sample is never cut. Rows are filled by best fit among OPEN_ROWS that are not full yet, over the samples
in an order that the seed decides, once; each pass over the data takes the rows in an order of its own. So the n-th row
of a run is a function of n, which is all that a checkpoint needs to say.

Position ids begin at 0 with each sample. transformers makes of that a block-diagonal causal mask (masking_utils,
`find_packed_sequence_indices`), so a sample attends to nothing but itself: tests hold it to that for each architecture
that base.py lets in.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from .batch import IGNORED, Batch
from .data import DataPosition
from .spool import Table

OPEN_ROWS = 256


def pack(sizes: NDArray[np.int32], capacity: int) -> list[list[int]]:
    """Indexes of the samples of each row, in the order of the rows' last samples. No size is above `capacity`."""
    full: list[list[int]] = []
    opened: list[tuple[int, int]] = []  # (room, number), the tightest first
    contents: dict[int, list[int]] = {}
    for index, size in enumerate(sizes.tolist()):
        at = bisect_left(opened, (size, -1))
        if at < len(opened):
            room, number = opened.pop(at)
        else:
            room, number = capacity, index
            contents[number] = []
        contents[number].append(index)
        if room > size:
            insort(opened, (room - size, number))
        else:
            full.append(contents.pop(number))
        if len(opened) > OPEN_ROWS:
            full.append(contents.pop(opened.pop(0)[1]))
    return full + [contents[number] for _, number in opened]


def batch_of(table: Table, rows: Sequence[Sequence[int]], *, context: int, padding: int) -> Batch:
    """A row of `context` tokens for each list of samples; an empty list is a row that counts for nothing."""
    shape = (len(rows), context)
    tokens = np.full(shape, padding, np.int64)
    labels = np.full(shape, IGNORED, np.int64)
    positions = np.zeros(shape, np.int64)
    for row, samples in enumerate(rows):
        at = 0
        for sample in samples:
            ids, learned = table.row(sample)
            end = at + len(ids) - 1  # the last token is a label only
            tokens[row, at:end] = ids[:-1]
            labels[row, at:end] = np.where(learned[1:], ids[1:], IGNORED)
            positions[row, at:end] = np.arange(end - at)
            at = end
        positions[row, at:] = np.arange(context - at)
    return Batch(torch.from_numpy(tokens), torch.from_numpy(labels), torch.from_numpy(positions))


class PackedSamples:
    """Global batches for training: pass after pass over the table's rows."""

    def __init__(self, table: Table, *, seed: int, context: int, padding: int, start: DataPosition) -> None:
        self._table = table
        self._seed = seed
        self._context = context
        self._padding = padding
        order = np.random.default_rng([seed, 2]).permutation(len(table.sizes))
        packed = pack(table.sizes[order], context)
        self.rows = [order[row].tolist() for row in packed]
        self._next = start.sample
        self._pass: tuple[int, NDArray[np.int64]] | None = None

    @property
    def position(self) -> DataPosition:
        """What `start` must be to go on from here."""
        return DataPosition(self._next)

    def batch(self, size: int) -> Batch:
        """The next `size` rows of the gang."""
        chosen = [self.rows[self._place(self._next + each)] for each in range(size)]
        self._next += size
        return batch_of(self._table, chosen, context=self._context, padding=self._padding)

    def _place(self, number: int) -> int:
        """Which row the `number`-th of the run is."""
        passed, index = divmod(number, len(self.rows))
        if self._pass is None or self._pass[0] != passed:
            self._pass = (passed, np.random.default_rng([self._seed, 3, passed]).permutation(len(self.rows)))
        return int(self._pass[1][index])


def rounds(table: Table, *, context: int, padding: int, size: int) -> Iterator[Batch]:
    """Every sample once, in batches of `size` rows, the last one filled up with rows of nothing."""
    rows = pack(table.sizes, context)
    for at in range(0, len(rows), size):
        taken = rows[at : at + size]
        yield batch_of(table, taken + [[]] * (size - len(taken)), context=context, padding=padding)
