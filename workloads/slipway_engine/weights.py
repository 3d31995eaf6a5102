"""Are a model's weights complete? Told from file sizes and headers, without reading a tensor.

A safetensors file says in its header how long it is (https://huggingface.co/docs/safetensors: 8 bytes of header
length, little endian, the header as JSON, then the tensors), so a copy that was cut off is noticed. A pickled file is
not opened.
"""

import struct
from collections.abc import Collection
from pathlib import Path

from .jsonfile import parsed

SAFETENSORS_INDEX = "model.safetensors.index.json"
PICKLE_INDEX = "pytorch_model.bin.index.json"
HEADER_BYTES_MAX = 100_000_000  # the format's own bound
LFS_POINTER = b"version https://git-lfs"
NAMED_MAX = 3  # missing files that a sentence names


class Unusable(Exception):
    """Weights that no engine could load; the message is one sentence that says what to do."""


def weights_problem(model: Path) -> str | None:
    """One sentence about missing, short or damaged weights, or None. Raises OSError when a file cannot be read."""
    try:
        _verify(model)
    except Unusable as unusable:
        return str(unusable)
    return None


def _verify(model: Path) -> None:
    """Safetensors are preferred to pickles, as engines do, and an index to the files beside it."""
    for index, pattern in ((SAFETENSORS_INDEX, "*.safetensors"), (PICKLE_INDEX, "pytorch_model*.bin")):
        if (model / index).is_file():
            return _verify_index(model / index)
        if files := sorted(model.glob(pattern)):
            for path in files:
                _verify_file(path)
            return None
    raise Unusable(f"{model} has no weights (*.safetensors or pytorch_model*.bin); export the model again")


def _verify_index(index: Path) -> None:
    """The index maps each tensor to its shard: all shards are there, and each has what the index says."""
    shards = _shards(index)
    missing = sorted(name for name in shards if not (index.parent / name).is_file())
    if missing:
        named = ", ".join(missing[:NAMED_MAX]) + (", ..." if len(missing) > NAMED_MAX else "")
        count = f"{len(missing)} of {len(shards)} shards in {index.name}"
        raise Unusable(f"{index.parent} lacks {count} ({named}); copy them there, or export the model again")
    for name in sorted(shards):
        tensors = _verify_file(index.parent / name)
        absent = sorted(shards[name] - set(tensors)) if tensors is not None else []
        if absent:
            raise Unusable(f"{index.parent / name} lacks {absent[0]}, which {index.name} puts there; export again")


def _shards(index: Path) -> dict[str, set[str]]:
    """Tensor names by shard; a shard is a plain name beside the index."""
    try:
        weight_map = parsed(index.read_bytes())["weight_map"]
        shards: dict[str, set[str]] = {name: set() for name in weight_map.values()}
        for tensor, name in weight_map.items():
            shards[name].add(tensor)
        plain = all(Path(name).name == name for name in shards)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Unusable(f"{index} has no weight_map of tensors to files; export the model again") from None
    if not shards or not plain:
        raise Unusable(f"{index} names no files, or files outside its directory; export the model again")
    return shards


def _verify_file(path: Path) -> Collection[str] | None:
    """The names of a safetensors file's tensors, once its length is what its header says; None for a pickle."""
    _verify_beginning(path)
    if path.suffix != ".safetensors":
        return None
    size_bytes = path.stat().st_size
    raw = _header(path, size_bytes)
    try:
        tensors = {name: entry for name, entry in parsed(raw).items() if name != "__metadata__"}
        data_bytes = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError):
        raise Unusable(f"{path} is damaged: its safetensors header cannot be read; copy it again") from None
    expected_bytes = 8 + len(raw) + data_bytes
    if size_bytes != expected_bytes:
        raise Unusable(f"{path} has {size_bytes} bytes where its header says {expected_bytes}; copy it again")
    return tensors


def _header(path: Path, size_bytes: int) -> bytes:
    with path.open("rb") as file:
        prefix = file.read(8)
        header_bytes = struct.unpack("<Q", prefix)[0] if len(prefix) == 8 else size_bytes
        if header_bytes > min(size_bytes - 8, HEADER_BYTES_MAX):
            raise Unusable(f"{path} is damaged or cut off: it has no safetensors header; copy it again")
        return file.read(header_bytes)


def _verify_beginning(path: Path) -> None:
    """Any file of weights has something in it, and is not a pointer where git-lfs should have put the file."""
    with path.open("rb") as file:
        beginning = file.read(len(LFS_POINTER))
    if not beginning:
        raise Unusable(f"{path} is empty; copy it again")
    if beginning == LFS_POINTER:
        raise Unusable(f"{path} is a Git LFS pointer, not weights; run `git lfs pull` at its source and copy it again")
