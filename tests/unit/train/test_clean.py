"""The command that cleans by hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from slipway_train import clean
from slipway_train.clean import main
from slipway_train.tree import open_tree

ANSWER = "The answer to this question is rather long, so that words can be counted in it."


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    root.mkdir()
    rows: list[Any] = [
        {"prompt": "Who?", "completion": ANSWER, "id": 1},
        {"prompt": "Who?", "completion": ANSWER, "id": 2},
        {"text": "Mail me at a.b@example.com, please."},
        {"prompt": "Who else?"},
    ]
    (root / "b.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + "no json\n")
    (root / "a.txt").write_text("A file of text.\n")
    return root


def run(data: Path, output: Path, *options: str) -> int:
    return main(["--input", str(data), "--output", str(output), "--bad-rows-percent", "40", *options])


def rows(output: Path) -> list[Any]:
    return [json.loads(line) for path in sorted(output.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_rows_come_out_as_rows_and_the_report_counts(data: Path, tmp_path: Path, capsys: Any) -> None:
    assert run(data, tmp_path / "out", "--scrub", "email") == 0
    assert rows(tmp_path / "out") == [
        {"text": "A file of text.\n"},
        {"prompt": "Who?", "completion": ANSWER, "id": 1},
        {"text": "Mail me at <EMAIL>, please."},
    ]
    report = json.loads(capsys.readouterr().out)
    assert report["documents"] == 4
    assert report["kept"] == 3
    assert report["dropped"] == {"exact-duplicate": 1}
    assert report["badRows"] == 2
    assert [example.partition(": ")[0] for example in report["badRowExamples"]] == ["b.jsonl:4", "b.jsonl:5"]


def test_own_patterns_are_replaced_wherever_they_stand_and_counted(data: Path, tmp_path: Path, capsys: Any) -> None:
    row = {"text": "Ticket AB-12, see CD-34.", "notes": [{"of": "ab-12 = AB-12"}]}
    (data / "c.jsonl").write_text(json.dumps(row) + "\n")
    assert run(data, tmp_path / "out", "--scrub-pattern", "ticket=[A-Z]{2}-[0-9]+", "--scrub-pattern", "is=(=)") == 0
    assert rows(tmp_path / "out")[-1] == {
        "text": "Ticket <TICKET>, see <TICKET>.",
        "notes": [{"of": "ab-12 <IS> <TICKET>"}],
    }
    assert json.loads(capsys.readouterr().out)["scrubbed"] == {"is": 1, "ticket": 1}


def test_half_a_surrogate_pair_anywhere_makes_a_row_bad(data: Path, tmp_path: Path, capsys: Any) -> None:
    """It cannot be written, though nobody trains on that field."""
    (data / "a.txt").unlink()
    (data / "b.jsonl").write_text('{"text": "good"}\n{"text": "x", "id": "\\ud800"}\n{"text": "y", "\\udc00": 1}\n')
    assert run(data, tmp_path / "out", "--bad-rows-percent", "70") == 0
    assert rows(tmp_path / "out") == [{"text": "good"}]
    said = json.loads(capsys.readouterr().out)["badRowExamples"]
    assert said == ["b.jsonl:2: id holds half a surrogate pair", "b.jsonl:3: a name holds half a surrogate pair"]


def test_equal_input_gives_equal_bytes_in_shards(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean, "SHARD_BYTES", 50)
    contents = []
    for name in ("one", "two"):
        assert run(data, tmp_path / name, "--duplicates", "near") == 0
        contents.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert contents[0] == contents[1]
    assert len(contents[0]) > 1


def test_too_many_bad_rows_leave_nothing(data: Path, tmp_path: Path, capsys: Any) -> None:
    assert run(data, tmp_path / "out", "--bad-rows-percent", "10") == 2
    assert not (tmp_path / "out").exists()
    assert "b.jsonl:4: a row needs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--duplicates", "fuzzy"), "--duplicates: "),
        (("--scrub", "email,names"), "--scrub: "),
        (("--languages", "xx"), "xx is not told apart"),
        (("--similarity-percent", "20"), "--similarity_percent: "),
        (("--scrub-pattern", "own=("), "scrubPatterns[0].pattern: no regular expression"),
        (("--scrub-pattern", "own"), "--scrub_patterns: "),
        (("--scrub-pattern", "Own=a"), "--scrub_patterns: "),
    ],
)
def test_a_wrong_option_is_named(data: Path, tmp_path: Path, capsys: Any, options: tuple[str, ...], said: str) -> None:
    assert run(data, tmp_path / "out", *options) == 2
    assert said in capsys.readouterr().err


def test_what_clean_made_is_replaced_and_read_by_nobody_else(data: Path, tmp_path: Path) -> None:
    assert run(data, tmp_path / "out") == 0
    (data / "a.txt").write_text("Another file of text.\n")
    assert run(data, tmp_path / "out") == 0
    assert {"text": "Another file of text.\n"} in rows(tmp_path / "out")
    assert open_tree(str(tmp_path / "out"), ("**/*",)).names == ("part-00000.jsonl",)
    (tmp_path / "empty").mkdir()
    assert run(data, tmp_path / "empty") == 0


@pytest.mark.parametrize(
    ("source", "output", "said"),
    [
        ("data", "data", "overlap"),
        ("data", ".", "overlap"),
        ("data", "data/clean", "overlap"),
        ("file://data", "data", "overlap"),
        ("data", "link", "overlap"),
        ("data", "other", "holds files, and no .slipway-clean"),
        ("data", "other/note.txt", "is no directory"),
    ],
)
def test_nothing_is_replaced_that_clean_did_not_make(
    data: Path, tmp_path: Path, capsys: Any, source: str, output: str, said: str
) -> None:
    (tmp_path / "link").symlink_to(data)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("mine\n")
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    scheme = source.removesuffix("data")
    assert main(["--input", f"{scheme}{data}", "--output", str(tmp_path / output)]) == 2
    assert said in capsys.readouterr().err
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before
