"""Layouts: what they are called, and when the work cannot be shared in equal parts."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.capacity.layout import impossible

from .builders import SMALL, layout, load


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (layout(), "ddp"),
        (layout(micro_batches=4), "ddp, 4 micro-batches"),
        (layout("fsdp", shard="hybrid"), "fsdp hybrid"),
        (layout("fsdp", offload="cpu", checkpointing="full"), "fsdp full, offload cpu, checkpointing"),
        (layout("deepspeed", stage=2), "deepspeed stage 2"),
        (layout("parallel", tensor=2, pipeline=2, micro_batches=8), "parallel tensor 2 pipeline 2, 8 micro-batches"),
        (layout("parallel", context=2, expert=4), "parallel tensor 1 pipeline 1 context 2 expert 4"),
    ],
)
def test_names(where: Any, name: str) -> None:
    assert where.name == name


def test_what_is_left_over_is_data_parallel() -> None:
    where = layout("parallel", 16, 8, tensor=2, pipeline=2, context=2)
    assert (where.data, where.sharing, where.nodes) == (2, 4, 2)
    assert layout("fsdp", 16, 8, shard="hybrid").sharing == 8
    assert layout("ddp", 16, 8).sharing == 1


@pytest.mark.parametrize(
    ("where", "what", "complaint"),
    [
        (
            layout("parallel", 4, 4, tensor=3),
            load(),
            "nodes * perNode, 4, is not a multiple of tensor * pipeline * context, 3",
        ),
        (layout("parallel", 8, 8, tensor=8), load(), "model.heads, 4, is not a multiple of tensor, 8"),
        (layout("parallel", 4, 4, tensor=4), load(), "model.kvHeads, 2, is not a multiple of tensor, 4"),
        (layout("parallel", 3, 3, pipeline=3), load(), "model.layers, 2, is not a multiple of pipeline, 3"),
        (layout("parallel", 2, 2, pipeline=2), load(), "micro-batches, 1, is not a multiple of pipeline, 2"),
        (
            layout(processes=3),
            load(),
            "training.batchSize, 8, is not a multiple of data parallel processes * micro-batches, 3",
        ),
        (
            layout(micro_batches=4),
            load(),
            "training.batchSize, 8, is not a multiple of data parallel processes * micro-batches, 16",
        ),
        (
            layout("parallel", 64, 64, context=64),
            load(),
            "model.contextLength, 64, is not a multiple of 2 * context * tensor, 128",
        ),
        (layout(expert=2), load(), "experts, 1, is not a multiple of expert, 2"),
        (
            layout("parallel", 2, 2, tensor=2),
            load(replace(SMALL, vocabulary=513)),
            "model.vocabSize, 513, is not a multiple of tensor, 2",
        ),
    ],
)
def test_parts_that_are_not_equal_are_told_by_field(where: Any, what: Any, complaint: str) -> None:
    assert impossible(where, what) == complaint


@pytest.mark.parametrize("where", [layout(), layout("parallel", 8, 8, tensor=2, pipeline=2, micro_batches=4)])
def test_equal_parts_are_fine(where: Any) -> None:
    assert impossible(where, load()) is None


def test_tokens_of_a_micro_batch() -> None:
    assert load().micro_tokens(layout()) == 2 * 64
    assert load().micro_tokens(layout(micro_batches=2)) == 64
    assert load().micro_tokens(layout("parallel", 4, 4, context=4)) == 8 * 64 // 4
    assert load(batch=1).micro_tokens(layout()) == 64, "nobody has less than a sequence"
