"""A checkpoint in pieces on the volume: a file per process, and whole tensors out of all of them.

Decided here: a tensor is put together when it is asked for, from whatever files have a piece of it, so a checkpoint of
one strategy and world size is read by any other, and nobody holds more than one whole tensor. The same piece may come
twice. Numbers are safetensors and their places JSON in the file's header: reading runs no code from the volume, which
torch's own format of sharded checkpoints (its index is a pickle) would.
"""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from .strategies.pieces import Pieces

_PLACES = "places"  # in a file's header
_PREFIX = "shard-"


def shard_name(rank: int, processes: int) -> str:
    return f"{_PREFIX}{rank:05d}-of-{processes:05d}.safetensors"


def is_shard(name: str) -> bool:
    return name.startswith(_PREFIX)


def write_shard(path: Path, pieces: Pieces) -> None:
    """OSError where the volume is full or gone."""
    places = {name: {"shape": piece.shape, "offset": piece.offset} for name, piece in pieces.items()}
    save_file({name: each.numbers for name, each in pieces.items()}, path, metadata={_PLACES: json.dumps(places)})


@dataclass(frozen=True, slots=True)
class _Place:
    """A piece of `size` that begins at `offset`, in this file."""

    file: Any  # safetensors', open
    offset: tuple[int, ...]
    size: tuple[int, ...]


class Shards(Mapping[str, torch.Tensor]):
    """The whole tensors of a checkpoint, read from its files. ValueError where a part of one is in no file."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._places: dict[str, dict[tuple[int, ...], _Place]] = {}
        for path in paths:
            self._take(safe_open(path, "pt"))
        for name, shape in self._shapes.items():
            held = sum(math.prod(place.size) for place in self._places[name].values())
            if held != math.prod(shape):
                raise ValueError(f"the shards hold {held} of the {math.prod(shape)} numbers of {name}")

    def __getitem__(self, name: str) -> torch.Tensor:
        """A tensor of its own at every call."""
        whole: torch.Tensor | None = None
        for place in self._places[name].values():
            numbers = place.file.get_tensor(name)
            whole = torch.empty(self._shapes[name], dtype=numbers.dtype) if whole is None else whole
            part = whole.view(-1) if len(place.offset) == 1 else whole
            part[tuple(slice(at, at + size) for at, size in zip(place.offset, place.size, strict=True))] = numbers
        assert whole is not None, "a name has a place"
        return whole

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    def _take(self, file: Any) -> None:  # noqa: ANN401 - safetensors has no types
        for name, place in json.loads(file.metadata()[_PLACES]).items():
            offset, shape = tuple(place["offset"]), tuple(place["shape"])
            if self._shapes.setdefault(name, shape) != shape:
                raise ValueError(f"the shards disagree on the shape of {name}")
            size = tuple(file.get_slice(name).get_shape())
            self._places.setdefault(name, {})[offset] = _Place(file, offset, size)
