"""A stage: some of a Llama's layers, with the embedding before the first and the norm and head after the last.

Decided here: a stage calls transformers' own layers, and does itself what transformers' model does around them, because
that one takes the length of the sequence from what it sees, and here it may see a part. A stage's parameters keep the
names that they have in the whole model.
"""

from typing import Any

import torch
from torch import nn

TIED = "model.embed_tokens.weight"
_HEAD = "lm_head.weight"


class Stage(nn.Module):  # type: ignore[misc]
    """Takes `whole`'s modules; call it with tokens if it is `first`, else with the stage before's output."""

    def __init__(self, whole: Any, layers: range, *, first: bool, last: bool) -> None:  # noqa: ANN401
        super().__init__()
        self.first, self.last = first, last
        self.model = nn.Module()
        if first:
            self.model.embed_tokens = whole.model.embed_tokens
        self.model.layers = nn.ModuleDict({str(index): whole.model.layers[index] for index in layers})
        if last:
            self.model.norm = whole.model.norm
            self.lm_head = whole.lm_head
        self.rotary = whole.model.rotary_emb

    def forward(
        self, hidden: torch.Tensor, *, positions: torch.Tensor, documents: torch.Tensor | None = None
    ) -> torch.Tensor:
        """`positions` of this process's tokens; `documents` numbers each row's, for the whole sequence."""
        if self.first:
            hidden = self.model.embed_tokens(hidden)
        rotations = self.rotary(hidden, positions)
        mask = None if documents is None else _mask(documents)
        for layer in self.model.layers.values():
            hidden = layer(hidden, attention_mask=mask, position_embeddings=rotations, documents=documents)
        return self.lm_head(self.model.norm(hidden)) if self.last else hidden

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """As the whole model has them: its head is its embedding."""
        return {TIED if name == _HEAD else name: parameter for name, parameter in self.named_parameters()}

    def counted(self) -> list[nn.Parameter]:
        """Those that count in the whole model's norm: a head apart from its embedding would count twice."""
        return [p for name, p in self.named_parameters() if self.first or name != _HEAD]

    def tie(self) -> None:
        """After its parameters were replaced one by one: embedding and head are one again, where both are here."""
        if self.first and self.last:
            self.lm_head.weight = self.model.embed_tokens.weight


def document_numbers(positions: torch.Tensor) -> torch.Tensor:
    """(rows, context) -> which document of its row a token belongs to: positions begin at 0 with each."""
    return (positions == 0).cumsum(dim=1)


def _mask(documents: torch.Tensor) -> torch.Tensor:
    """(rows, 1, context, context), True where a token may look: back, and in its own document."""
    same = documents[:, :, None] == documents[:, None, :]
    return same.tril()[:, None]
