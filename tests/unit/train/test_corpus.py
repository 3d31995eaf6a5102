import json
from pathlib import Path
from typing import Any

import pytest

from slipway_train import corpus as corpus_module
from slipway_train.cleaning.documents import cleaned
from slipway_train.config import Dataset
from slipway_train.corpus import open_corpus
from slipway_train.errors import RecipeError
from slipway_train.gang import Gang

from .support import write_dataset


def look(root: Path, *include: str, held_out_percent: int = 20) -> corpus_module.Corpus:
    return open_corpus(Dataset(path=str(root), include=include or ("**/*.py",), held_out_percent=held_out_percent))


def test_every_file_is_on_one_side_and_the_share_is_about_right(tmp_path: Path) -> None:
    write_dataset(tmp_path, files=400)
    corpus = look(tmp_path)
    assert not set(corpus.training) & set(corpus.held_out)
    assert len(corpus.training) + len(corpus.held_out) == 400
    assert 60 <= len(corpus.held_out) <= 100


def test_new_files_move_no_old_one(tmp_path: Path) -> None:
    write_dataset(tmp_path, files=40)
    before = look(tmp_path)
    write_dataset(tmp_path, files=80)
    after = look(tmp_path)
    assert set(before.held_out) <= set(after.held_out)
    assert set(before.training) <= set(after.training)
    assert before.fingerprint != after.fingerprint


def test_the_fingerprint_is_the_same_for_the_same_files_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        write_dataset(tmp_path / name)
    assert look(tmp_path / "one").fingerprint == look(tmp_path / "two").fingerprint


@pytest.mark.parametrize("percent", [1, 50])
def test_two_files_are_enough_for_both_sides(tmp_path: Path, percent: int) -> None:
    write_dataset(tmp_path, files=2)
    corpus = look(tmp_path, held_out_percent=percent)
    assert (len(corpus.training), len(corpus.held_out)) == (1, 1)


def test_empty_files_and_links_are_left_out(tmp_path: Path) -> None:
    write_dataset(tmp_path, files=6)
    (tmp_path / "empty.py").touch()
    (tmp_path / "link.py").symlink_to(tmp_path / "part0" / "m0.py")
    corpus = look(tmp_path)
    assert len(corpus.training) + len(corpus.held_out) == 6


def test_patterns_overlap_without_counting_twice(tmp_path: Path) -> None:
    write_dataset(tmp_path, files=6)
    corpus = look(tmp_path, "**/*.py", "part0/*")
    assert len(corpus.training) + len(corpus.held_out) == 6


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"^dataset\.uri: .*nowhere is not a directory"):
        look(tmp_path / "nowhere")


def test_no_match_names_the_patterns(tmp_path: Path) -> None:
    write_dataset(tmp_path, files=3)
    with pytest.raises(RecipeError, match=r"dataset\.include: 0 file\(s\) match \*\.md"):
        look(tmp_path, "*.md")


def test_a_pattern_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"dataset\.include: "):
        look(tmp_path, "/etc/*")


def test_pieces_are_bounded_and_give_the_text_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "PIECE_BYTES", 10)
    text = "short\nlonger than a piece: ä€𐍈 without any line end\r\n" * 4
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(text.encode())
    pieces = list(look(tmp_path).pieces("a.py"))
    assert "".join(pieces) == text
    assert max(len(piece.encode()) for piece in pieces) <= 20 + 3  # a character may be finished by the next piece


def test_a_file_ends_where_it_stops_being_utf8(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "PIECE_BYTES", 4)
    (tmp_path / "a.py").write_bytes(b"good\nbad \xff\nmore\n")
    (tmp_path / "b.py").write_bytes(b"cut in the middle \xe2\x82")
    corpus = look(tmp_path)
    assert "".join(corpus.pieces("a.py")) == "good\n"
    assert "".join(corpus.pieces("b.py")).startswith("cut in the middle")
    assert list(corpus.pieces("a.py")) == list(corpus.pieces("a.py")), "the same every time"


# Rows


def write_rows(path: Path, rows: list[Any]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" if isinstance(row, dict) else f"{row}\n" for row in rows))


def look_at_rows(root: Path, **dataset: Any) -> corpus_module.Corpus:
    return open_corpus(Dataset(path=str(root), include=("**/*",), held_out_percent=20, **dataset))


def texts(corpus: corpus_module.Corpus, *, held_out: bool) -> list[str]:
    names = corpus.held_out if held_out else corpus.training
    return ["".join(document) for name in names for document in corpus.documents(name, held_out=held_out)]


def test_each_row_is_a_document_on_one_side(tmp_path: Path) -> None:
    rows = [f"This is text number {i}." for i in range(300)]
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in rows])
    corpus = look_at_rows(tmp_path)
    training, held_out = texts(corpus, held_out=False), texts(corpus, held_out=True)
    assert sorted(training + held_out) == sorted(rows)
    assert 30 <= len(held_out) <= 90
    write_rows(tmp_path / "a.jsonl", [{"text": text} for text in ["more", *rows, "and more"]])
    assert set(held_out) <= set(texts(look_at_rows(tmp_path), held_out=True)), "more rows move no old one"


def test_the_field_that_holds_the_text_can_have_another_name(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"content": f"text {i}"} for i in range(60)])
    assert len(texts(look_at_rows(tmp_path, text_field="content"), held_out=False)) > 30
    with pytest.raises(RecipeError, match=r"a\.jsonl:1: text is missing"):
        look_at_rows(tmp_path)


def test_bad_rows_are_counted_once_and_left_out(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", ["no json", {"text": 3}, *({"text": f"text {i}"} for i in range(100))])
    corpus = look_at_rows(tmp_path, bad_rows_percent=2)
    for _ in range(2):
        assert len(texts(corpus, held_out=False)) + len(texts(corpus, held_out=True)) == 100
    assert (corpus.bad.bad, corpus.bad.total) == (2, 102)


def test_too_many_bad_rows_end_the_run_when_the_file_has_been_read(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [*({"text": f"text {i}"} for i in range(100)), "no json", "no json"])
    corpus = look_at_rows(tmp_path, bad_rows_percent=1)
    with pytest.raises(RecipeError, match=r"dataset\.badRowsPercent: 2 of 102 rows .* a\.jsonl:101: not JSON"):
        texts(corpus, held_out=False)


def test_a_dataset_of_one_side_only_is_refused_at_once(tmp_path: Path) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": "the same"}] * 50)
    with pytest.raises(RecipeError, match=r"no document of .* is "):
        look_at_rows(tmp_path)


SHE = [{"name": "she", "pattern": r"\bshe\b"}]
SAME = {"duplicates": "exact", "scrub": ["email"], "scrubPatterns": SHE}


def test_cleaning_drops_documents_of_rows_and_files_alike(tmp_path: Path, gang: Gang) -> None:
    write_dataset(tmp_path, files=8)
    (tmp_path / "part0" / "again.py").write_text((tmp_path / "part0" / "m0.py").read_text())
    mails = [{"text": f"Write to number{i}@example.com, she is number {i}."} for i in range(50)]
    write_rows(tmp_path / "a.jsonl", mails + mails)
    corpus, counts = cleaned(look_at_rows(tmp_path, cleaning=SAME), gang)
    assert counts == {"exact-duplicate": 51, "kept": 58, "scrubbed-email": 100, "scrubbed-she": 100}
    left = [*texts(corpus, held_out=False), *texts(corpus, held_out=True)]
    assert len(left) == 58
    assert sum("<EMAIL>, <SHE> is" in text for text in left) == 50
    assert not any("example.com" in text for text in left)


def test_without_cleaning_nothing_is_read_beforehand(tmp_path: Path, gang: Gang) -> None:
    write_rows(tmp_path / "a.jsonl", [{"text": f"text {i}"} for i in range(60)])
    corpus = look_at_rows(tmp_path)
    assert cleaned(corpus, gang) == (corpus, {})
