"""Tokenized conversations in a file of the pod's own, mapped into memory by its processes.

Decided here: a dataset of instructions is tokenized once, before the first step, so that what is wrong in it is known
before any accelerator works, and steps wait for no tokenizer. A token is four bytes on the scratch volume, the same
file for all processes of a pod; it is unlinked as soon as all have it open. What is not to be learned is
stored as its complement, which is negative.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .errors import RecipeError
from .gang import Gang, on_all

Stored = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of tokens: where each begins, and how many tokens it has."""

    stored: Stored
    starts: NDArray[np.int64]
    lengths: NDArray[np.int32]

    @property
    def sizes(self) -> NDArray[np.int32]:
        """What each takes up in a row of a batch: its last token is a label only."""
        return self.lengths - 1

    def row(self, index: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Token ids, and for each whether it is to be learned."""
        start = self.starts[index]
        stored = self.stored[start : start + self.lengths[index]]
        learned = stored >= 0
        return np.where(learned, stored, ~stored), learned

    def only(self, chosen: NDArray[np.bool_]) -> "Table":
        return Table(self.stored, self.starts[chosen], self.lengths[chosen])


class Spool:
    """Takes rows in order, on every process; one of each pod writes them. A context: the file is gone at its end."""

    def __init__(self, gang: Gang, directory: Path | None = None) -> None:
        self._gang = gang
        self._lengths: list[int] = []
        self._path = self._agreed(directory)
        self._file = self._path.open("wb") if gang.local_rank == 0 else None

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *error: object) -> None:
        if self._file is not None:
            self._file.close()
            self._path.unlink()

    def add(self, tokens: NDArray[np.int32], learned: NDArray[np.bool_]) -> None:
        self._lengths.append(len(tokens))
        if self._file is not None:
            self._kept(self._file.write, np.where(learned, tokens, ~tokens).astype(np.int32).tobytes())

    def table(self) -> Table:
        """All rows. Nothing can be added after."""
        on_all(self._gang, self._flush)
        lengths = np.array(self._lengths, np.int32)
        ends = np.cumsum(lengths, dtype=np.int64)
        stored = np.memmap(self._path, np.int32, mode="r") if len(lengths) else np.empty(0, np.int32)
        on_all(self._gang, lambda: None)  # everyone has it open
        return Table(stored, ends - lengths, lengths)

    def _agreed(self, directory: Path | None) -> Path:
        """The path that the pod's first process made."""
        gang = self._gang
        made = on_all(gang, lambda: (gang.pod, gang.local_rank, self._made(directory)))
        return next(Path(path) for pod, local_rank, path in made if pod == gang.pod and local_rank == 0)

    def _made(self, directory: Path | None) -> str:
        if self._gang.local_rank != 0:
            return ""
        descriptor, path = tempfile.mkstemp(prefix="slipway-rows-", dir=directory)
        os.close(descriptor)
        return path

    def _flush(self) -> None:
        if self._file is not None:
            self._kept(self._file.close)

    def _kept(self, act: Callable[..., object], *content: bytes) -> None:
        try:
            act(*content)
        except OSError as error:
            raise RecipeError(f"dataset: its tokens do not fit on {self._path.parent}: {error.strerror}") from error
