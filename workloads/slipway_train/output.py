"""Rank 0's output volume: the job's own directory in it, with checkpoints, the metrics and the finished model."""

from dataclasses import dataclass
from pathlib import Path

from .checkpoint import CheckpointStore
from .config import Recipe
from .errors import RecipeError, is_volumes_fault
from .memorytier import MEMORY_KEEP

CHECKPOINTS = "checkpoints"


@dataclass(frozen=True, slots=True)
class Output:
    """`memory` is where checkpoints are kept besides, in the pod's memory; None where the recipe wants none."""

    root: Path
    checkpoints: CheckpointStore
    memory: CheckpointStore | None = None

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def adapter(self) -> Path:
        return self.root / "adapter"

    def last(self, recipe: Recipe) -> Path:
        """What the recipe exports last: where it is, nothing is left to do."""
        return self.adapter if recipe.adapts and recipe.output.merge == "none" else self.model

    @property
    def metrics(self) -> Path:
        return self.root / "metrics.jsonl"


def open_output(directory: Path | None, recipe: Recipe, memory_dir: Path | None = None) -> Output:
    """The volume is shared between jobs, so the first attempt makes the job's directory.

    Raises RecipeError where there is none to make it in, and OSError where the volume fails.
    """
    if directory is None or not directory.parent.is_dir():
        where = directory or "not set"
        raise RecipeError(f"SLIPWAY_OUTPUT_DIR ({where}) is not in a volume of rank 0's pod: mount the output there")
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        if is_volumes_fault(error):
            raise
        raise RecipeError(f"SLIPWAY_OUTPUT_DIR ({directory}) cannot be made: {error.strerror}") from error
    checkpoints = CheckpointStore(directory / CHECKPOINTS, keep=recipe.checkpoint.keep)
    return Output(directory, checkpoints, _memory(recipe, memory_dir))


def _memory(recipe: Recipe, directory: Path | None) -> CheckpointStore | None:
    if recipe.checkpoint.memory_every is None:
        return None
    if directory is None:
        raise RecipeError(
            "checkpoint.memoryEvery: SLIPWAY_MEMORY_DIR is not set; start the ranks by slipway_train.launch,"
            " which keeps that memory when a rank dies"
        )
    return CheckpointStore(directory, keep=MEMORY_KEEP)
