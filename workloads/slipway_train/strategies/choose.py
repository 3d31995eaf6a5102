"""Which strategy a recipe asks for."""

import torch

from ..config import Recipe
from ..gang import Gang
from . import Sharded, Strategy
from .ddp import Ddp

_STRATEGIES: dict[str, Strategy] = {"ddp": Ddp}


def shard(model: torch.nn.Module, recipe: Recipe, gang: Gang) -> Sharded:
    return _STRATEGIES[recipe.strategy](model, recipe, gang)
