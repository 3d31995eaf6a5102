"""A tree of files to read: a directory of this pod, or a prefix of an object store through fsspec.

Decided here: names are relative to the root and sorted, so every pod sees one order, and one matcher judges them
wherever they are: a data set that moves to a store stays the same. Symbolic links are left out, because a link could
put one text on both sides of the held-out share, and so are empty files. A directory that Hugging Face's
`save_to_disk` wrote counts with the files that its own `state.json` names: what lies beside them is a cache. A store
that says "not there" or "denied" would say so again, so the run ends for good; one that fails otherwise may be up by
the next attempt.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import RecipeError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem
    from fsspec.implementations.arrow import ArrowFSWrapper

_FIELD = "dataset.uri"  # what the user wrote; SLIPWAY_RECIPE's dataset.path is made from it
_STATE, _SPLITS = "state.json", "dataset_dict.json"
_ARROW = {"s3": "S3FileSystem", "gs": "GcsFileSystem"}
# What AWS's and Google's own clients call a store that is not theirs; pyarrow reads the rest of the environment itself.
_ENDPOINTS = {"s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"), "gs": ("STORAGE_EMULATOR_HOST",)}
_REMOTE = re.compile(r"[a-z0-9]+://")
# How pyarrow tells what S3 will not take back: in words alone, where for Google's store it raises the fitting OSError.
_S3_REFUSES = re.compile(
    r"(AWS Error|ExceptionName:) (NO_SUCH_BUCKET|RESOURCE_NOT_FOUND|ACCESS_DENIED|INVALID_ACCESS_KEY_ID"
    r"|SIGNATURE_DOES_NOT_MATCH|InvalidBucketName|PermanentRedirect|AuthorizationHeaderMalformed)\b"
)


@dataclass(frozen=True, slots=True)
class Tree:
    """Files under `address`, with their sizes in bytes, in sorted order."""

    address: str
    sizes: Mapping[str, int]
    open: Callable[[str], BinaryIO]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.sizes)

    @property
    def fingerprint(self) -> str:
        """Changes when a file is added, removed or resized."""
        listing = "\n".join(f"{name} {size}" for name, size in self.sizes.items())
        return hashlib.sha256(listing.encode("utf-8", "surrogateescape")).hexdigest()


def open_tree(address: str, patterns: tuple[str, ...]) -> Tree:
    """Lists what matches, which may be nothing.

    Raises RecipeError where the address cannot be read, and OSError where the store fails.
    """
    tree = _remote(address, patterns) if _REMOTE.match(address) else _local(Path(address), patterns)
    return _as_saved(tree)


def local_path(address: str) -> Path | None:
    """Where in this file system `address` is; None of an object store."""
    path = address.removeprefix("file://").removeprefix("local://")
    return None if _REMOTE.match(path) else Path(path)


def _local(root: Path, patterns: tuple[str, ...]) -> Tree:
    if not root.is_dir():
        raise RecipeError(f"{_FIELD}: {root} is not a directory in this pod")
    wanted = _wanted(patterns)
    found = {name: (root / name).lstat() for name in _below(root) if wanted.match(name)}
    sizes = {name: each.st_size for name, each in found.items() if stat.S_ISREG(each.st_mode)}
    return _tree(str(root), sizes, lambda name: (root / name).open("rb"))


def _below(root: Path) -> Iterator[str]:
    """What is in `root` and in its directories, those behind links left out, by its name there."""
    for directory, _, names in os.walk(root, onerror=_unless_denied):
        below = Path(directory).relative_to(root)
        yield from (str(below / name) for name in names)


def _unless_denied(error: OSError) -> None:
    """A volume may have directories that are root's alone (`lost+found`); any other fault would shorten the listing."""
    if not isinstance(error, PermissionError):
        raise error


def _remote(address: str, patterns: tuple[str, ...]) -> Tree:
    """Any file system that fsspec has a driver for. Credentials are the driver's own business: the environment's."""
    import fsspec

    scheme, _, rest = address.partition("://")
    try:
        files, root = (_arrow(scheme), rest) if scheme in _ARROW else fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        raise RecipeError(f"{_FIELD}: nothing here reads {address}: {error}") from None
    root = root.rstrip("/")
    wanted = _wanted(patterns)
    try:
        found = dict(_listed(files, root))
    except (OSError, ValueError) as error:  # the latter is what pyarrow finds wrong with the address
        if not _is_for_good(error):
            raise
        raise RecipeError(f"{_FIELD}: {address} cannot be listed: {type(error).__name__}: {error}") from error
    sizes = {name: size for name, size in found.items() if wanted.match(name)}
    return _tree(address, sizes, lambda name: files.open(f"{root}/{name}", "rb"))


def _is_for_good(error: OSError | ValueError) -> bool:
    """Whether the store would answer the same at every attempt."""
    if isinstance(error, (FileNotFoundError, PermissionError, ValueError)):
        return True
    return _S3_REFUSES.search(str(error)) is not None


def _wanted(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Matches the names that any of the patterns stands for."""
    from fsspec.utils import glob_translate

    for pattern in patterns:
        if not {"", ".", ".."}.isdisjoint(pattern.split("/")):
            raise RecipeError(
                f"dataset.include: {pattern!r} names nothing below {_FIELD}: write names with one / between them,"
                " without '.' and '..', such as train/*.jsonl"
            )
    try:
        return re.compile("|".join(glob_translate(pattern) for pattern in patterns))
    except ValueError as error:
        raise RecipeError(f"dataset.include: {', '.join(patterns)}: {error}") from None


def _arrow(scheme: str) -> "ArrowFSWrapper":
    """pyarrow's own driver: s3fs and gcsfs would bring two client libraries, whose pins the operator cannot meet."""
    from fsspec.implementations.arrow import ArrowFSWrapper
    from pyarrow import fs

    endpoint = next((found for name in _ENDPOINTS[scheme] if (found := os.environ.get(name))), None)
    return ArrowFSWrapper(getattr(fs, _ARROW[scheme])(endpoint_override=endpoint))


def _listed(files: "AbstractFileSystem", root: str) -> Iterator[tuple[str, int]]:
    """Every file under `root`, by its name there, with its size. pyarrow is asked itself: fsspec hides its errors."""
    prefix = f"{root}/".lstrip("/")
    if hasattr(files, "fs"):
        from pyarrow.fs import FileSelector, FileType

        for info in files.fs.get_file_info(FileSelector(root, recursive=True)):
            if info.type == FileType.File:
                yield info.path.removeprefix(prefix), info.size
        return
    for path, detail in files.find(root, detail=True).items():
        yield path.lstrip("/").removeprefix(prefix), int(detail["size"])


def _tree(address: str, sizes: Mapping[str, int], opener: Callable[[str], BinaryIO]) -> Tree:
    return Tree(address, {name: sizes[name] for name in sorted(sizes) if sizes[name]}, opener)


# ------------------------------------------------------------------ what save_to_disk leaves


def _as_saved(tree: Tree) -> Tree:
    arrow = [name for name in tree.names if name.endswith(".arrow")]
    directories = {name.rpartition("/")[0] for name in arrow}
    kept = {name for directory in directories for name in _named(tree, directory)}
    left = {name: size for name, size in tree.sizes.items() if name not in arrow or name in kept}
    return Tree(tree.address, left, tree.open)


def _named(tree: Tree, directory: str) -> Iterator[str]:
    """The Arrow files that count in `directory`: those of its state.json, or all where there is none."""
    state = _read_json(tree, f"{directory}/{_STATE}" if directory else _STATE)
    inside = [name for name in tree.names if name.rpartition("/")[0] == directory and name.endswith(".arrow")]
    if state is None:
        yield from inside
        return
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise RecipeError(f"{_FIELD}: {directory or '.'} is a selection of rows: call flatten_indices, save it anew")
    files = {str(each["filename"]) for each in state.get("_data_files") or ()}
    yield from (name for name in inside if name.rpartition("/")[2] in files)


def _read_json(tree: Tree, name: str) -> dict[str, Any] | None:
    try:
        with tree.open(name) as file:
            found = json.loads(file.read())
    except (FileNotFoundError, IsADirectoryError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def splits(tree: Tree) -> list[str]:
    """The splits of a saved DatasetDict, when files of more than one of them were taken."""
    saved = _read_json(tree, _SPLITS) or {}
    names = [str(name) for name in saved.get("splits") or ()]
    taken = [name for name in names if any(file.startswith(f"{name}/") for file in tree.names)]
    return taken if len(taken) > 1 else []
