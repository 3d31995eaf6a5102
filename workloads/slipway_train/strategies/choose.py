"""Which strategy a recipe asks for."""

import torch

from ..config import Recipe
from ..gang import Gang
from . import Sharded, Strategy


def shard(model: torch.nn.Module, recipe: Recipe, gang: Gang) -> Sharded:
    return _strategy(recipe.strategy)(model, recipe, gang)


def _strategy(name: str) -> Strategy:
    """Imported when it is chosen: they take seconds, and DeepSpeed changes how torch logs."""
    if name == "ddp":
        from .ddp import Ddp

        return Ddp
    if name == "fsdp":
        from .fsdp import Fsdp

        return Fsdp
    if name == "deepspeed":
        from .zero import Zero

        return Zero
    from .parallel import Parallel

    return Parallel
