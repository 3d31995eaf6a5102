"""DistributedDataParallel: every process holds the whole model, gradients are averaged while they are computed.

Decided here: gradients live in the buckets that are sent, and only the last of several micro-batches sends. The graph
is declared static, since a recipe computes the same one at every step, but not with micro-batches: the first pass over
a static graph must send, so a resumed run would add up in another order than an undisturbed one. For the same reason
the buckets are settled before the first step: torch begins with one for all gradients and makes the others after a pass
or two, and with three ranks or more the order in which a number's terms are added depends on where its bucket has it.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.parallel import DistributedDataParallel

from ..batch import Batch
from ..config import Recipe
from ..gang import Gang
from ..model import token_losses
from .checkpointing import checkpoint_activations
from .dataparallel import DataParallel

_PASSES = 2  # of a static graph the first only finds out what there is
_PASSED_TOKENS = 16  # what fp8 multiplies at least


class Ddp(DataParallel):
    """Every process is a data rank."""

    def __init__(self, model: torch.nn.Module, recipe: Recipe, gang: Gang) -> None:
        whole = model.to(gang.device)
        checkpoint_activations(whole, recipe)
        self._wrapped = DistributedDataParallel(
            whole,
            bucket_cap_mb=recipe.ddp.bucket_mib,
            gradient_as_bucket_view=True,
            static_graph=recipe.training.accumulation_steps == 1,
            forward_sync_buffers=False,  # Llama's are the constants of rotary positions: nothing to send at every step
        )
        super().__init__(whole, self._wrapped, recipe, gang, autocast=recipe.bf16)
        self._settle_buckets()

    def _synchronised(self, *, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self._wrapped.no_sync()

    def _settle_buckets(self) -> None:
        """The passes after which torch makes them, on a few tokens, for nothing."""
        tokens = torch.zeros((1, _PASSED_TOKENS), dtype=torch.int64, device=self._gang.device)
        for _ in range(_PASSES):
            losses = token_losses(self._wrapped, Batch(tokens, tokens), bf16=self._autocast)
            (losses.sum() * 0).backward()
        self._zero_gradients()

    def _zero_gradients(self) -> None:
        self._optimizer.zero_grad(set_to_none=False)  # they are views of the buckets
