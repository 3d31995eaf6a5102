from __future__ import annotations

from pathlib import Path

from bed import stamps


def test_a_stamp_keeps_the_parts_apart() -> None:
    assert stamps.stamp(["ab", "c"]) != stamps.stamp(["a", "bc"])


def test_a_stamp_depends_on_content_name_and_mode(tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    file = tmp_path / "context" / "a"
    seen = set()
    for text, mode in (("1", 0o644), ("2", 0o644), ("2", 0o755)):
        file.write_text(text)
        file.chmod(mode)
        seen.add(stamps.stamp(stamps.file_parts(tmp_path, ["context"])))
    file.rename(tmp_path / "context" / "b")
    seen.add(stamps.stamp(stamps.file_parts(tmp_path, ["context"])))
    assert len(seen) == 4


def test_what_python_caches_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "src" / "__pycache__").mkdir(parents=True)
    before = stamps.file_parts(tmp_path, ["src"])
    (tmp_path / "src" / "__pycache__" / "a.pyc").write_bytes(b"x")
    assert stamps.file_parts(tmp_path, ["src"]) == before


def test_a_stamp_file_is_current_only_with_the_same_value(tmp_path: Path) -> None:
    file = tmp_path / "stamps" / "kubectl"
    assert not stamps.is_current(file, "a")
    stamps.write(file, "a")
    assert stamps.is_current(file, "a")
    assert not stamps.is_current(file, "b")
