"""What the operator's planner counts is what torch builds and keeps: parameters, and the tensors saved for backward."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaForCausalLM

from slipway.api.precision import Precision
from slipway.api.trainingjob import ModelSpec
from slipway.plan.capacity.activations import kept_bytes, layer_bytes
from slipway.plan.capacity.layout import Layout, Load
from slipway.plan.capacity.model import FEED_FORWARD_MULTIPLE, layer_parameters, parameters, shape_of
from slipway_train.model import llama_config
from slipway_train.strategies.float8 import use_float8
from slipway_train.tokenizer import load_tokenizer, train_tokenizer

HEAD_SIZE = 4


@st.composite
def shapes(draw: Any) -> ModelSpec:
    kv_heads, group, layers = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
    heads = kv_heads * group
    hidden = heads * HEAD_SIZE * draw(st.integers(1, 6))
    return ModelSpec.model_construct(
        vocab_size=draw(st.integers(512, 600)),
        context_length=32,
        hidden_size=hidden,
        layers=layers,
        heads=heads,
        kv_heads=kv_heads,
    )


def built(spec: ModelSpec, tokenizer: Any) -> Any:
    """The real model, without its numbers."""
    with torch.device("meta"):
        return LlamaForCausalLM(llama_config(spec, tokenizer))


@pytest.fixture(scope="module")
def real_tokenizer(corpus: Any) -> Any:
    return load_tokenizer(train_tokenizer(corpus, 512))


@settings(max_examples=25)
@given(spec=shapes())
def test_parameters_are_counted_exactly(spec: ModelSpec, real_tokenizer: Any) -> None:
    model = built(spec, real_tokenizer)
    assert sum(p.numel() for p in model.parameters()) == parameters(shape_of(spec))
    assert model.config.intermediate_size == shape_of(spec).feed_forward
    assert shape_of(spec).feed_forward % FEED_FORWARD_MULTIPLE == 0


def test_seven_billion_are_counted_exactly(real_tokenizer: Any) -> None:
    spec = ModelSpec(vocab_size=32000, context_length=4096, hidden_size=4096, layers=32, heads=32, kv_heads=32)
    assert sum(p.numel() for p in built(spec, real_tokenizer).parameters()) == parameters(shape_of(spec))


# How a strategy computes: its layout, the recipe's precision, what the weights are in, whether autocast is on.
WAYS: dict[str, tuple[Layout, Precision, torch.dtype, bool]] = {
    "fp32": (Layout("ddp", 1, 1), "fp32", torch.float32, False),
    "autocast": (Layout("ddp", 1, 1), "bf16", torch.float32, True),
    "bf16": (Layout("fsdp", 1, 1), "bf16", torch.bfloat16, False),
    "fp8 autocast": (Layout("ddp", 1, 1), "fp8", torch.float32, True),
    "fp8": (Layout("fsdp", 1, 1), "fp8", torch.bfloat16, False),
}
BATCH = 8


def saved_bytes(spec: ModelSpec, tokenizer: Any, way: str, attention: str) -> int:
    """Of the tensors that autograd keeps for the backward pass of the model without its head, weights left out."""
    _, precision, dtype, autocast = WAYS[way]
    torch.manual_seed(0)
    config = llama_config(spec, tokenizer)
    config._attn_implementation = {"fused": "sdpa", "eager": "eager"}[attention]
    model = LlamaForCausalLM(config).to(dtype)
    if precision == "fp8":
        use_float8(model)
    weights = {p.untyped_storage().data_ptr() for p in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights and tensor.is_floating_point():
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    tokens = torch.randint(0, 500, (BATCH, spec.context_length))
    casting = torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), casting:
        model.model(input_ids=tokens, use_cache=False)
    return sum(kept.values())


# The trainer's own attention is the fused one, and fp8 is its own.
KEPT = [(way, each) for way in WAYS for each in ("fused", "eager") if each == "fused" or "fp8" not in way]


@pytest.mark.parametrize(("way", "attention"), KEPT)
@pytest.mark.parametrize("kv_heads", [8, 2], ids=["multi-head", "grouped"])
def test_a_layer_keeps_what_the_planner_says(way: str, kv_heads: int, attention: Any, real_tokenizer: Any) -> None:
    """Two depths, so that what the model keeps beside its layers falls out; casts of weights are not activations."""
    spec = ModelSpec(vocab_size=512, context_length=64, hidden_size=128, layers=2, heads=8, kv_heads=kv_heads)
    deeper = spec.model_copy(update={"layers": 4})
    two, four = (saved_bytes(each, real_tokenizer, way, attention) for each in (spec, deeper))
    layout, precision, _, autocast = WAYS[way]
    matrices = layer_parameters(shape_of(spec)) - 2 * spec.hidden_size
    each = (four - two) / 2 - (2 * matrices if autocast and precision == "bf16" else 0)
    expected = layer_bytes(layout, Load(shape_of(spec), BATCH, precision, attention))
    assert each / (BATCH * spec.context_length) == pytest.approx(expected, rel=0.01)


def test_the_final_norm_is_kept_too() -> None:
    shape = replace(shape_of(ModelSpec()), layers=1)
    load = Load(shape, 1, "fp32")
    ddp = Layout("ddp", 1, 1)
    assert kept_bytes(ddp, load) == shape.context * (layer_bytes(ddp, load) + 12 * shape.hidden)
