"""SLIPWAY_RECIPE: what a recipe of Slipway's is told, as JSON with every default filled in.

The trainer decides nothing that the operator knows: the same spec gives the same text, whatever the trainer's version.
"""

from ...api.gang import StallSpec
from ...api.trainingjob import CheckpointSpec, DatasetSpec, ModelSpec, TrainingJobSpec
from ..capacity.resolved import resolved
from ..hashing import canonical
from ..names import DATASET_MOUNT
from ..observed import Obj

FILE_SCHEME = "file://"


def recipe_json(spec: TrainingJobSpec) -> str:
    """The variable's value. `spec` has a recipe, a dataset and training parameters; AssertionError otherwise."""
    assert spec.dataset is not None
    assert spec.training is not None
    return canonical(
        {
            "recipe": spec.recipe,
            "strategy": resolved(spec).strategy,
            "precision": spec.precision,
            "accelerator": spec.accelerator,
            "model": (spec.model or ModelSpec()).model_dump(by_alias=True),
            "dataset": _dataset(spec.dataset),
            "training": spec.training.model_dump(by_alias=True),
            "checkpoint": (spec.checkpoint or CheckpointSpec()).model_dump(by_alias=True),
            **_stall(spec.stall),
        }
    )


def _stall(stall: StallSpec) -> Obj:
    """For the trainer's watchdog; nothing where no stall counts."""
    return {"stall": stall.model_dump(by_alias=True)} if stall.factor else {}


def _dataset(dataset: DatasetSpec) -> Obj:
    inside = dataset.uri.startswith(FILE_SCHEME)
    path = dataset.uri.removeprefix(FILE_SCHEME) if inside else DATASET_MOUNT
    return {"path": path, "include": list(dataset.include), "heldOutPercent": dataset.held_out_percent}
