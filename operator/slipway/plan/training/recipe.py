"""SLIPWAY_RECIPE: what a recipe of Slipway's is told, as JSON with every default filled in.

The trainer decides nothing that the operator knows: the same spec gives the same text, whatever the trainer's version.
"""

from ...api.strategies import SETTINGS
from ...api.trainingjob import CheckpointSpec, DatasetSpec, ModelSpec, TrainingJobSpec
from ..hashing import canonical
from ..names import DATASET_MOUNT
from ..observed import Obj
from .strategy import automatic

FILE_SCHEME = "file://"


def recipe_json(spec: TrainingJobSpec) -> str:
    """The variable's value. `spec` has a recipe, a dataset and training parameters; AssertionError otherwise."""
    assert spec.dataset is not None
    assert spec.training is not None
    return canonical(
        {
            "recipe": spec.recipe,
            **_strategy(spec),
            "activationCheckpointing": spec.activation_checkpointing,
            "precision": spec.precision,
            "accelerator": spec.accelerator,
            "model": (spec.model or ModelSpec()).model_dump(by_alias=True),
            "dataset": _dataset(spec.dataset),
            "training": spec.training.model_dump(by_alias=True),
            "checkpoint": (spec.checkpoint or CheckpointSpec()).model_dump(by_alias=True),
        }
    )


def _strategy(spec: TrainingJobSpec) -> Obj:
    """The strategy's name, and its settings under it."""
    name = automatic(spec) if spec.strategy == "auto" else spec.strategy
    settings = getattr(spec, name) or SETTINGS[name]()
    return {"strategy": name, name: settings.model_dump(by_alias=True, exclude_none=True)}


def _dataset(dataset: DatasetSpec) -> Obj:
    inside = dataset.uri.startswith(FILE_SCHEME)
    path = dataset.uri.removeprefix(FILE_SCHEME) if inside else DATASET_MOUNT
    return {"path": path, "include": list(dataset.include), "heldOutPercent": dataset.held_out_percent}
