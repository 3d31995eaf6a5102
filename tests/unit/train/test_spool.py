"""Rows of tokens in a file that the processes of a pod share."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from slipway_train.errors import RecipeError
from slipway_train.gang import Gang
from slipway_train.spool import Spool

ROWS = [([1, 2, 3], [False, True, True]), ([0], [True]), ([0, 7], [False, False])]


def fill(spool: Spool) -> None:
    for tokens, learned in ROWS:
        spool.add(np.array(tokens, np.int32), np.array(learned))


def content(table: Any) -> list[Any]:
    return [tuple(each.tolist() for each in table.row(index)) for index in range(len(table.lengths))]


def test_rows_come_back_and_the_file_goes(gang: Gang, tmp_path: Path) -> None:
    with Spool(gang, tmp_path) as spool:
        fill(spool)
        table = spool.table()
    assert content(table) == ROWS
    assert table.sizes.tolist() == [2, 0, 1]
    assert content(table.only(np.array([False, True, True]))) == ROWS[1:]
    assert list(tmp_path.iterdir()) == []


def test_nothing_at_all_is_a_table_too(gang: Gang, tmp_path: Path) -> None:
    with Spool(gang, tmp_path) as spool:
        assert content(spool.table()) == []


def _fail(spool: Spool) -> None:
    with spool:
        fill(spool)
        raise RecipeError("bad rows")


def test_the_file_goes_when_reading_fails(gang: Gang, tmp_path: Path) -> None:
    spool = Spool(gang, tmp_path)
    with pytest.raises(RecipeError):
        _fail(spool)
    assert list(tmp_path.iterdir()) == []


class Process:
    """One of four: two in each of two pods. `made` is what each of them says of its file."""

    world_size = 4

    def __init__(self, rank: int, made: list[Any]) -> None:
        self.rank, self.pod, self.local_rank = rank, rank // 2, rank % 2
        self._made = made

    def gather(self, value: Any) -> list[Any]:
        return [value if rank == self.rank else self._made[rank] for rank in range(4)]


def test_the_first_process_of_a_pod_writes_and_the_others_read_its_file(tmp_path: Path) -> None:
    made: list[Any] = [
        ((0, 0, str(tmp_path / "pod0")), None),
        ((0, 1, ""), None),
        ((1, 0, str(tmp_path / "pod1")), None),
    ]
    made.append(((1, 1, ""), None))
    np.array([1, ~2, 3], np.int32).tofile(tmp_path / "pod1")
    reader: Any = Process(3, made)
    with Spool(reader, tmp_path) as spool:
        spool.add(np.array([1, 2, 3], np.int32), np.array([True, False, True]))
        assert content(spool.table()) == [([1, 2, 3], [True, False, True])]
    assert (tmp_path / "pod1").exists(), "it is the writer's to remove"


def test_a_full_disk_is_named(gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Spool(gang, tmp_path) as spool:
        full = type("Full", (), {"write": lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))})()
        real, spool._file = spool._file, full
        with pytest.raises(RecipeError, match=r"its tokens do not fit on .*: No space left"):
            fill(spool)
        spool._file = real
