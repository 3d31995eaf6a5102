"""Files to rows: JSON lines, Parquet and Arrow (as Hugging Face's `save_to_disk` and hub snapshots have them).

Decided here: the name's ending says what a file is; a row that cannot be read is bad, with the reason, and reading goes
on; a file that is damaged, or none of its kind, ends the run for good, but where it is the store that fails, or there
is no memory, the run may be tried again. Every batch is validated before it is read: at some that are damaged pyarrow
would crash. Arrow is read through pyarrow alone: the `datasets` package would bring pandas and a cache of its own, for
a format that is a plain Arrow stream. Memory is one line or _BATCH_ROWS rows.
"""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from ..errors import RecipeError
from ..tree import Tree

LINE_BYTES_MAX = 16 << 20
_BATCH_ROWS = 512


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts from 1, and is the line's in JSON lines. Where `bad` is not "", it says why, `value` is empty."""

    file: str
    number: int
    value: dict[str, Any]
    bad: str = ""


def has_rows(name: str) -> bool:
    """Whether a file of this name is read as rows, and not as text."""
    return _reader(name) is not None


def read_rows(tree: Tree, name: str) -> Iterator[Row]:
    """All rows of one file, in its order. Raises RecipeError where the file is no such file."""
    reader = _reader(name)
    assert reader is not None, f"{name} is text"
    with tree.open(name) as file:
        for number, value in reader(file, name):
            yield Row(name, number, value, "") if isinstance(value, dict) else Row(name, number, {}, value)


_Rows = Iterator[tuple[int, dict[str, Any] | str]]


def _reader(name: str) -> Callable[[BinaryIO, str], _Rows] | None:
    return next((reader for ending, reader in _READERS.items() if name.endswith(ending)), None)


# ------------------------------------------------------------------ JSON lines


def _json_lines(file: BinaryIO, _name: str) -> _Rows:
    for number, line in enumerate(_lines(file), start=1):
        if line is None:
            yield number, f"a line is longer than {LINE_BYTES_MAX >> 20} MiB"
        elif line.strip():
            yield number, _json_row(line)


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """None stands for a line that is too long: it is passed over without being held."""
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) < LINE_BYTES_MAX or line.endswith(b"\n"):
            yield line
            continue
        while (rest := file.readline(LINE_BYTES_MAX)) and not rest.endswith(b"\n"):
            pass
        yield None


def _json_row(line: bytes) -> dict[str, Any] | str:
    try:
        value = json.loads(line)
    except UnicodeDecodeError:
        return "not UTF-8"
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})"
    return value if isinstance(value, dict) else f"a JSON {type(value).__name__}, not an object"


# ------------------------------------------------------------------ Arrow and Parquet


class _Source:
    """A file as pyarrow asks it. `failed`: reading it did, which says nothing of what is in it.

    More than there is, which damaged lengths make pyarrow ask for, is never made room for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._bytes = file.seek(0, io.SEEK_END)
        self.failed = False
        file.seek(0)

    @property
    def closed(self) -> bool:
        return self._file.closed

    def read(self, size: int = -1) -> bytes:
        left = max(0, self._bytes - self._file.tell())
        try:
            return self._file.read(left if size < 0 else min(size, left))
        except OSError:
            self.failed = True
            raise

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


@contextmanager
def _whole(file: BinaryIO, name: str, kind: str) -> Iterator[_Source]:
    """Raises RecipeError where pyarrow finds the file damaged, in whichever way it says so."""
    import pyarrow

    source = _Source(file)
    try:
        yield source
    except MemoryError:  # pyarrow's is an ArrowException too
        raise
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        if source.failed:
            raise
        why = " ".join(str(error).split())
        raise RecipeError(
            f"dataset: {name} is no whole {kind} file: {why}. Write it anew, or leave it out of dataset.include"
        ) from None


def _arrow(file: BinaryIO, name: str) -> _Rows:
    import pyarrow

    with _whole(file, name, "Arrow") as source:
        magic = source.read(6)
        source.seek(0)
        if magic == b"ARROW1":
            reader = pyarrow.ipc.open_file(source)
            batches = (reader.get_batch(index) for index in range(reader.num_record_batches))
        else:
            batches = iter(pyarrow.ipc.open_stream(source))
        yield from _numbered(batches)


def _parquet(file: BinaryIO, name: str) -> _Rows:
    import pyarrow.parquet

    with _whole(file, name, "Parquet") as source:
        yield from _numbered(pyarrow.parquet.ParquetFile(source).iter_batches(batch_size=_BATCH_ROWS))


def _numbered(batches: Iterator[Any]) -> _Rows:
    number = 0
    for batch in batches:
        batch.validate(full=True)
        for at in range(0, batch.num_rows, _BATCH_ROWS):
            for value in batch.slice(at, _BATCH_ROWS).to_pylist():
                number += 1
                yield number, value


_READERS: dict[str, Callable[[BinaryIO, str], _Rows]] = {
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".arrow": _arrow,
    ".parquet": _parquet,
}
