from pathlib import Path
from typing import Any

import pytest
import torch

from slipway.api.trainingjob import OptimizerSpec
from slipway.plan.capacity.model import parameters, shape_of
from slipway_train.batch import Batch
from slipway_train.model import build_model, build_optimizer, learning_rate, llama_config, token_losses

from .support import parse, recipe_json

SPEC = OptimizerSpec(learning_rate="0.01", warmup_steps=10)


@pytest.fixture
def model(tokenizer: Any) -> Any:
    return build_model(llama_config(parse(recipe_json(Path("/data"))).model, tokenizer), seed=1)


def test_the_shape_is_the_recipes(model: Any) -> None:
    config = model.config
    assert (config.hidden_size, config.num_hidden_layers, config.vocab_size) == (32, 1, 512)
    assert (config.num_attention_heads, config.num_key_value_heads) == (2, 1)
    assert config.max_position_embeddings == 32
    assert config.intermediate_size == 96
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (0, 0, 1)
    assert model.lm_head.weight is model.model.embed_tokens.weight


def test_with_experts_it_is_a_mixtral(tokenizer: Any) -> None:
    spec = parse(recipe_json(Path("/data"))).model.model_copy(update={"experts": 4, "experts_per_token": 2})
    mixtral = build_model(llama_config(spec, tokenizer), seed=1)
    assert mixtral.config.model_type == "mixtral"
    assert (mixtral.config.num_local_experts, mixtral.config.num_experts_per_tok) == (4, 2)
    assert mixtral.model.layers[0].mlp.experts.down_proj.shape == (4, 32, 96)
    assert mixtral.lm_head.weight is mixtral.model.embed_tokens.weight


@pytest.mark.parametrize("experts", [1, 3])
def test_the_operator_counts_the_same_parameters(tokenizer: Any, experts: int) -> None:
    spec = parse(recipe_json(Path("/data"))).model.model_copy(update={"experts": experts, "layers": 2})
    made = build_model(llama_config(spec, tokenizer), seed=1)
    assert sum(each.numel() for each in made.parameters()) == parameters(shape_of(spec))


def test_the_seed_decides_the_weights(tokenizer: Any, model: Any) -> None:
    again, other = (build_model(model.config, seed=seed) for seed in (1, 2))
    assert torch.equal(again.lm_head.weight, model.lm_head.weight)
    assert not torch.equal(other.lm_head.weight, model.lm_head.weight)


def test_only_matrices_decay(model: Any) -> None:
    matrices, rest = build_optimizer(model, OptimizerSpec(weight_decay="0.25")).param_groups
    assert (matrices["weight_decay"], rest["weight_decay"]) == (0.25, 0.0)
    assert {p.dim() for p in matrices["params"]} == {2}
    assert {p.dim() for p in rest["params"]} == {1}
    assert len(matrices["params"]) + len(rest["params"]) == len(list(model.parameters()))


@pytest.mark.parametrize(("step", "rate"), [(0, 0.001), (4, 0.005), (9, 0.01), (10, 0.01), (99, 0.001), (150, 0.001)])
def test_the_learning_rate_warms_up_and_falls_to_a_tenth(step: int, rate: float) -> None:
    assert learning_rate(step, steps=100, spec=SPEC) == pytest.approx(rate)


def test_the_learning_rate_never_rises_after_warm_up() -> None:
    rates = [learning_rate(step, steps=60, spec=SPEC) for step in range(9, 60)]
    assert rates == sorted(rates, reverse=True)


@pytest.mark.parametrize("steps", [1, 10, 11])
def test_a_run_no_longer_than_its_warm_up_has_a_rate(steps: int) -> None:
    assert all(0 < learning_rate(step, steps=steps, spec=SPEC) <= 0.01 for step in range(steps))


def test_losses_are_per_target_and_ignore_padding(model: Any) -> None:
    tokens = torch.randint(0, 512, (2, 8), generator=torch.Generator().manual_seed(0))
    targets = tokens.roll(-1, 1)
    targets[1, 4:] = -100
    losses = token_losses(model, Batch(tokens, targets), bf16=False)
    assert losses.shape == (16,)
    assert (losses[12:] == 0).all()
    assert losses[:12].mean().item() == pytest.approx(6.24, abs=0.3), "ln 512: nothing learned yet"


def test_bf16_is_near_fp32_and_returns_fp32(model: Any) -> None:
    tokens = torch.arange(64).reshape(2, 32)
    exact = token_losses(model, Batch(tokens, tokens), bf16=False)
    rounded = token_losses(model, Batch(tokens, tokens), bf16=True)
    assert rounded.dtype == torch.float32
    assert not torch.equal(exact, rounded)
    assert torch.allclose(exact, rounded, atol=0.1)
