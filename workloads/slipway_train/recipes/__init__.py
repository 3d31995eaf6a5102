"""What Slipway can be asked to train: one file per recipe, each making a `Task` for the loop."""

from ..checkpoint import Checkpoint
from ..config import Recipe
from ..gang import Gang
from ..loop import Task
from .pretrain import Pretrain

_TASKS = {"pretrain": Pretrain}


def make_task(recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None) -> Task:
    """On every process. `checkpoint` is what to go on from, on rank 0; None there is a fresh start."""
    return _TASKS[recipe.recipe](recipe, gang, checkpoint)
