"""Generated files on disk: written, compared, and stale ones found."""

from pathlib import Path

from slipway.cli.generated import Generated


def generated(directory: Path, files: dict[str, str]) -> Generated:
    return Generated(directory, files, "make it", owns="gen-*.txt")


def test_what_was_written_does_not_differ(tmp_path: Path) -> None:
    wanted = generated(tmp_path / "new" / "place", {"gen-a.txt": "one\ntwo\n"})
    assert wanted.write() == [tmp_path / "new" / "place" / "gen-a.txt"]
    assert wanted.difference() == ""


def test_a_missing_file_differs(tmp_path: Path) -> None:
    assert "+one\n" in generated(tmp_path, {"gen-a.txt": "one\n"}).difference()


def test_a_missing_directory_differs(tmp_path: Path) -> None:
    assert "+one\n" in generated(tmp_path / "none", {"gen-a.txt": "one\n"}).difference()


def test_a_changed_line_is_shown_with_its_file(tmp_path: Path) -> None:
    (tmp_path / "gen-a.txt").write_text("one\nedited\n")
    difference = generated(tmp_path, {"gen-a.txt": "one\ntwo\n"}).difference()
    assert f"--- {tmp_path}/gen-a.txt (committed)\n" in difference
    assert "-edited\n+two\n" in difference
    assert "-one" not in difference


def test_an_owned_file_that_is_no_longer_generated_differs_and_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "gen-old.txt").write_text("old\n")
    (tmp_path / "other.txt").write_text("by hand\n")
    wanted = generated(tmp_path, {"gen-a.txt": "one\n"})
    assert "-old\n" in wanted.difference()
    wanted.write()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gen-a.txt", "other.txt"]


def test_without_owned_files_nothing_else_is_touched(tmp_path: Path) -> None:
    (tmp_path / "gen-old.txt").write_text("old\n")
    wanted = Generated(tmp_path, {"gen-a.txt": "one\n"}, "make it")
    wanted.write()
    assert wanted.difference() == ""
    assert (tmp_path / "gen-old.txt").exists()
