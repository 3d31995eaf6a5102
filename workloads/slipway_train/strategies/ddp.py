"""DistributedDataParallel: every process holds the whole model, gradients are averaged while they are computed.

Decided here: gloo on CPUs and NCCL on GPUs; a collective that waits longer than COLLECTIVE_TIMEOUT_SECONDS is given up,
so a peer that vanished without closing its connections costs two minutes and not torch's ten to thirty. Saving and
exporting happen on rank 0 while the others wait in such a collective, and must be quicker than that.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from ..errors import RecipeError
from . import State

COLLECTIVE_TIMEOUT_SECONDS = 120
T = TypeVar("T")


class Ddp:
    """Joins the process group that torchrun's variables describe."""

    def __init__(self, accelerator: str) -> None:
        local_rank = int(os.environ["LOCAL_RANK"])
        if accelerator == "nvidia":
            if not torch.cuda.is_available():
                raise RecipeError("accelerator: nvidia was asked for, but torch finds no GPU in this pod")
            self.device = torch.device("cuda", local_rank)
            torch.cuda.set_device(self.device)
        else:
            self.device = torch.device("cpu")
        backend = "nccl" if accelerator == "nvidia" else "gloo"
        dist.init_process_group(backend, timeout=timedelta(seconds=COLLECTIVE_TIMEOUT_SECONDS))
        self.rank = dist.get_rank()
        self.world_size = dist.get_world_size()

    def wrap(self, model: torch.nn.Module) -> torch.nn.Module:
        # Llama's only buffers are the constants of rotary positions: nothing to send before every step
        return DistributedDataParallel(model, gradient_as_bucket_view=True, forward_sync_buffers=False)

    def broadcast(self, value: T | None) -> T:
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]  # type: ignore[return-value]

    def gather(self, value: T) -> list[T]:
        gathered: list[Any] = [None] * self.world_size
        dist.all_gather_object(gathered, value)
        return gathered

    def sum(self, values: Sequence[float]) -> list[float]:
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(total)
        return [float(each) for each in total.tolist()]

    def capture(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> State:
        state: State = {}
        for name, parameter in model.named_parameters():
            state[f"model.{name}"] = parameter.detach().cpu().clone()
            for key, value in optimizer.state[parameter].items():
                state[f"optimizer.{name}.{key}"] = value.detach().cpu().clone()
        return state

    def restore(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, state: State | None) -> None:
        shapes = self.broadcast({k: (v.shape, v.dtype) for k, v in state.items()} if state is not None else None)
        received = {name: self._receive(name, *shapes[name], state) for name in sorted(shapes)}
        for name, parameter in model.named_parameters():
            with torch.no_grad():
                parameter.copy_(received.pop(f"model.{name}"))
            prefix = f"optimizer.{name}."
            keys = [key for key in received if key.startswith(prefix)]
            optimizer.state[parameter] = {key.removeprefix(prefix): received.pop(key) for key in keys}
        if received:
            raise RecipeError(f"the checkpoint holds {sorted(received)[0]}, which this model does not have")

    def _receive(self, name: str, shape: torch.Size, dtype: torch.dtype, state: State | None) -> torch.Tensor:
        tensor = (
            state[name].to(self.device) if state is not None else torch.empty(shape, dtype=dtype, device=self.device)
        )
        dist.broadcast(tensor, src=0)
        return tensor

    def close(self) -> None:
        dist.destroy_process_group()
