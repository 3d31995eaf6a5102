"""Specs, shapes and loads for the tests of capacity: a test says only what matters."""

from typing import Any

from slipway.api.trainingjob import TrainingJobSpec
from slipway.plan.capacity.layout import Layout, Load
from slipway.plan.capacity.model import Shape

GIB = 1 << 30
MIB = 1 << 20
LABEL = "nvidia.com/gpu.product"

SMALL = Shape(vocabulary=512, context=64, hidden=96, layers=2, heads=4, kv_heads=2, feed_forward=256)
SEVEN_BILLION: dict[str, int] = {
    "vocabSize": 32000,
    "contextLength": 4096,
    "hiddenSize": 4096,
    "layers": 32,
    "heads": 32,
    "kvHeads": 32,
}
SEVENTY_BILLION = SEVEN_BILLION | {"hiddenSize": 8192, "layers": 96, "heads": 64, "kvHeads": 8}


def load(shape: Shape = SMALL, batch: int = 8, precision: Any = "fp32", attention: Any = "fused") -> Load:
    return Load(shape, batch, precision, attention)


def layout(strategy: Any = "ddp", processes: int = 4, per_node: int = 4, **more: Any) -> Layout:
    return Layout(strategy, processes, per_node, **more)


def spec(**fields: Any) -> TrainingJobSpec:
    batch = fields.pop("batch", 16)
    whole = {
        "recipe": "pretrain",
        "dataset": {"uri": "file:///data"},
        "training": {"steps": 5, "batchSize": batch},
        **fields,
    }
    return TrainingJobSpec.model_validate(whole)


def on_gpu(product: Any, **fields: Any) -> TrainingJobSpec:
    template = {"spec": {"nodeSelector": {LABEL: product}}}
    return spec(accelerator="nvidia", podTemplate=template, **fields)


def with_limit(memory: Any, **fields: Any) -> TrainingJobSpec:
    container = {"name": "main", "resources": {"limits": {"memory": memory}}}
    return spec(podTemplate={"spec": {"containers": [container]}}, **fields)
