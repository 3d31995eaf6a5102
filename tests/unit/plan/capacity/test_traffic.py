"""What is sent in a step, by formulas that can be checked by hand."""

from typing import Any

import pytest

from slipway.plan.capacity.model import parameters
from slipway.plan.capacity.traffic import bubble_percent, sent_bytes

from .builders import SMALL, layout, load

COUNT = parameters(SMALL)


@pytest.mark.parametrize(
    ("where", "bytes_each"),
    [
        (layout(), 2 * 4),
        (layout(micro_batches=2), 2 * 4),
        (layout("fsdp", shard="full"), 2 * 4 + 4),
        (layout("fsdp", shard="gradients"), 4 + 4),
        (layout("fsdp", shard="full", micro_batches=2), 2 * (2 * 4 + 4)),
        (layout("deepspeed", stage=1), 4 + 4),
        (layout("deepspeed", stage=2), 4 + 4),
        (layout("deepspeed", stage=3), 2 * 4 + 4),
    ],
    ids=lambda each: getattr(each, "name", ""),
)
def test_data_parallelism_sends_gradients_and_weights(where: Any, bytes_each: int) -> None:
    """Bytes of a parameter, three quarters of which go to the three others."""
    assert sent_bytes(where, load()) == pytest.approx(COUNT * bytes_each * 3 / 4, abs=1)


def test_one_process_sends_nothing() -> None:
    for strategy in ("ddp", "fsdp", "deepspeed", "parallel"):
        assert sent_bytes(layout(strategy, 1, 1), load()) == 0


def test_hybrid_reduces_a_share_between_nodes() -> None:
    inside = COUNT * 12 * 3 / 4
    between = 2 * COUNT * 4 / 4 / 2
    assert sent_bytes(layout("fsdp", 8, 4, shard="hybrid"), load()) == pytest.approx(inside + between, abs=1)


def test_offload_moves_a_share_over_the_bus() -> None:
    here, there = (sent_bytes(layout("deepspeed", offload=each), load(precision="bf16")) for each in ("none", "cpu"))
    assert there - here == pytest.approx(COUNT / 4 * (2 + 2), abs=1)


def test_tensor_parallelism_reduces_four_times_a_layer_and_six_with_recomputing() -> None:
    stream = 8 * 64 * 96 * 4
    for checkpointing, times in (("none", 4), ("full", 6)):
        where = layout("parallel", 2, 2, tensor=2, checkpointing=checkpointing)
        assert sent_bytes(where, load()) == times * 2 * stream * 2 // 2


def test_a_pipeline_sends_a_micro_batch_there_and_its_gradient_back() -> None:
    where = layout("parallel", 2, 2, pipeline=2, micro_batches=4)
    assert sent_bytes(where, load()) == 2 * 4 * (2 * 64 * 96 * 4)


def test_context_parallelism_passes_keys_and_values_round() -> None:
    where = layout("parallel", 2, 2, context=2)
    block = 8 * 64 // 2 * 2 * 48 * 4
    states = COUNT * 12 / 2
    assert sent_bytes(where, load()) == pytest.approx(3 * 2 * block + states, abs=1)


@pytest.mark.parametrize(
    ("pipeline", "micro", "interleaved", "percent"), [(1, 1, 1, 0), (4, 4, 1, 43), (4, 16, 1, 16), (4, 16, 2, 9)]
)
def test_the_bubble(pipeline: int, micro: int, interleaved: int, percent: int) -> None:
    """(p - 1) / (m + p - 1)."""
    where = layout("parallel", pipeline, 4, pipeline=pipeline, micro_batches=micro, interleaved=interleaved)
    assert bubble_percent(where) == percent
