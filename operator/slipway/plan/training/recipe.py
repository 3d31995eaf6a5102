"""SLIPWAY_RECIPE: what a recipe of Slipway's is told, as JSON with every default filled in.

The trainer decides nothing that the operator knows: the same spec gives the same text, whatever the trainer's version.
"""

from ...api.basemodel import AdapterSpec, BaseModelSpec
from ...api.common import Model
from ...api.dataset import DEFAULT_TEXT_FIELD, DatasetSpec, default_include
from ...api.evaluation import EvaluationSpec
from ...api.gang import StallSpec
from ...api.strategies import DdpSpec, DeepspeedSpec, FsdpSpec, ParallelSpec
from ...api.trainingjob import CheckpointSpec, ModelSpec, OutputSpec, TrainingJobSpec
from ..capacity.devices import BUILT_IN, Catalog
from ..capacity.layout import Layout
from ..capacity.resolved import resolved
from ..hashing import canonical
from ..observed import Obj
from .inputs import inputs


def recipe_json(spec: TrainingJobSpec, known: Catalog = BUILT_IN) -> str:
    """The variable's value. `spec` has a recipe, a dataset and training parameters; AssertionError otherwise. `known`:
    the classes of GPUs that there are."""
    assert spec.recipe is not None
    assert spec.dataset is not None
    assert spec.training is not None
    paths = {each.field: each.path for each in inputs(spec)}
    return canonical(
        {
            "recipe": spec.recipe,
            **_strategy(spec, known),
            "activationCheckpointing": spec.activation_checkpointing,
            "precision": spec.precision,
            "accelerator": spec.accelerator,
            **_model(spec, paths.get("spec.baseModel.uri", "")),
            "dataset": _dataset(spec.dataset, spec.recipe, paths["spec.dataset.uri"]),
            "training": spec.training.model_dump(by_alias=True),
            "desync": spec.desync,
            "checkpoint": _checkpoint(spec.checkpoint or CheckpointSpec()),
            **_stall(spec.stall),
            "output": _output(spec.output),
        }
    )


def _strategy(spec: TrainingJobSpec, known: Catalog) -> Obj:
    """The strategy's name, and its settings under it."""
    layout = resolved(spec, known)
    settings = getattr(spec, layout.strategy) or _settings(layout)
    return {"strategy": layout.strategy, layout.strategy: settings.model_dump(by_alias=True, exclude_none=True)}


def _settings(layout: Layout) -> Model:
    """Of a strategy that `auto` chose, or of which the spec says no more than its name."""
    if layout.strategy == "fsdp":
        return FsdpSpec(shard=layout.shard)
    if layout.strategy == "deepspeed":
        return DeepspeedSpec(stage=layout.stage)
    if layout.strategy == "parallel":
        degrees = {"tensor": layout.tensor, "pipeline": layout.pipeline, "context": layout.context}
        return ParallelSpec(**degrees, expert=layout.expert)
    return DdpSpec()


def _checkpoint(checkpoint: CheckpointSpec) -> Obj:
    filled = checkpoint.model_copy(update={"every_steps": checkpoint.steps_between})
    return filled.model_dump(by_alias=True, exclude_none=True)


def _stall(stall: StallSpec) -> Obj:
    """For the trainer's watchdog; nothing where no stall counts."""
    return {"stall": stall.model_dump(by_alias=True)} if stall.factor else {}


def _model(spec: TrainingJobSpec, path: str) -> Obj:
    """The shape that is made, or the model to start from, what is trained of it, and how its answers are measured."""
    if spec.base_model is None:
        return {"model": (spec.model or ModelSpec()).model_dump(by_alias=True)}
    adapter = (spec.adapter or AdapterSpec()).model_dump(by_alias=True) if spec.recipe != "sft" else None
    return {
        "baseModel": _base_model(spec.base_model, path),
        **({"adapter": adapter} if adapter else {}),
        "evaluation": (spec.evaluation or EvaluationSpec()).model_dump(by_alias=True),
    }


def _base_model(base: BaseModelSpec, path: str) -> Obj:
    return {"path": path, "contextLength": base.context_length}


def _dataset(dataset: DatasetSpec, recipe: str, path: str) -> Obj:
    return {
        "path": path,
        "include": list(dataset.include or default_include(recipe)),
        "heldOutPercent": dataset.held_out_percent,
        "badRowsPercent": dataset.bad_rows_percent,
        **({"textField": dataset.text_field or DEFAULT_TEXT_FIELD} if recipe == "pretrain" else {}),
        **({"cleaning": dataset.cleaning.model_dump(by_alias=True, exclude_none=True)} if dataset.cleaning else {}),
    }


def _output(output: OutputSpec) -> Obj:
    """What of it is the trainer's business."""
    require = output.require.model_dump(by_alias=True, exclude_none=True) if output.require else None
    return {"merge": output.merge, **({"require": require} if require else {})}
