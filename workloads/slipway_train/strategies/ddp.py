"""DistributedDataParallel: every process holds the whole model, gradients are averaged while they are computed.

Decided here: gradients live in the buckets that are sent, and only the last of several micro-batches sends. The graph
is declared static, since a recipe computes the same one at every step, but not with micro-batches: the first pass over
a static graph must send, so a resumed run would add up in another order than an undisturbed one.
"""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch.nn.parallel import DistributedDataParallel

from ..config import Recipe
from ..gang import Gang
from .checkpointing import checkpoint_activations
from .dataparallel import DataParallel


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
        super().__init__(whole, self._wrapped, recipe, gang, autocast=recipe.precision == "bf16")

    def _synchronised(self, *, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self._wrapped.no_sync()

    def _zero_gradients(self) -> None:
        self._optimizer.zero_grad(set_to_none=False)  # they are views of the buckets
