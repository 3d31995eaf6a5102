"""DistributedDataParallel: every process holds the whole model, gradients are averaged while they are computed."""

from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from ..batch import Batch
from ..config import Recipe
from ..errors import RecipeError
from ..gang import Gang
from ..model import build_optimizer, token_losses
from . import GRADIENT_NORM, State


class Ddp:
    """Every process is a data rank."""

    def __init__(self, model: torch.nn.Module, recipe: Recipe, gang: Gang) -> None:
        self.data_rank, self.data_size = gang.rank, gang.world_size
        self._gang = gang
        self._bf16 = recipe.precision == "bf16"
        self._model = model.to(gang.device)
        self._optimizer = build_optimizer(self._model, recipe.training.optimizer)
        # Llama's only buffers are the constants of rotary positions: nothing to send before every step
        self._wrapped = DistributedDataParallel(self._model, gradient_as_bucket_view=True, forward_sync_buffers=False)

    def step(self, micro_batches: Sequence[Batch], *, targets: int, rate: float) -> float:
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        share = torch.zeros((), device=self._gang.device)
        for batch in micro_batches:
            rows = batch.to(self._gang.device)
            loss = token_losses(self._wrapped, rows, bf16=self._bf16).sum() / targets
            (loss * self.data_size).backward()  # gradients come out as the gang's mean, and their sum is wanted
            share += loss.detach()
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), GRADIENT_NORM)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=False)
        return float(share)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(self, batch: Batch) -> torch.Tensor:
        was_training = self._model.training
        self._model.eval()
        losses = token_losses(self._model, batch.to(self._gang.device), bf16=self._bf16)
        self._model.train(was_training)
        return losses

    def capture(self) -> State | None:
        if self._gang.rank != 0:
            return None
        state: State = {}
        for name, parameter in self._trained():
            state[f"model.{name}"] = parameter.detach().cpu().clone()
            for key, value in self._optimizer.state[parameter].items():
                state[f"optimizer.{name}.{key}"] = value.detach().cpu().clone()
        return state

    def restore(self, state: State | None) -> None:
        shapes = self._gang.broadcast({k: (v.shape, v.dtype) for k, v in state.items()} if state is not None else None)
        received = {name: self._receive(name, *shapes[name], state) for name in sorted(shapes)}
        for name, parameter in self._trained():
            with torch.no_grad():
                parameter.copy_(received.pop(f"model.{name}"))
            prefix = f"optimizer.{name}."
            keys = [key for key in received if key.startswith(prefix)]
            self._optimizer.state[parameter] = {key.removeprefix(prefix): received.pop(key) for key in keys}
        if received:
            raise RecipeError(f"the checkpoint holds {sorted(received)[0]}, which this model does not have")

    def export_state(self) -> State | None:
        if self._gang.rank != 0:
            return None
        return {name: parameter.detach().cpu() for name, parameter in self._model.named_parameters()}

    def _trained(self) -> list[tuple[str, torch.nn.Parameter]]:
        return [(name, parameter) for name, parameter in self._model.named_parameters() if parameter.requires_grad]

    def _receive(self, name: str, shape: torch.Size, dtype: torch.dtype, state: State | None) -> torch.Tensor:
        device = self._gang.device
        tensor = state[name].to(device) if state is not None else torch.empty(shape, dtype=dtype, device=device)
        dist.broadcast(tensor, src=0)
        return tensor
