"""FSDP2: every process holds a piece of each parameter, and gathers a layer when it computes it.

Decided here: what is gathered at once is a transformer layer; the embedding and the last norm are the root's. `full`
gives a layer back after the forward pass and gathers it again for the backward pass; `gradients` keeps it between
(gradients and optimizer state lie in pieces all the same); `hybrid` cuts within a node and keeps a copy per node.
bf16 is what is gathered and computed in; pieces, gradients' sums and the optimizer stay float32. Micro-batches reduce
their gradients each: keeping them whole until the last one would cost what the pieces save.
"""

import os
from typing import Any

import torch
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from transformers.modeling_layers import GradientCheckpointingLayer  # what its transformer layers have in common

from ..config import Recipe
from ..gang import Gang
from .checkpointing import checkpoint_activations
from .dataparallel import DataParallel


class Fsdp(DataParallel):
    """Every process is a data rank."""

    def __init__(self, model: torch.nn.Module, recipe: Recipe, gang: Gang) -> None:
        checkpoint_activations(model, recipe)
        reshard = recipe.fsdp.shard != "gradients"
        shard_layers(model, shard_settings(_mesh(recipe, gang), recipe, reshard=reshard))
        if recipe.fsdp.offload == "none":
            model.to(gang.device)  # the buffers: fully_shard has moved the parameters
        super().__init__(model, model, recipe, gang, autocast=False)

    def _evaluated(self) -> None:
        in_pieces_again(self._model)


def shard_layers(model: torch.nn.Module, settings: dict[str, Any]) -> None:
    """Cuts a model of transformers', or a stage of one, into pieces in place."""
    for layer in [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]:
        fully_shard(layer, **settings)
    fully_shard(model, **settings)


def shard_settings(mesh: DeviceMesh, recipe: Recipe, *, reshard: bool) -> dict[str, Any]:
    """What fully_shard is told."""
    return {
        "mesh": mesh,
        "mp_policy": precision_policy(recipe),
        "offload_policy": offload_policy(recipe, mesh.device_type),
        "reshard_after_forward": reshard,
    }


def in_pieces_again(model: torch.nn.Module) -> None:
    """After a forward pass without a backward pass: the whole weights that are kept for one would stay."""
    for module in model.modules():
        if isinstance(module, FSDPModule):
            module.reshard()


def precision_policy(recipe: Recipe) -> MixedPrecisionPolicy:
    if not recipe.bf16:
        return MixedPrecisionPolicy()
    return MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32, cast_forward_inputs=False)


def offload_policy(recipe: Recipe, device: str) -> OffloadPolicy:
    if recipe.fsdp.offload == "none":
        return OffloadPolicy()
    return CPUOffloadPolicy(pin_memory=device != "cpu")


def _mesh(recipe: Recipe, gang: Gang) -> DeviceMesh:
    if recipe.fsdp.shard != "hybrid":
        return init_device_mesh(gang.device.type, (gang.world_size,), mesh_dim_names=("shard",))
    per_node = int(os.environ["LOCAL_WORLD_SIZE"])
    nodes = gang.world_size // per_node
    return init_device_mesh(gang.device.type, (nodes, per_node), mesh_dim_names=("replicate", "shard"))
