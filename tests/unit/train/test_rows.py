import io
import json
import struct
from pathlib import Path
from random import Random
from typing import Any, BinaryIO, cast

import pyarrow
import pyarrow.parquet
import pytest

from slipway_train.errors import RecipeError
from slipway_train.rows import reading
from slipway_train.rows.bad import BadRows
from slipway_train.rows.conversation import BadRow, Turn, conversation, text_of
from slipway_train.rows.reading import Row, has_rows, read_rows
from slipway_train.tree import Tree, open_tree

ROWS: list[dict[str, Any]] = [{"text": f"row {i}", "n": i} for i in range(1200)]


def read(root: Path, name: str) -> list[Row]:
    return list(read_rows(open_tree(str(root), ("**/*",)), name))


def write(root: Path, name: str, table: pyarrow.Table | None = None) -> None:
    table = table or pyarrow.Table.from_pylist(ROWS)
    if name.endswith(".jsonl"):
        (root / name).write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    elif name.endswith(".parquet"):
        pyarrow.parquet.write_table(table, root / name, row_group_size=500)
    else:
        kind = pyarrow.ipc.new_stream if name.startswith("stream") else pyarrow.ipc.new_file
        with kind(root / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=700)


@pytest.mark.parametrize("name", ["a.jsonl", "a.parquet", "stream.arrow", "file.arrow"])
def test_each_format_gives_its_rows_in_order(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    rows = read(tmp_path, name)
    assert [row.value for row in rows] == ROWS
    assert [row.number for row in rows] == list(range(1, 1201))
    assert has_rows(name)
    assert not has_rows("a.txt")


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_file_that_is_no_such_file_ends_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"PAR1 something else entirely")
    with pytest.raises(RecipeError, match=rf"^dataset: {name} is no "):
        read(tmp_path, name)


def damaged(content: bytes, seed: int) -> bytes:
    """Cut off, or with bits turned over: one, or many."""
    random = Random(seed)
    if seed % 3 == 0:
        return content[: random.randrange(1, len(content))]
    found = bytearray(content)
    for _ in range(1 if seed % 3 == 1 else 40):
        found[random.randrange(len(found))] ^= 1 << random.randrange(8)
    return bytes(found)


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
def test_a_damaged_file_is_told_from_a_program_that_failed(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    content = (tmp_path / name).read_bytes()
    refusals = []
    for seed in range(45):
        (tmp_path / name).write_bytes(damaged(content, seed))
        try:
            read(tmp_path, name)  # a bit in a text changes the text alone, which nobody can see
        except RecipeError as error:
            refusals.append(str(error))
    assert len(refusals) > 22
    assert all(said.startswith(f"dataset: {name} is no whole ") for said in refusals)


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
def test_text_that_is_not_utf8_is_damage(tmp_path: Path, name: str) -> None:
    table = pyarrow.table({"text": pyarrow.array([b"good", b"\xff"], pyarrow.binary()).view(pyarrow.utf8())})
    write(tmp_path, name, table)
    with pytest.raises(RecipeError, match="UTF8"):
        read(tmp_path, name)


@pytest.mark.parametrize("name", ["stream.arrow", "file.arrow"])
def test_text_that_lies_outside_of_its_file_ends_the_run_and_not_the_process(tmp_path: Path, name: str) -> None:
    write(tmp_path, name, pyarrow.table({"text": ["abc", "def"]}))
    content = (tmp_path / name).read_bytes()
    begins, beyond = struct.pack("<3i", 0, 3, 6), struct.pack("<3i", 0, 3, 2**31 - 1)
    assert content.count(begins) == 1
    (tmp_path / name).write_bytes(content.replace(begins, beyond))
    with pytest.raises(RecipeError, match=rf"^dataset: {name} is no whole Arrow file: "):
        read(tmp_path, name)


def test_a_length_that_is_damaged_makes_room_for_no_more_than_the_file(tmp_path: Path) -> None:
    write(tmp_path, "stream.arrow")
    content = (tmp_path / "stream.arrow").read_bytes()
    (tmp_path / "stream.arrow").write_bytes(content[:4] + struct.pack("<i", 2**31 - 1) + content[8:])
    asked: list[int] = []

    class Store(io.FileIO):
        def read(self, size: int | None = -1, /) -> Any:
            asked.append(size or 0)
            return super().read(min(size or 0, len(content)))

    tree = Tree("s3://bucket", {"stream.arrow": 1}, lambda _: cast("BinaryIO", Store(tmp_path / "stream.arrow")))
    with pytest.raises(RecipeError, match=r"stream\.arrow is no whole Arrow file"):
        list(read_rows(tree, "stream.arrow"))
    assert max(asked) <= len(content)


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
@pytest.mark.parametrize("good_reads", [0, 1])
def test_a_store_that_fails_is_no_damage(tmp_path: Path, name: str, good_reads: int) -> None:
    write(tmp_path, name)

    class Store(io.FileIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> Any:
            self.reads += 1
            if self.reads > good_reads:
                raise OSError("AWS Error NETWORK_CONNECTION")
            return super().read(size)

    tree = Tree("s3://bucket", {name: 1}, lambda _: cast("BinaryIO", Store(tmp_path / name)))
    with pytest.raises(OSError, match="NETWORK_CONNECTION"):
        list(read_rows(tree, name))


@pytest.mark.parametrize("name", ["a.parquet", "stream.arrow", "file.arrow"])
def test_a_reader_without_memory_says_nothing_of_the_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, name)

    def no_memory(_source: object) -> None:
        raise pyarrow.ArrowMemoryError("malloc of size 64 failed")

    for module, opener in ((pyarrow.parquet, "ParquetFile"), (pyarrow.ipc, "open_stream"), (pyarrow.ipc, "open_file")):
        monkeypatch.setattr(module, opener, no_memory)
    with pytest.raises(MemoryError):
        read(tmp_path, name)


@pytest.mark.parametrize(
    ("line", "bad"),
    [
        (b'{"a": 1}', ""),
        (b"{", "not JSON"),
        (b"[1]", "a JSON list, not an object"),
        (b"3", "a JSON int, not an object"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_line_that_is_no_row_says_why_and_where(tmp_path: Path, line: bytes, bad: str) -> None:
    (tmp_path / "a.jsonl").write_bytes(b'{"x": 0}\n\n' + line + b'\n{"y": 0}')
    first, second, third = read(tmp_path, "a.jsonl")
    assert (first.number, second.number, third.number) == (1, 3, 4), "lines as an editor counts them"
    assert second.bad.startswith(bad)
    assert bool(second.bad) == bool(bad)
    assert not first.bad
    assert not third.bad


def test_a_line_that_is_too_long_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LINE_BYTES_MAX", 32)
    (tmp_path / "a.jsonl").write_text('{"x": 0}\n' + json.dumps({"x": "y" * 500}) + '\n{"z": 0}\n')
    rows = read(tmp_path, "a.jsonl")
    assert [(row.number, bool(row.bad)) for row in rows] == [(1, False), (2, True), (3, False)]


USER, ASSISTANT, SYSTEM = ({"role": role, "content": f"{role} says"} for role in ("user", "assistant", "system"))


@pytest.mark.parametrize(
    ("row", "turns"),
    [
        ({"messages": [USER, ASSISTANT]}, ["user", "assistant"]),
        ({"messages": [SYSTEM, USER, ASSISTANT, USER, ASSISTANT], "more": 1}, ["system", *["user", "assistant"] * 2]),
        ({"prompt": "p", "completion": "c"}, ["user", "assistant"]),
        ({"instruction": "i", "output": "o"}, ["user", "assistant"]),
        ({"instruction": "i", "input": "", "output": "o", "messages": None}, ["user", "assistant"]),
    ],
)
def test_the_three_shapes(row: dict[str, Any], turns: list[str]) -> None:
    assert [turn.role for turn in conversation(row)] == turns


def test_an_input_follows_its_instruction() -> None:
    turns = conversation({"instruction": "Add.", "input": "1 2", "output": "3"})
    assert turns == (Turn("user", "Add.\n\n1 2"), Turn("assistant", "3"))
    assert text_of(turns) == "Add.\n\n1 2\n3"


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({}, "a row needs messages, or prompt and completion, or instruction and output, and this has nothing"),
        ({"prompt": "p", "id": 1}, "this has id, prompt"),
        ({"prompt": "p", "completion": None}, "completion is missing"),
        ({"prompt": 3, "completion": "c"}, "prompt is not text"),
        ({"prompt": "p", "completion": " \n"}, "completion is empty"),
        ({"instruction": "i", "input": 3, "output": "o"}, "input is not text"),
        ({"prompt": "p", "completion": "\ud800"}, "completion holds half a surrogate pair"),
        ({"messages": "hello"}, "messages is not a list"),
        ({"messages": []}, "messages is not a list"),
        ({"messages": ["hello"]}, r"messages\[0\] is not an object"),
        ({"messages": [{"role": "tool", "content": "x"}]}, r"messages\[0\]\.role is 'tool'"),
        ({"messages": [{"role": "user"}]}, r"messages\[0\]\.content is missing"),
        ({"messages": [USER]}, "do not alternate"),
        ({"messages": [ASSISTANT]}, "do not alternate"),
        ({"messages": [USER, SYSTEM, ASSISTANT]}, "do not alternate"),
        ({"messages": [USER, USER, ASSISTANT]}, "do not alternate"),
        ({"messages": [SYSTEM]}, "nobody answers"),
    ],
)
def test_what_does_not_fit_is_bad_and_says_why(row: dict[str, Any], why: str) -> None:
    with pytest.raises(BadRow, match=why):
        conversation(row)


def account(limit_percent: int, good: int, bad: int) -> BadRows:
    rows = BadRows(limit_percent)
    for _ in range(good):
        rows.good()
    for number in range(bad):
        rows.add("a.jsonl", number + 1, "not JSON")
    return rows


@pytest.mark.parametrize(("limit", "good", "bad"), [(1, 99, 1), (0, 5, 0), (100, 0, 7), (0, 0, 0)])
def test_bad_rows_up_to_the_bound_are_left_out(limit: int, good: int, bad: int) -> None:
    account(limit, good, bad).check()


@pytest.mark.parametrize(("limit", "good", "bad"), [(1, 98, 2), (0, 999, 1), (50, 1, 2)])
def test_more_bad_rows_end_the_run_with_examples(limit: int, good: int, bad: int) -> None:
    with pytest.raises(RecipeError, match=r"^dataset\.badRowsPercent: .* a\.jsonl:1: not JSON"):
        account(limit, good, bad).check()


def test_accounts_add_up_and_keep_five_examples() -> None:
    rows = account(10, 1, 4)
    rows.merge(account(10, 2, 4))
    assert (rows.total, rows.bad, len(rows.examples)) == (11, 8, 5)
