"""Context parallel attention: each process has a part of every sequence, and gathers the keys and values of all of it.

Decided here: all-gather, not a ring. Keys and values are few where heads share them, one layer's lie whole at a time,
and the same few lines run on gloo and NCCL (torch's own context_parallel knows only GPU kernels). A process has the
n-th piece from the front and the n-th from the back: under causal attention all then have the same work.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

Attention = Callable[..., tuple[torch.Tensor, None]]
NAME = "slipway_context"


def my_part(rows: torch.Tensor, *, rank: int, size: int) -> torch.Tensor:
    """(rows, context) -> this process's columns."""
    if size == 1:
        return rows
    pieces = rows.chunk(2 * size, dim=1)
    return torch.cat([pieces[rank], pieces[2 * size - 1 - rank]], dim=1)


def whole_rows(part: torch.Tensor, group: dist.ProcessGroup | None) -> torch.Tensor:
    """The inverse, without gradients: (rows, part of the context) of each process -> (rows, context) on all."""
    if group is None:
        return part
    parts = [torch.empty_like(part) for _ in range(group.size())]
    dist.all_gather(parts, part.contiguous(), group=group)
    return _in_order(parts, dim=1)


def use_context_attention(model: Any, group: dist.ProcessGroup) -> None:  # noqa: ANN401 - transformers is not typed for us
    """From now on the model's layers attend over the whole of the sequences that `group` has in parts."""
    AttentionInterface.register(NAME, _attention_over(group))
    model.config._attn_implementation = NAME


def _attention_over(group: dist.ProcessGroup) -> Attention:
    """As transformers calls it: (rows, heads, part, head size) each, the result (rows, part, heads, head size)."""

    def attention(
        _module: torch.nn.Module,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        _mask: torch.Tensor | None,
        *,
        scaling: float,
        documents: torch.Tensor | None = None,
        **_options: object,
    ) -> tuple[torch.Tensor, None]:
        keys, values = _Gather.apply(key, group), _Gather.apply(value, group)
        front, back = query.chunk(2, dim=2)
        rank, pieces = group.rank(), 2 * group.size()
        parts = [
            _causal(front, keys, values, piece=rank, documents=documents, scale=scaling),
            _causal(back, keys, values, piece=pieces - 1 - rank, documents=documents, scale=scaling),
        ]
        return torch.cat(parts, dim=2).transpose(1, 2).contiguous(), None

    return attention


def _causal(
    query: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    *,
    piece: int,
    documents: torch.Tensor | None,
    scale: float,
) -> torch.Tensor:
    """Attention of the sequence's `piece`-th piece over all that is before it and itself."""
    length = query.shape[2]
    end = (piece + 1) * length
    mask = causal_lower_right(length, end) if documents is None else _mask(documents, end - length, end)
    return scaled_dot_product_attention(
        query, keys[:, :, :end], values[:, :, :end], attn_mask=mask, scale=scale, enable_gqa=True
    )


def _mask(documents: torch.Tensor, start: int, end: int) -> torch.Tensor:
    same = documents[:, start:end, None] == documents[:, None, :end]
    return same.tril(diagonal=start)[:, None]


def _in_order(parts: list[torch.Tensor], *, dim: int) -> torch.Tensor:
    halves = [part.chunk(2, dim=dim) for part in parts]
    return torch.cat([front for front, _ in halves] + [back for _, back in reversed(halves)], dim=dim)


class _Gather(torch.autograd.Function):  # type: ignore[misc]
    """Parts of a sequence (dimension 2) to the whole, in order; back, the whole's gradients are added up."""

    @staticmethod
    def forward(context: Any, part: torch.Tensor, group: dist.ProcessGroup) -> torch.Tensor:  # noqa: ANN401
        context.group = group
        parts = [torch.empty_like(part) for _ in range(group.size())]
        dist.all_gather(parts, part.contiguous(), group=group)
        return _in_order(parts, dim=2)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:  # noqa: ANN401
        group = context.group
        pieces = gradient.chunk(2 * group.size(), dim=2)
        parts = [torch.cat([pieces[r], pieces[-1 - r]], dim=2).contiguous() for r in range(group.size())]
        mine = torch.empty_like(parts[0])
        dist.reduce_scatter(mine, parts, group=group)
        return mine, None
