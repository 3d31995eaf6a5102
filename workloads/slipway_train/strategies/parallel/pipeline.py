"""Forward and backward through the stages, with torch's own pipeline schedules where there are several.

Decided here: a step's micro-batches are the pipeline's. Evaluation does not need a schedule: one stage after the other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch.distributed.pipelining import PipelineStage, Schedule1F1B, ScheduleInterleaved1F1B
from torch.nn.functional import cross_entropy

from ...batch import IGNORED
from ...config import Recipe
from .layout import Layout
from .stage import Stage

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of logits and labels


@dataclass(frozen=True, slots=True)
class Part:
    """What one process sees of a batch: (rows, part of the context); `documents` are (rows, context), None unpacked."""

    tokens: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    documents: torch.Tensor | None

    def where(self) -> dict[str, torch.Tensor]:
        """What every stage needs to know of the tokens."""
        packed = {} if self.documents is None else {"documents": self.documents}
        return {"positions": self.positions, **packed}


class Pipeline:
    """`stages` are this process's, in order."""

    def __init__(self, stages: list[Stage], recipe: Recipe, layout: Layout, device: torch.device) -> None:
        self._stages = stages
        self._layout = layout
        self._dtype = torch.bfloat16 if recipe.bf16 else torch.float32
        self._hidden = recipe.model.hidden_size
        self._scale = 1.0
        self._schedule = _schedule(stages, recipe, layout, device, self._loss) if layout.cut.pipeline > 1 else None

    def backward(self, parts: Sequence[Part], *, scale: float) -> torch.Tensor:
        """Gradients of the sum of `parts`' losses times `scale`, and that sum; 0 where another process computed it."""
        self._scale = scale
        if self._schedule is None:
            return torch.stack([self._backward(part) for part in parts]).sum()
        whole = _joined(parts)
        tokens = (whole.tokens,) if self._stages[0].first else ()
        losses: list[torch.Tensor] = []
        target = {"target": whole.labels, "losses": losses} if self._stages[-1].last else {}
        self._schedule.step(*tokens, return_outputs=False, **target, **whole.where())
        return torch.stack(losses).detach().sum() if losses else torch.zeros((), device=whole.tokens.device)

    def losses(self, part: Part) -> torch.Tensor:
        """Nats per label, of `part`'s shape, on every process of the pipeline. Without gradients."""
        hidden = part.tokens
        for index in range(self._layout.stages):
            owner = index % self._layout.cut.pipeline
            last = index == self._layout.stages - 1
            if owner == self._layout.pipeline_rank:
                hidden = self._stages[index // self._layout.cut.pipeline](hidden, **part.where())
                hidden = _losses(hidden, part.labels).view(part.labels.shape) if last else hidden
            else:
                hidden = self._awaited(part, last=last)
            if self._layout.cut.pipeline > 1:
                hidden = hidden.contiguous()
                dist.broadcast(hidden, group=self._layout.mesh.get_group("pipeline"), group_src=owner)
        return hidden

    def _awaited(self, part: Part, *, last: bool) -> torch.Tensor:
        """Room for what another process's stage gives."""
        rows, length = part.tokens.shape
        if last:
            return torch.empty((rows, length), device=part.tokens.device)
        shape = (rows, length // self._layout.cut.tensor, self._hidden)
        return torch.empty(shape, dtype=self._dtype, device=part.tokens.device)

    def _backward(self, part: Part) -> torch.Tensor:
        loss = self._loss(self._stages[0](part.tokens, **part.where()), part.labels)
        loss.backward()
        return loss.detach()

    def _loss(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return _losses(logits, labels).sum() * self._scale


def _losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="none")


def _joined(parts: Sequence[Part]) -> Part:
    documents = [part.documents for part in parts if part.documents is not None]
    return Part(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.labels for part in parts]),
        torch.cat([part.positions for part in parts]),
        torch.cat(documents) if documents else None,
    )


def _schedule(
    stages: list[Stage], recipe: Recipe, layout: Layout, device: torch.device, loss: Loss
) -> Schedule1F1B | ScheduleInterleaved1F1B:
    group = layout.mesh.get_group("pipeline")
    held = [
        PipelineStage(stage, index, layout.stages, device, group=group)
        for stage, index in zip(stages, layout.my_stages, strict=True)
    ]
    settings = {"n_microbatches": recipe.training.accumulation_steps, "loss_fn": loss, "scale_grads": False}
    if recipe.parallel.schedule == "1F1B":
        return Schedule1F1B(held[0], **settings)
    return ScheduleInterleaved1F1B(held, **settings)
