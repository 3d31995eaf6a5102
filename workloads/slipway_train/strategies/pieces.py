"""What one process holds of a tensor that the gang has in pieces, and where in the whole it lies.

Decided here: a piece knows its place, so whoever puts a tensor together need not know how it was cut. Of copies (FSDP's
`hybrid`) one process gives the piece; a tensor that is no DTensor, such as the optimizer's counts of steps, is given by
every process that has it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch.distributed.tensor import DTensor, Replicate


@dataclass(frozen=True, slots=True)
class Piece:
    """`numbers`, a copy on the CPU, begin at `offset` of a tensor of `shape`. An offset of one dimension counts along
    the whole tensor's numbers in a line, whatever its shape."""

    numbers: torch.Tensor
    shape: tuple[int, ...]
    offset: tuple[int, ...]


Pieces = dict[str, Piece]


def pieces(tensors: Mapping[str, torch.Tensor]) -> Pieces:
    """This process's, by the whole tensor's name. Nothing is sent."""
    return dict(_pieces(tensors))


def _pieces(tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, Piece]]:
    for name, tensor in tensors.items():
        if not isinstance(tensor, DTensor):
            yield name, Piece(copied(tensor), tuple(tensor.shape), (0,) * tensor.dim())
        elif (mine := tensor.detach().to_local()).numel() and not _is_copy(tensor):
            (chunk,) = tensor.__create_chunk_list__()
            yield name, Piece(copied(mine), tuple(tensor.shape), tuple(chunk.offsets))


def _is_copy(tensor: DTensor) -> bool:
    """Whether a process before this one holds the same."""
    coordinate = tensor.device_mesh.get_coordinate() or ()
    return any(place and kind == Replicate() for place, kind in zip(coordinate, tensor.placements, strict=True))


def copied(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().to("cpu", copy=True).contiguous()
