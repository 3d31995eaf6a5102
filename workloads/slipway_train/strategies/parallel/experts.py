"""Expert parallel: the experts of a layer are dealt out to processes, and tokens go where their experts are and back.

Decided here: the processes that share a layer's experts are data (or context) parallel ones, so nothing but the experts
is cut by it; no token is dropped, whatever the load, so the result is that of one process. The pieces of an expert's
weights, which FSDP makes among processes with the same experts, are cut along another dimension than the experts.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Shard, distribute_tensor
from torch.nn.functional import linear
from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

from .stage import Stage

NAME = "slipway_experts"
_WEIGHTS = ("gate_up_proj", "down_proj")
Experts = Callable[[Any, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def deal_experts(stage: Stage, mesh: DeviceMesh, settings: dict[str, Any]) -> None:
    """In place. `mesh` has dimensions `replica` and `expert`; `settings` are fully_shard's, of the other weights."""
    for layer in stage.model.layers.values():
        experts = layer.mlp.experts
        for name in _WEIGHTS:
            whole = getattr(experts, name).detach()
            mine = distribute_tensor(whole, mesh["expert"], [Shard(0)], src_data_rank=None)
            setattr(experts, name, torch.nn.Parameter(mine))
        fully_shard(experts, **settings | {"mesh": mesh["replica"]}, shard_placement_fn=lambda _: Shard(1))


def average_gradients(stage: Stage, size: int) -> None:
    """Like those of the other weights, which are a mean over all processes: to an expert come the tokens of `size`, and
    FSDP takes the mean over its replicas alone."""
    for layer in stage.model.layers.values():
        for weight in layer.mlp.experts.parameters():
            if weight.grad is not None:
                weight.grad.div_(size)


def use_dealt_experts(model: Any, group: dist.ProcessGroup) -> None:  # noqa: ANN401 - transformers is not typed for us
    """From now on the model's layers send their tokens to the experts that `group` has between them."""
    ALL_EXPERTS_FUNCTIONS.register(NAME, _experts_of(group))
    model.config._experts_implementation = NAME


def _experts_of(group: dist.ProcessGroup) -> Experts:
    """As transformers calls it: tokens (n, hidden), the experts of each (n, k) and their weights (n, k)."""

    def experts(module: Any, hidden: torch.Tensor, index: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
        order = index.flatten().argsort(stable=True)
        tokens = order // index.shape[1]
        wanted = torch.bincount(index.flatten(), minlength=module.num_experts).view(group.size(), -1)
        offered = torch.empty_like(wanted)  # by whom, for which of my experts
        dist.all_to_all_single(offered, wanted, group=group)
        there, here = wanted.sum(1).tolist(), offered.sum(1).tolist()
        received = _Exchange.apply(hidden[tokens], here, there, group)
        done = _Exchange.apply(_compute(module, received, offered), there, here, group)
        weighted = done * weights.flatten()[order, None].to(done.dtype)
        return torch.zeros_like(hidden).index_add(0, tokens, weighted.to(hidden.dtype))

    return experts


def _compute(module: Any, received: torch.Tensor, offered: torch.Tensor) -> torch.Tensor:  # noqa: ANN401
    """Rows that came sorted by sender, then by expert. An expert that nobody asked for has a gradient all the same."""
    gate_up, down = (_local(getattr(module, name)) for name in _WEIGHTS)
    mine = torch.arange(len(gate_up), device=received.device)
    expert = mine.repeat(len(offered)).repeat_interleave(offered.flatten())
    result = torch.zeros_like(received)
    for number in range(len(gate_up)):
        rows = (expert == number).nonzero().flatten()
        gate, up = linear(received[rows], gate_up[number]).chunk(2, dim=-1)
        result = result.index_add(0, rows, linear(module.act_fn(gate) * up, down[number]))
    return result


def _local(weight: torch.Tensor) -> torch.Tensor:
    return weight.to_local() if isinstance(weight, DTensor) else weight


class _Exchange(torch.autograd.Function):  # type: ignore[misc]
    """Rows to other processes and theirs to this one; back, the gradients go the other way."""

    @staticmethod
    def forward(
        context: Any,  # noqa: ANN401
        rows: torch.Tensor,
        receive: list[int],
        send: list[int],
        group: dist.ProcessGroup,
    ) -> torch.Tensor:
        context.receive, context.send, context.group = receive, send, group
        return _exchange(rows, receive, send, group)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None, None, None]:  # noqa: ANN401
        return _exchange(gradient, context.send, context.receive, context.group), None, None, None


def _exchange(rows: torch.Tensor, receive: list[int], send: list[int], group: dist.ProcessGroup) -> torch.Tensor:
    result = rows.new_empty(sum(receive), rows.shape[1])
    dist.all_to_all_single(result, rows.contiguous(), receive, send, group=group)
    return result
