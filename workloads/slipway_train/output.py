"""Rank 0's output volume: the job's own directory in it, with checkpoints, the metrics and the finished model."""

from dataclasses import dataclass
from pathlib import Path

from .checkpoint import CheckpointStore
from .config import Recipe
from .errors import RecipeError


@dataclass(frozen=True, slots=True)
class Output:
    root: Path
    checkpoints: CheckpointStore

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


def open_output(directory: Path | None, recipe: Recipe) -> Output:
    """The volume is shared between jobs, so the first attempt makes the job's directory."""
    if directory is None or not directory.parent.is_dir():
        where = directory or "not set"
        raise RecipeError(f"SLIPWAY_OUTPUT_DIR ({where}) is not in a volume of rank 0's pod: mount the output there")
    try:
        directory.mkdir(exist_ok=True)
    except OSError as error:
        raise RecipeError(f"SLIPWAY_OUTPUT_DIR ({directory}) cannot be made: {error.strerror}") from error
    return Output(directory, CheckpointStore(directory / "checkpoints", keep=recipe.checkpoint.keep))
