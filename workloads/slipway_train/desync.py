"""The observer that finds ranks whose copies of the same weights have come apart, and ends the run naming them.

Decided here: every EVERY_STEPS each rank takes a checksum of the bits of each piece of a parameter that it holds, and
of its gradient as that step's update takes it. Pieces that are copies of each other must agree exactly, as their sums
were made from the same numbers: under DDP that is every parameter, under sharding what replicas share. Shapes are
compared before the first step, where a difference would hang a collective. What most ranks have is taken for right.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import torch
from torch.distributed.tensor import DTensor
from torch.optim.optimizer import register_optimizer_step_pre_hook

from .errors import RanksDiffer, RecipeError
from .gang import Gang
from .loop import StepDone

EVERY_STEPS = 50
Piece = tuple[str, tuple[int, ...]]  # a parameter's name and, where it is sharded, which shard of it
Checksum = tuple[int, int]


class Desync:
    """`model` is what the strategy has taken. Its parameters are looked up here: within a step it may show others.

    Those are compared that an optimizer of this process updates. `step` is how many are done.
    """

    def __init__(self, gang: Gang, model: torch.nn.Module, *, step: int) -> None:
        self._gang = gang
        self._parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self._step = step
        self._gradients: dict[int, Checksum] = {}
        self._hook = register_optimizer_step_pre_hook(self._before_update)

    def on_step(self, done: StepDone) -> None:
        """Raises RanksDiffer, on every rank; RecipeError where the strategy's optimizer has other parameters."""
        self._step = done.step
        if done.step % EVERY_STEPS:
            return
        mine = {
            (name, _shard(each)): (_checksum(_local(each)), self._gradients[id(each)])
            for name, each in self._parameters.items()
            if id(each) in self._gradients
        }
        self._gradients = {}
        everyone = self._gang.gather(mine)
        if not any(everyone):
            raise RecipeError("desync: this strategy's optimizer has no parameters that can be compared: leave it out")
        for what, at in (("gradient", 1), ("weights", 0)):
            values = [{piece: pair[at] for piece, pair in each.items()} for each in everyone]
            if odd := first_difference(values):
                raise RanksDiffer(_words(done.step, what, *odd))

    def close(self) -> None:
        self._hook.remove()

    def _before_update(self, optimizer: torch.optim.Optimizer, *_: object) -> None:
        if (self._step + 1) % EVERY_STEPS:
            return
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._gradients[id(parameter)] = _checksum(_local(parameter.grad))


def check_shapes(gang: Gang, model: torch.nn.Module) -> None:
    """Before a strategy takes the model. Raises RanksDiffer, on every rank."""
    shapes: dict[Piece, Hashable] = {
        (name, ()): (tuple(each.shape), str(each.dtype)) for name, each in model.named_parameters()
    }
    if odd := first_difference(gang.gather(shapes)):
        raise RanksDiffer(_words(0, "shape", *odd))


def first_difference(values: Sequence[Mapping[Piece, Hashable]]) -> tuple[str, list[int]] | None:
    """In the order of the parameters: the name of one that is not the same everywhere, and the ranks that are odd."""
    for piece in dict.fromkeys(piece for each in values for piece in each):
        held = {rank: each[piece] for rank, each in enumerate(values) if piece in each}
        usual, _ = Counter(held.values()).most_common(1)[0]  # of equals the first rank's
        if odd := [rank for rank, value in held.items() if value != usual]:
            return piece[0], odd
    return None


def _words(step: int, what: str, name: str, ranks: list[int]) -> str:
    who = f"rank {ranks[0]}" if len(ranks) == 1 else f"ranks {', '.join(map(str, ranks))}"
    return f"the ranks have come apart at step {step}: {what} of {name} on {who} differs from the others'"


def _shard(parameter: torch.Tensor) -> tuple[int, ...]:
    """Where the piece lies along the mesh's sharding dimensions; replicas lie in the same place."""
    if not isinstance(parameter, DTensor):
        return ()
    coordinate = parameter.device_mesh.get_coordinate() or ()
    places = zip(coordinate, parameter.placements, strict=True)
    return tuple(at for at, placement in places if not placement.is_replicate())


def _local(tensor: torch.Tensor) -> torch.Tensor:
    whole = tensor.detach()
    return whole.to_local() if isinstance(whole, DTensor) else whole


def _checksum(tensor: torch.Tensor) -> Checksum:
    """Of the bits: their sum, and their sum weighted by position, modulo 2^64. One changed element changes both."""
    words = tensor.contiguous().view(_WORDS[tensor.element_size()]).flatten().long()
    places = torch.arange(1, len(words) + 1, device=words.device)
    return int(words.sum()), int((words * places).sum())


_WORDS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
