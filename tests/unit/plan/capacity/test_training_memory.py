"""The parts of a process's memory: published figures, and what each way of sharing must divide and must not."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.plan.capacity import training_memory
from slipway.plan.capacity.activations import kept_bytes, recomputed_bytes
from slipway.plan.capacity.layout import Layout, Load
from slipway.plan.capacity.model import Shape, layer_parameters, parameters
from slipway.plan.capacity.training_memory import Memory, memory

from .builders import GIB, SMALL, layout, load

LLAMA_8B = Shape(vocabulary=128256, context=32768, hidden=4096, layers=32, heads=32, kv_heads=8, feed_forward=14336)
UNTIED_PARAMETERS = 128256 * 4096  # Llama 3.1's output matrix is its own, ours is the input's


def of(where: Layout, what: Load, accelerator: Any = "nvidia") -> Memory:
    return memory(where, what, accelerator)


@pytest.mark.parametrize(("stage", "gigabytes"), [(1, 31.4), (2, 16.6), (3, 1.88)])
def test_zero_s_model_states_as_published(stage: Any, gigabytes: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rajbhandari et al. 2020, figure 1: 7.5 billion parameters in mixed precision on 64 devices."""
    shape = replace(SMALL, hidden=4096, heads=32, kv_heads=32, feed_forward=11008, layers=37, vocabulary=4096)
    assert parameters(shape) == pytest.approx(7.5e9, rel=0.01)
    monkeypatch.setattr(training_memory, "MAX_LIVE_PARAMETERS", 0)
    monkeypatch.setattr(training_memory, "GATHERED_LAYERS", 0)  # the paper counts states alone
    found = of(layout("deepspeed", 64, 8, stage=stage), load(shape, batch=64, precision="bf16"))
    assert (found.weights + found.gradients + found.optimizer) / 1e9 == pytest.approx(gigabytes, rel=0.01)


def test_zero_without_sharing_is_16_bytes_a_parameter() -> None:
    found = of(layout("deepspeed", 1, 1, stage=1), load(precision="bf16"))
    assert found.weights + found.gradients + found.optimizer == 16 * parameters(SMALL)


def test_llama_3_1_8b_with_fsdp_as_torchtitan_measured_it() -> None:
    """torchtitan, benchmarks/llama3_h100_202412_torchtitan.md, table 2: FSDP on 8 GPUs, 32,768 tokens, batch 1, full
    activation checkpointing: 83.9 GiB, as the allocator reserved it; float8 matrices, which change little of it."""
    found = of(layout("fsdp", 8, 8, checkpointing="full"), load(LLAMA_8B, batch=8, precision="bf16"))
    untied = UNTIED_PARAMETERS * (12 + 4) / 8 + UNTIED_PARAMETERS * 2
    reserved = found.total - found.overhead + untied
    assert reserved / GIB == pytest.approx(83.9, rel=0.15)


def test_selective_checkpointing_lies_between_none_and_full() -> None:
    """The same, table 1: 8,192 tokens, batch 2, selective: 82.4 GiB."""
    what = load(replace(LLAMA_8B, context=8192), batch=16, precision="bf16")
    least, most = (of(layout("fsdp", 8, 8, checkpointing=each), what).total for each in ("full", "none"))
    assert least / GIB < 82.4 < most / GIB


def test_ddp_in_fp32_holds_all_of_it_in_each_process() -> None:
    found = of(layout(processes=4), load())
    count = parameters(SMALL)
    assert (found.weights, found.gradients, found.optimizer) == (4 * count, 4 * count, 8 * count)
    assert found.buckets == 0, "buckets are the gradients"
    assert found.host == 0


def test_mixed_precision_computes_with_a_copy() -> None:
    found = of(layout(), load(precision="bf16"))
    count = parameters(SMALL)
    assert (found.weights, found.gradients, found.optimizer) == (2 * count, 4 * count, 12 * count)


def test_fsdp_shares_states_by_its_group() -> None:
    full = of(layout("fsdp", 8, 4), load())
    hybrid = of(layout("fsdp", 8, 4, shard="hybrid"), load())
    assert hybrid.optimizer == 2 * full.optimizer == parameters(SMALL) * 8 // 4
    assert full.gradients * 2 == hybrid.gradients


def test_fsdp_gradients_keeps_every_weight_gathered() -> None:
    shape = replace(SMALL, layers=12)
    full, gradients = (of(layout("fsdp", shard=each), load(shape)) for each in ("full", "gradients"))
    assert (
        gradients.weights - full.weights
        == 4 * (12 - training_memory.GATHERED_LAYERS) * layer_parameters(shape) + 4 * 96
    )
    assert (gradients.gradients, gradients.optimizer) == (full.gradients, full.optimizer)


@pytest.mark.parametrize(
    ("where", "gone"),
    [
        (layout("fsdp", offload="cpu"), {"gradients", "optimizer"}),
        (layout("deepspeed", stage=1, offload="cpu"), {"optimizer"}),
        (layout("deepspeed", stage=2, offload="cpu"), {"gradients", "optimizer"}),
        (layout("deepspeed", stage=3, offload="nvme"), {"gradients", "optimizer"}),
    ],
)
def test_offload_moves_what_is_shared_and_loses_none(where: Layout, gone: set[str]) -> None:
    here, there = of(replace(where, offload="none"), load()), of(where, load())
    assert {name for name, count in there.parts() if count == 0 and getattr(here, name)} == gone
    assert there.total + there.host == here.total
    assert there.host > 0


def test_tensor_parallelism_divides_all_but_norms_and_logits() -> None:
    one, four = (of(layout("parallel", 4, 4, tensor=each, micro_batches=each), load(batch=4)) for each in (1, 4))
    assert four.activations == one.activations // 4
    assert four.logits == one.logits
    assert four.buckets * 4 == pytest.approx(one.buckets, rel=0.01)


def test_a_pipeline_s_first_stage_keeps_every_layer_s_activations() -> None:
    """Korthikanti et al. 2022, section 4.2.3: of L / p layers it has p micro-batches, whatever p is."""
    shape = replace(SMALL, layers=8)
    found = [
        of(layout("parallel", 4, 4, pipeline=each, micro_batches=8), load(shape, batch=32, precision="bf16"))
        for each in (2, 4)
    ]
    micro = layout("parallel", 4, 4, pipeline=4, micro_batches=8)
    whole = kept_bytes(replace(micro, pipeline=1, processes=1), load(shape, batch=32, precision="bf16"))
    assert found[1].activations == pytest.approx(whole, rel=0.01)
    assert found[0].activations == pytest.approx(whole / 2, rel=0.01), "two data shares of half the batch each"


def test_interleaving_keeps_more() -> None:
    """Narayanan et al. 2021: (p - 1) / (p v) more."""
    shape = replace(SMALL, layers=8)
    where = layout("parallel", 4, 4, pipeline=4, micro_batches=8)
    plain, interleaved = (of(replace(where, interleaved=each), load(shape)).activations for each in (1, 2))
    assert interleaved / plain == pytest.approx(1 + 3 / 8, rel=0.02)


def test_the_last_stage_counts_where_logits_are_most_of_it() -> None:
    shape = replace(SMALL, vocabulary=8192)
    found = of(layout("parallel", 2, 2, pipeline=2, micro_batches=2), load(shape))
    assert found.logits == 4 * 64 * 8192 * 4 * 3
    few = of(layout("parallel", 2, 2, pipeline=2, micro_batches=2), load(replace(SMALL, layers=64)))
    assert few.logits == 0, "of the first stage"


def test_context_parallelism_divides_tokens() -> None:
    one, two = (of(layout("parallel", 2, 2, context=each), load(batch=2)) for each in (1, 2))
    assert two.activations == one.activations, "half of each sequence, and twice as many sequences"
    assert two.logits == one.logits


def test_expert_parallelism_divides_experts_alone() -> None:
    shape = replace(SMALL, experts=4, experts_per_token=2)
    one, four = (of(layout(processes=4, expert=each), load(shape)) for each in (1, 4))
    experts = 2 * 3 * 96 * 256 * 4
    assert one.weights - four.weights == 4 * experts * 3 // 4
    assert one.activations == four.activations
    dense = of(layout(processes=4), load())
    assert one.activations > dense.activations, "a token goes to two experts"


def test_recomputing_keeps_inputs_alone_and_one_layer_again() -> None:
    shape = replace(SMALL, layers=32, vocabulary=32)
    none, full = (of(layout(checkpointing=each), load(shape)) for each in ("none", "full"))
    tokens = 2 * 64
    assert full.activations == tokens * 96 * (4 * 32 + 12), "every layer's input, and the final norm"
    assert full.temporary - none.temporary == recomputed_bytes(layout(checkpointing="full"), load(shape))


def test_overheads() -> None:
    assert of(layout(processes=1), load()).overhead == GIB
    assert of(layout(processes=2), load()).overhead == 3 * GIB // 2
    assert of(layout(processes=2), load(), "cpu").overhead == training_memory.CPU_OVERHEAD_BYTES


@given(
    st.sampled_from([1, 2, 4, 8, 16]), st.sampled_from(["ddp", "fsdp", "deepspeed"]), st.sampled_from(["fp32", "bf16"])
)
def test_more_processes_never_need_more(processes: int, strategy: Any, precision: Any) -> None:
    what = load(batch=32, precision=precision)
    few, many = (of(layout(strategy, each, 8), what) for each in (processes, 2 * processes))
    assert many.total - many.overhead <= few.total - few.overhead
    assert all(count >= 0 for _, count in many.parts())


def test_the_total_is_its_parts() -> None:
    found = of(layout("deepspeed", stage=2, offload="cpu"), load(precision="bf16"))
    assert found.total == sum(count for _, count in found.parts())
    assert found.total - found.states == found.activations + found.logits + found.temporary
