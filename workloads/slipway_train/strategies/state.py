"""Whole tensors out of a strategy's pieces and back: what makes a checkpoint independent of strategy and world size.

Decided here: one tensor at a time is whole, so no process but the one that keeps them needs more memory than its pieces
and one tensor. A piece is a DTensor, which knows what it is a piece of; any other tensor is whole. Every function here
is a collective.
"""

from collections.abc import Callable, Collection, Mapping

import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor, distribute_tensor

from ..errors import RecipeError
from ..gang import Gang
from . import State

Parameters = dict[str, torch.nn.Parameter]
Source = Mapping[str, torch.Tensor]  # a State, or what is read from a volume when it is asked for
Put = Callable[[str, str | None, torch.Tensor], None]  # a parameter's name, a key of its optimizer state, the tensor


def trained(model: torch.nn.Module) -> Parameters:
    """What a checkpoint holds: the other parameters, a recipe makes again. To be asked for before the first step, since
    while FSDP has a layer whole, the model shows other parameters than the optimizer's."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def capture(parameters: Parameters, optimizer: torch.optim.Optimizer, *, keep: bool) -> State | None:
    """See `Sharded.capture`; the process that is to `keep` it gets it."""
    return whole(held(parameters, optimizer), keep=keep)


def held(parameters: Parameters, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Parameters and optimizer state by the names of a checkpoint, as this process has them: whole, or DTensors."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in parameters.items():
        tensors[f"model.{name}"] = parameter
        for key, value in optimizer.state[parameter].items():
            tensors[f"optimizer.{name}.{key}"] = value
    return tensors


def whole(tensors: Mapping[str, torch.Tensor], *, keep: bool) -> State | None:
    """Copies on the CPU."""
    state: State = {}
    for name, tensor in tensors.items():
        full = tensor.detach()
        full = full.full_tensor() if isinstance(full, DTensor) else full
        if keep:
            state[name] = full.to("cpu", copy=True)
    return state if keep else None


def collect(own: State | None, gang: Gang) -> State | None:
    """The states of all processes that have one, on rank 0. One tensor is on its way at a time."""
    shapes = gang.gather({name: (tensor.shape, tensor.dtype) for name, tensor in (own or {}).items()})
    collected = dict(own or {})
    for rank, held in enumerate(shapes):
        for name, (shape, dtype) in held.items():
            if rank == 0 or name in shapes[0]:
                continue
            if gang.rank == rank:
                dist.send(collected[name].to(gang.device), 0)
            elif gang.rank == 0:
                room = torch.empty(shape, dtype=dtype, device=gang.device)
                dist.recv(room, rank)
                collected[name] = room.cpu()
    return collected if gang.rank == 0 else None


def restore(parameters: Parameters, optimizer: torch.optim.Optimizer, gang: Gang, state: Source | None) -> None:
    """See `Sharded.restore`. `parameters` may be other ones on other processes."""
    for parameter in parameters.values():
        optimizer.state[parameter] = {}
    receive(parameters, gang, state, lambda name, key, tensor: _put(tensor, parameters[name], key, optimizer))


def receive(names: Collection[str], gang: Gang, state: Source | None, put: Put) -> None:
    """Rank 0's tensors, one after the other: `put` is called with those of this process's `names`."""
    found = gang.broadcast(sorted(state) if state is not None else None)
    _check_names(found, {name for each in gang.gather(list(names)) for name in each})
    for full_name in found:
        tensor = _receive(gang, state[full_name] if state is not None else None)
        name, key = _split(full_name)
        if name in names:
            put(name, key, tensor)


def _check_names(found: Collection[str], wanted: set[str]) -> None:
    for full_name in sorted(found):
        if _split(full_name)[0] not in wanted:
            raise RecipeError(f"the checkpoint holds {full_name}, which this model does not have")
    for name in sorted(wanted - {_split(each)[0] for each in found}):
        raise RecipeError(f"the checkpoint does not hold {name}, which this model has")


def _split(full_name: str) -> tuple[str, str | None]:
    """`model.a.b` is parameter a.b itself, `optimizer.a.b.exp_avg` its exp_avg."""
    kind, _, rest = full_name.partition(".")
    if kind == "model":
        return rest, None
    name, _, key = rest.rpartition(".")
    return name, key


def _receive(gang: Gang, given: torch.Tensor | None) -> torch.Tensor:
    """On every process what rank 0 was given."""
    shape, dtype = gang.broadcast((given.shape, given.dtype) if given is not None else None)
    tensor = given.to(gang.device) if given is not None else torch.empty(shape, dtype=dtype, device=gang.device)
    dist.broadcast(tensor, src=0)
    return tensor


@torch.no_grad()  # type: ignore[untyped-decorator]
def _put(
    tensor: torch.Tensor, parameter: torch.nn.Parameter, key: str | None, optimizer: torch.optim.Optimizer
) -> None:
    if key is None:
        parameter.copy_(_piece(tensor, parameter))
    else:
        is_like_it = tensor.shape == parameter.shape
        value = _piece(tensor, parameter) if is_like_it else tensor
        optimizer.state[parameter][key] = value.to(parameter.device)


def _piece(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This process's piece of a whole tensor that every process has: nothing is sent."""
    if not isinstance(like, DTensor):
        return tensor
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)
