"""Which strategy a recipe asks for, and that fp8 comes before it: a strategy takes the layers as they are."""

import torch

from ..config import Recipe
from ..gang import Gang
from . import Sharded, Strategy
from .float8 import use_float8


def shard(model: torch.nn.Module, recipe: Recipe, gang: Gang) -> Sharded:
    if recipe.precision == "fp8":
        use_float8(model)
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
