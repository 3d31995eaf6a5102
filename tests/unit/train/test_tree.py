import errno
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from slipway_train.corpus import check_splits
from slipway_train.errors import RecipeError
from slipway_train.rows.reading import read_rows
from slipway_train.tree import open_tree

from .fake_s3 import fake_s3

SAVED = Path(__file__).parent / "saved"
ROWS = ("**/*.jsonl",)
CONTENT = {
    "data/b.jsonl": b'{"text": "b"}\n',
    "data/deep/er/a.jsonl": b'{"text": "a"}\n',
    "data/c.txt": b"c",
    "data/e.jsonl": b"",
    "other/x.jsonl": b"{}",
}


@pytest.fixture
def memory() -> Iterator[str]:
    files = fsspec.filesystem("memory")
    for name, content in CONTENT.items():
        files.pipe(f"/bucket/{name}", content)
    yield "memory://bucket/data"
    files.rm("/bucket", recursive=True)


@pytest.fixture
def local(tmp_path: Path) -> str:
    for name, content in CONTENT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return str(tmp_path / "data")


def use(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of the data in a store at `endpoint`, whose client reads the environment."""
    settings = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "AWS_ENDPOINT_URL": endpoint, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    return "s3://bucket/data"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with fake_s3("bucket", CONTENT) as endpoint:
        yield use(endpoint, monkeypatch)


@pytest.mark.parametrize("place", ["local", "memory", "s3"])
def test_the_same_files_give_the_same_tree_wherever_they_are(place: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(place)
    tree = open_tree(address, ROWS)
    assert dict(tree.sizes) == {"b.jsonl": 14, "deep/er/a.jsonl": 14}, "sorted, without the empty one"
    assert [row.value["text"] for name in tree.names for row in read_rows(tree, name)] == ["b", "a"]
    assert open_tree(address, ("**/*.jsonl", "*.txt")).names == ("b.jsonl", "c.txt", "deep/er/a.jsonl")
    assert tree.fingerprint == open_tree(address, ROWS).fingerprint != open_tree(address, ("*.txt",)).fingerprint


def test_a_file_address_is_read_as_the_path_is(local: str) -> None:
    assert open_tree(f"file://{local}", ROWS).names == open_tree(local, ROWS).names


@pytest.mark.parametrize("place", ["local", "memory"])
def test_the_fingerprint_follows_sizes_and_names(place: str, request: pytest.FixtureRequest) -> None:
    address = request.getfixturevalue(place)
    before = open_tree(address, ROWS).fingerprint
    with fsspec.open(f"{address}/b.jsonl", "wb") as file:
        file.write(b'{"text": "longer"}\n')
    assert open_tree(address, ROWS).fingerprint != before


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("/nowhere", r"^dataset\.uri: /nowhere is not a directory"),
        ("nosuch://bucket", r"^dataset\.uri: nothing here reads nosuch://bucket"),
        ("memory://nowhere", ""),
    ],
)
def test_what_cannot_be_opened_is_the_recipes_mistake(address: str, said: str) -> None:
    if not said:
        assert open_tree(address, ROWS).names == (), "an object store has no directories: nothing is there"
        return
    with pytest.raises(RecipeError, match=said):
        open_tree(address, ROWS)


@pytest.mark.parametrize("place", ["local", "memory", "s3"])
@pytest.mark.parametrize("pattern", ["**.jsonl", "a**/b", "***"])
def test_a_wrong_pattern_is_the_recipes_mistake_wherever_the_files_are(
    place: str, pattern: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(RecipeError, match=r"^dataset\.include: \*\.txt, .*'\*\*' can only be an entire path component"):
        open_tree(request.getfixturevalue(place), ("*.txt", pattern))


@pytest.mark.parametrize("place", ["local", "memory", "s3"])
@pytest.mark.parametrize("pattern", ["", ".", "./", "./c.txt", "*/", "deep//a", "/c.txt", "../data/*", "a/./b"])
def test_a_pattern_that_names_nothing_below_is_the_recipes_mistake(
    place: str, pattern: str, request: pytest.FixtureRequest
) -> None:
    with pytest.raises(RecipeError, match=rf"^dataset\.include: '{re.escape(pattern)}' names nothing below"):
        open_tree(request.getfixturevalue(place), ("*.txt", pattern))


@pytest.mark.parametrize("place", ["local", "memory", "s3"])
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**", ["b.jsonl", "c.txt", "deep/er/a.jsonl"]),
        ("deep/**", ["deep/er/a.jsonl"]),
        ("*", ["b.jsonl", "c.txt"]),
        ("deep", []),
        ("**/er/*", ["deep/er/a.jsonl"]),
        ("[a-b].*", ["b.jsonl"]),
        ("?.txt", ["c.txt"]),
        ("*/*.jsonl", []),
        ("B.jsonl", []),
        ("[z-a]", []),
    ],
)
def test_a_pattern_means_the_same_wherever_the_files_are(
    place: str, pattern: str, names: list[str], request: pytest.FixtureRequest
) -> None:
    assert list(open_tree(request.getfixturevalue(place), (pattern,)).names) == names


def test_what_is_behind_a_link_does_not_count(local: str) -> None:
    (Path(local) / "file.txt").symlink_to("c.txt")
    (Path(local) / "directory").symlink_to("deep")
    assert open_tree(local, ("**", "directory/er/*")).names == ("b.jsonl", "c.txt", "deep/er/a.jsonl")


def test_a_directory_that_cannot_be_listed_is_told_unless_it_is_closed_to_us(
    local: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.scandir

    def failing(error: OSError) -> None:
        def scandir(path: str) -> Any:
            if str(path).endswith("deep"):
                raise error
            return listed(path)

        monkeypatch.setattr(os, "scandir", scandir)

    failing(PermissionError(errno.EACCES, "Permission denied"))
    assert open_tree(local, ("**",)).names == ("b.jsonl", "c.txt")
    failing(OSError(errno.ESTALE, "Stale file handle"))
    with pytest.raises(OSError, match="Stale"):
        open_tree(local, ("**",))


def test_a_store_that_refuses_is_told_in_its_own_words(s3: str) -> None:
    with pytest.raises(RecipeError, match=r"^dataset\.uri: s3://elsewhere/x cannot be listed: "):
        open_tree("s3://elsewhere/x", ROWS)


@pytest.mark.parametrize(
    "answer",
    [
        (403, "AccessDenied"),
        (403, "InvalidAccessKeyId"),
        (403, "SignatureDoesNotMatch"),
        (404, "NoSuchBucket"),
        (400, "InvalidBucketName"),
        (400, "AuthorizationHeaderMalformed"),
    ],
)
def test_what_a_store_refuses_to_list_ends_the_run(answer: tuple[int, str], monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_s3("bucket", CONTENT, failing={"": answer}) as endpoint:
        address = use(endpoint, monkeypatch)
        with pytest.raises(RecipeError, match=r"^dataset\.uri: s3://bucket/data cannot be listed: "):
            open_tree(address, ROWS)


@pytest.mark.parametrize(
    "answer", [(503, "SlowDown"), (500, "InternalError"), (400, "RequestTimeout"), (400, "ExpiredToken")]
)
def test_a_store_that_fails_while_listing_may_be_asked_again(
    answer: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_s3("bucket", CONTENT, failing={"": answer}) as endpoint:
        address = use(endpoint, monkeypatch)
        with pytest.raises(OSError, match="AWS Error"):
            open_tree(address, ROWS)


def test_a_store_that_is_away_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_s3("bucket", CONTENT) as endpoint:
        address = use(endpoint, monkeypatch)
    with pytest.raises(OSError, match="AWS Error NETWORK_CONNECTION"):
        open_tree(address, ROWS)


def test_a_state_that_cannot_be_read_is_not_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    saved = {"data/cache-0.arrow": b"a", "data/state.json": b'{"_data_files": []}'}
    with fake_s3("bucket", saved, failing={"data/state.json": (503, "SlowDown")}) as endpoint:
        address = use(endpoint, monkeypatch)
        with pytest.raises(OSError, match="AWS Error"):  # and the cache would be data
            open_tree(address, ("**/*.arrow",))


# Hugging Face's save_to_disk, as datasets 5.2.0 wrote it


def test_a_saved_dataset_is_read_in_its_order() -> None:
    tree = open_tree(str(SAVED / "plain"), ("**/*.arrow",))
    assert tree.names == ("data-00000-of-00002.arrow", "data-00001-of-00002.arrow")
    rows = [row for name in tree.names for row in read_rows(tree, name)]
    assert [row.value["messages"][1]["content"] for row in rows] == [str(i + 1) for i in range(12)]
    assert [row.number for row in rows] == [1, 2, 3, 4, 5, 6] * 2


def test_a_cache_beside_a_saved_dataset_is_no_data(tmp_path: Path) -> None:
    shutil.copytree(SAVED / "plain", tmp_path / "saved")
    shutil.copy(SAVED / "plain" / "data-00000-of-00002.arrow", tmp_path / "saved" / "cache-0123456789abcdef.arrow")
    assert len(open_tree(str(tmp_path), ("**/*.arrow",)).names) == 2


def test_a_selection_of_rows_is_refused(tmp_path: Path) -> None:
    shutil.copytree(SAVED / "plain", tmp_path / "saved")
    state = json.loads((tmp_path / "saved" / "state.json").read_text())
    (tmp_path / "saved" / "state.json").write_text(
        json.dumps({**state, "_indices_data_files": [{"filename": "i.arrow"}]})
    )
    with pytest.raises(RecipeError, match=r"^dataset\.uri: saved is a selection of rows"):
        open_tree(str(tmp_path), ("**/*.arrow",))


def test_splits_are_not_mixed() -> None:
    with pytest.raises(RecipeError, match=r"has the splits train, test: name the one to train on, such as train/\*"):
        check_splits(open_tree(str(SAVED / "splits"), ("**/*.arrow",)))
    check_splits(open_tree(str(SAVED / "splits"), ("train/*.arrow",)))
