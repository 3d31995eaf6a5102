"""What Slipway can be asked to train: one file per recipe, each making a `Task` for the loop."""

from collections.abc import Callable

from ..checkpoint import Checkpoint
from ..config import Recipe
from ..gang import Gang
from ..loop import Task
from .lora import lora, qlora
from .pretrain import Pretrain
from .sft import sft

_TASKS: dict[str, Callable[[Recipe, Gang, Checkpoint | None], Task]] = {
    "pretrain": Pretrain,
    "sft": sft,
    "lora": lora,
    "qlora": qlora,
}


def make_task(recipe: Recipe, gang: Gang, checkpoint: Checkpoint | None) -> Task:
    """On every process. `checkpoint` is what to go on from, on rank 0; None there is a fresh start."""
    return _TASKS[recipe.recipe](recipe, gang, checkpoint)
