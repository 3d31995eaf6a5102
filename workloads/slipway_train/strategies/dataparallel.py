"""The step of strategies in which each process computes the whole model on its own rows: DDP and FSDP.

Decided here: gradients are summed over the gang, and each loss is divided by the targets of the whole global batch, so
a row counts the same wherever and in whichever micro-batch it is computed.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch

from ..batch import Batch
from ..config import Recipe
from ..gang import Gang
from ..model import build_optimizer, token_losses
from . import GRADIENT_NORM, State, state
from .pieces import Pieces, pieces


class DataParallel:
    """`model` is what gradients go to, `forward` what is called in a step: gradients come out as the gang's mean."""

    def __init__(
        self, model: torch.nn.Module, forward: torch.nn.Module, recipe: Recipe, gang: Gang, *, autocast: bool
    ) -> None:
        self.data_rank, self.data_size = gang.rank, gang.world_size
        self._gang = gang
        self._model = model
        self._forward = forward
        self._autocast = autocast
        self._parameters = state.trained(model)
        self._optimizer = build_optimizer(model, recipe.training.optimizer)

    def step(self, micro_batches: Sequence[Batch], *, targets: int, rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        share = torch.zeros((), device=self._gang.device)
        for batch in micro_batches:
            with self._synchronised(last=batch is micro_batches[-1]):
                loss = token_losses(self._forward, batch.to(self._gang.device), bf16=self._autocast).sum() / targets
                (loss * self.data_size).backward()  # the gang's mean is taken, and the sum is wanted
            share += loss.detach()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self._zero_gradients()
        return float(share)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(self, batch: Batch) -> torch.Tensor:
        was_training = self._model.training
        self._model.eval()
        losses = token_losses(self._model, batch.to(self._gang.device), bf16=self._autocast)
        self._model.train(was_training)
        self._evaluated()
        return losses

    def capture(self) -> State | None:
        return state.capture(self._parameters, self._optimizer, keep=self._gang.rank == 0)

    def pieces(self) -> Pieces:
        return pieces(state.held(self._parameters, self._optimizer))

    def restore(self, captured: state.Source | None) -> None:
        state.restore(self._parameters, self._optimizer, self._gang, captured)

    def export_state(self) -> State | None:
        return state.whole(dict(self._model.named_parameters()), keep=self._gang.rank == 0)

    def _synchronised(self, *, last: bool) -> AbstractContextManager[None]:  # noqa: ARG002
        """Around a micro-batch: what is to be done so that gradients are complete after the last one."""
        return nullcontext()

    def _evaluated(self) -> None:
        """After a forward pass that no backward pass follows."""

    def _zero_gradients(self) -> None:
        self._optimizer.zero_grad()
