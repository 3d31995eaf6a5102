"""When a job fits, when it may, and when it is refused and in what words."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.capacity import choice
from slipway.plan.capacity.fit import ERROR_PERCENT, fit, gib, needed_bytes
from slipway.plan.capacity.layout import load_of
from slipway.plan.capacity.model import parameters
from slipway.plan.capacity.refusal import misfit
from slipway.plan.capacity.room import Room
from slipway.plan.capacity.training_memory import CHECKPOINT_BYTES, memory

from .builders import GIB, SEVEN_BILLION, layout, load, on_gpu, spec, with_limit


def room(count: int, sharing: int = 1) -> Room:
    return Room(count, sharing, "a card")


def test_the_bound_is_on_both_sides() -> None:
    needed = memory(layout(), load(), "nvidia").total
    edges = {
        "fits": needed * (100 + ERROR_PERCENT) // 100 + 1,
        "tight": needed * 100 // (100 + ERROR_PERCENT) + 1,
        "not": needed * 100 // (100 + ERROR_PERCENT) - 1,
    }
    for verdict, count in edges.items():
        assert fit(layout(), load(), room(count), "nvidia").verdict == verdict
    assert fit(layout(), load(), room(edges["fits"] - 2), "nvidia").verdict == "tight"
    assert fit(layout(), load(), None, "nvidia").verdict == "unknown"


def test_processes_of_a_pod_share_its_memory() -> None:
    """And rank 0's copy for a checkpoint is there once, when activations are not."""
    each = memory(layout(processes=2), load(batch=512), "cpu")
    assert needed_bytes(each, layout(processes=2), load(batch=512), "cpu", sharing=2) == 2 * each.total
    pair = layout(processes=2, checkpointing="full")
    few = memory(pair, load(batch=2), "cpu")
    copy = CHECKPOINT_BYTES * parameters(load().shape)
    assert needed_bytes(few, pair, load(batch=2), "cpu", sharing=2) == max(2 * few.total, 2 * few.states + copy)
    assert 2 * few.states + copy > 2 * few.total
    assert needed_bytes(few, pair, load(batch=2), "nvidia", sharing=1) == few.total


@pytest.mark.parametrize(("shard", "part"), [("full", 4), ("hybrid", 1)])
def test_shards_are_copied_where_they_lie(shard: str, part: int) -> None:
    """With `hybrid` the first node has a whole copy, and writes it."""
    four_pods = layout("fsdp", processes=8, per_node=2, shard=shard)
    tiny = replace(load(batch=8), shape=replace(load().shape, context=2), shards=True)
    each = memory(four_pods, tiny, "cpu")
    copy = CHECKPOINT_BYTES * parameters(tiny.shape)
    assert needed_bytes(each, four_pods, tiny, "cpu", sharing=2) == max(2 * each.total, 2 * each.states + copy // part)
    whole = replace(tiny, shards=False)
    assert needed_bytes(each, four_pods, whole, "cpu", sharing=2) == 2 * each.states + copy


@pytest.mark.parametrize(("count", "text"), [(3 * GIB // 2, "1.5"), (GIB // 8, "0.125"), (100 * GIB, "100.0")])
def test_gib(count: int, text: str) -> None:
    assert gib(count) == text


def test_a_model_beyond_its_gpu_is_refused_with_numbers_and_fields() -> None:
    told = misfit(on_gpu("NVIDIA-A100-SXM4-40GB", model=SEVEN_BILLION, precision="bf16", batch=1))
    assert told is not None
    assert told.startswith("spec.model: ddp needs 1")
    assert "GiB for each process (of one: weights 12.3, gradients 24.5, optimizer 73.6, activations " in told
    assert "podTemplate.spec.nodeSelector[nvidia.com/gpu.product] NVIDIA-A100-SXM4-40GB is 39.4 GiB" in told
    assert told.endswith("lower model.layers or model.hiddenSize, or ask for more memory; no smaller batch helps")


def test_a_batch_beyond_its_gpu_is_told_of_the_batch() -> None:
    told = misfit(on_gpu("NVIDIA-L4", batch=4096, model={"contextLength": 2048}))
    assert told is not None
    assert told.endswith(
        "lower training.batchSize or model.contextLength, raise nodes or perNode, or ask for more memory"
    )


def test_a_pod_beyond_its_limit_is_refused() -> None:
    told = misfit(with_limit("1Gi", perNode=2, batch=16))
    assert told is not None
    assert "GiB for a pod's 2 processes (of one: " in told
    assert "podTemplate.spec.containers[main].resources.limits.memory 1Gi is 1.0 GiB" in told


def test_another_layout_that_fits_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    job: Any = on_gpu(
        "NVIDIA-A100-SXM4-80GB", model=SEVEN_BILLION, precision="bf16", batch=16, perNode=16, strategy="ddp"
    )
    monkeypatch.setattr(choice, "STRATEGIES", frozenset({"ddp", "fsdp"}))
    told = misfit(job)
    assert told is not None
    assert ": run it as fsdp gradients, lower model.layers" in told


@pytest.mark.parametrize(
    "what",
    [
        spec(model=SEVEN_BILLION),
        spec(model=SEVEN_BILLION, accelerator="nvidia"),
        on_gpu("NVIDIA-H100-80GB-HBM3"),
        with_limit("4Gi"),
        with_limit("1Ki", batch=3, perNode=2),
    ],
    ids=["cpu unknown", "gpu unknown", "gpu", "cpu", "shares that are not equal"],
)
def test_what_fits_is_not_known_or_is_wrong_otherwise_is_not_refused(what: Any) -> None:
    assert misfit(what) is None


def test_a_tight_job_is_not_refused() -> None:
    job = with_limit("4Gi")
    needed = fit(layout("ddp", 1, 1), load_of(job), room(4 * GIB), "cpu").needed_bytes
    assert misfit(with_limit(str(needed))) is None
    assert misfit(with_limit(str(needed * 100 // (100 + ERROR_PERCENT) - 1))) is not None
