"""A batch: what goes into the model and what should come out, row by row, and how a gang splits it.

Decided here: a process takes every n-th row of a global batch, so the order of rows stays when the number of processes
changes; and everyone sees the whole batch before it is split, so everyone knows how many targets the mean is over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import torch
from numpy.typing import NDArray

IGNORED = -100  # a label that counts for nothing, as torch's cross-entropy has it


@dataclass(frozen=True, slots=True)
class Batch:
    """`tokens` and `labels`, int64 (rows, context): labels[r, i] is what should follow tokens[r, :i + 1], or IGNORED.

    `positions`, of the same shape, begins at 0 again with each document packed into a row; None is 0, 1, 2...
    """

    tokens: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor | None = None

    @classmethod
    def from_windows(cls, windows: NDArray[np.int32]) -> "Batch":
        """Rows of context + 1 tokens, each token's label being the next. IGNORED pads the end of a window."""
        rows = torch.from_numpy(windows.astype(np.int64))
        # a padded input is never a target's context: attention looks back only
        return cls(rows[:, :-1].clamp(min=0), rows[:, 1:])

    @property
    def targets(self) -> int:
        """How many labels count."""
        return int((self.labels != IGNORED).sum())

    def share(self, *, rank: int, size: int) -> "Batch":
        """The rows that process `rank` of `size` computes."""
        return self._each(lambda rows: rows[rank::size])

    def split(self, parts: int) -> list["Batch"]:
        """In order, as equal as may be."""
        size = -(-len(self.tokens) // parts)
        return [self._each(itemgetter(slice(at, at + size))) for at in range(0, len(self.tokens), size)]

    def to(self, device: torch.device) -> "Batch":
        return self._each(lambda rows: rows.to(device))

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Batch":
        positions = change(self.positions) if self.positions is not None else None
        return Batch(change(self.tokens), change(self.labels), positions)
