"""DeepSpeed's ZeRO 1, 2 and 3: optimizer state, gradients and weights in pieces, offloaded to main memory or a disk.

Decided here: the optimizer is torch's AdamW, like every strategy's, so that the curves agree and nothing is compiled in
a pod (nvme alone needs a compiled reader, and says so where it cannot be had). Pieces are read and written one
parameter at a time through DeepSpeed's own functions for that, so its checkpoints are the ones of every strategy.
"""

import logging
import os
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad

from ..batch import Batch
from ..config import Recipe
from ..errors import RecipeError
from ..gang import Gang
from ..model import build_optimizer, token_losses
from . import GRADIENT_NORM, State, state
from .checkpointing import checkpoint_activations
from .pieces import Piece, Pieces, copied

_MOMENTS = ("exp_avg", "exp_avg_sq")
_STEP = "step"


class Zero:
    """Every process is a data rank."""

    def __init__(self, model: torch.nn.Module, recipe: Recipe, gang: Gang) -> None:
        self.data_rank, self.data_size = gang.rank, gang.world_size
        self._gang = gang
        self._micro_batches = recipe.training.accumulation_steps
        self._deepspeed = _deepspeed(gang.device)
        if recipe.deepspeed.offload == "nvme":
            _check_nvme(recipe)
        checkpoint_activations(model, recipe)
        self._parameters = state.trained(model)
        self._engine, *_ = self._deepspeed.initialize(
            model=model,
            optimizer=build_optimizer(model, recipe.training.optimizer),
            config=zero_config(recipe, gang.world_size),
            dist_init_required=False,
        )
        self._make_flat_states()

    def step(self, micro_batches: Sequence[Batch], *, targets: int, rate: float) -> float:
        for group in self._engine.optimizer.param_groups:
            group["lr"] = rate
        share = torch.zeros((), device=self._gang.device)
        for batch in micro_batches:
            loss = token_losses(self._engine, batch.to(self._gang.device), bf16=False).sum() / targets
            # DeepSpeed takes the mean over processes and micro-batches, and the sum is wanted
            self._engine.backward(loss * self.data_size * self._micro_batches)
            self._engine.step()
            share += loss.detach()
        return float(share)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(self, batch: Batch) -> torch.Tensor:
        self._engine.eval()
        losses = token_losses(self._engine, batch.to(self._gang.device), bf16=False)
        self._engine.train()
        return losses

    def capture(self) -> State | None:
        tools, captured = self._deepspeed.utils, State()
        for name, parameter in self._parameters.items():
            whole = {f"model.{name}": tools.safe_get_full_fp32_param(parameter)}
            for key in _MOMENTS:
                whole[f"optimizer.{name}.{key}"] = tools.safe_get_full_optimizer_state(parameter, key)
            whole[f"optimizer.{name}.{_STEP}"] = self._flat_states()[0][_STEP]
            if self._gang.rank == 0:
                captured |= {each: tensor.detach().to("cpu", copy=True) for each, tensor in whole.items()}
        return captured if self._gang.rank == 0 else None

    def pieces(self) -> Pieces:
        made = Pieces()
        for name, parameter in self._parameters.items():
            numbers, start = self._own(parameter)
            for key, mine in numbers.items():
                full_name = f"model.{name}" if key is None else f"optimizer.{name}.{key}"
                made[full_name] = Piece(copied(mine), tuple(_shape(parameter)), (start,))
            made[f"optimizer.{name}.{_STEP}"] = Piece(copied(self._flat_states()[0][_STEP]), (), ())
        return made

    def restore(self, captured: state.Source | None) -> None:
        state.receive(self._parameters, self._gang, captured, self._put)

    def export_state(self) -> State | None:
        exported = State()
        for name, parameter in self._engine.module.named_parameters():
            with self._deepspeed.zero.GatheredParameters([parameter]):
                if self._gang.rank == 0:
                    exported[name] = parameter.detach().to("cpu", copy=True)
        return exported if self._gang.rank == 0 else None

    def _own(self, parameter: torch.nn.Parameter) -> tuple[dict[str | None, torch.Tensor], int]:
        """This process's numbers of a weight in a line and of its moments, and where they begin in it; perhaps none."""
        if self._by_weight:
            tools, size = self._deepspeed.utils, parameter.ds_tensor.numel()
            start = size * self._gang.rank
            numbers: dict[str | None, torch.Tensor] = {None: tools.safe_get_local_fp32_param(parameter)}
            numbers |= {key: tools.safe_get_local_optimizer_state(parameter, key) for key in _MOMENTS}
            left = parameter.ds_numel - start  # the last piece is filled up
            return {key: each[:left] for key, each in numbers.items() if left > 0}, start
        mine = parameter._hp_mapping
        if mine is None:
            return {}, 0
        return {key: mine.get_hp_fragment(key) for key in (None, *_MOMENTS)}, mine.lp_fragment_address.start

    def _flats(self) -> list[torch.Tensor]:
        """What DeepSpeed steps: this process's pieces of all parameters of a group, one after the other."""
        zero = self._engine.optimizer
        flats: list[torch.Tensor] = (
            zero.fp32_partitioned_groups_flat if self._by_weight else zero.single_partition_of_fp32_groups
        )
        return flats

    def _flat_states(self) -> list[dict[str, torch.Tensor]]:
        optimizer = self._engine.optimizer.optimizer
        return [optimizer.state[flat] for flat in self._flats()]

    def _make_flat_states(self) -> None:
        """Before AdamW makes them in its first step: a restored one needs a place before that, and DeepSpeed looks for
        the states of all groups when it has stepped the first."""
        optimizer = self._engine.optimizer.optimizer
        for flat in self._flats():
            moments = {key: torch.zeros_like(flat) for key in _MOMENTS}
            optimizer.state[flat] = {_STEP: torch.zeros((), device=flat.device), **moments}
        if not self._by_weight:
            self._engine.optimizer._lazy_init_hp_params_optimizer_state()

    @property
    def _by_weight(self) -> bool:
        """Stage 3 cuts each weight; 1 and 2 cut a line of all of them."""
        return bool(self._engine.zero_optimization_partition_weights())

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _put(self, name: str, key: str | None, whole: torch.Tensor) -> None:
        parameter, tools = self._parameters[name], self._deepspeed.utils
        if key == _STEP:
            for each in self._flat_states():
                each[_STEP].copy_(whole)
        elif self._by_weight:
            piece = _piece(whole, parameter.ds_tensor.numel(), self._gang)
            if key is None:
                parameter.ds_tensor.view(-1).copy_(piece)
                tools.safe_set_local_fp32_param(parameter, piece)
            else:
                tools.safe_set_local_optimizer_state(parameter, piece, key)
        elif key is None:
            parameter.copy_(whole)
            tools.safe_set_full_fp32_param(parameter, whole)
        else:
            tools.safe_set_full_optimizer_state(parameter, whole, key)


def zero_config(recipe: Recipe, processes: int) -> dict[str, Any]:
    """DeepSpeed's configuration. Weights stay float32, as everywhere: bf16 is autocast's."""
    parts = recipe.training.accumulation_steps
    return {
        "train_batch_size": recipe.training.batch_size,
        "train_micro_batch_size_per_gpu": recipe.training.batch_size // (processes * parts),
        "gradient_accumulation_steps": parts,
        "gradient_clipping": GRADIENT_NORM,
        "zero_optimization": {"stage": recipe.deepspeed.stage, **_offload(recipe)},
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "torch_autocast": {"enabled": recipe.bf16, "dtype": "bfloat16"},
    }


def _offload(recipe: Recipe) -> dict[str, Any]:
    spec = recipe.deepspeed
    if spec.offload == "none":
        return {}
    where: dict[str, Any] = {"device": spec.offload, "pin_memory": True}
    where |= {"nvme_path": spec.nvme_path} if spec.offload == "nvme" else {}
    return {"offload_optimizer": where} | ({"offload_param": where} if spec.stage == 3 else {})


def _check_nvme(recipe: Recipe) -> None:
    from deepspeed.ops.op_builder import AsyncIOBuilder

    if not AsyncIOBuilder().is_compatible(verbose=False):
        raise RecipeError(
            "deepspeed.offload: nvme needs DeepSpeed's async_io, which this image cannot build: it lacks libaio or a "
            "compiler. Use an image with both, or offload cpu"
        )
    path = str(recipe.deepspeed.nvme_path)
    if not os.access(path, os.W_OK):
        raise RecipeError(f"deepspeed.nvmePath: {path} cannot be written to in this pod: mount a disk there")


def _deepspeed(device: torch.device) -> Any:  # noqa: ANN401 - it has no types
    """The library, told what it would otherwise guess from what is installed."""
    os.environ.setdefault("DS_ACCELERATOR", device.type)
    import deepspeed

    deepspeed.utils.logger.setLevel(logging.WARNING)
    if device.type == "cpu":  # it would compile its own all-reduce, where gloo does
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return deepspeed


def _shape(parameter: torch.nn.Parameter) -> torch.Size:
    """Of the whole weight, of which stage 3 leaves an empty one in the model."""
    shape: torch.Size = getattr(parameter, "ds_shape", parameter.shape)
    return shape


def _piece(whole: torch.Tensor, size: int, gang: Gang) -> torch.Tensor:
    """This process's `size` numbers of a weight that is cut evenly, the last piece being filled up."""
    flat = pad(whole.flatten(), (0, size * gang.world_size - whole.numel()))
    return flat[size * gang.rank : size * (gang.rank + 1)]
