"""What a report says of the devices' peak: counted in the real model, and of the peak of the device that it is on."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM, MixtralConfig, MixtralForCausalLM

from slipway.api.trainingjob import ModelSpec
from slipway.plan.capacity.layout import Layout, Load
from slipway.plan.capacity.model import shape_of
from slipway.plan.capacity.speed import flops
from slipway_train import course
from slipway_train.course import follow
from slipway_train.gang import Gang
from slipway_train.mfu import flops_per_token
from slipway_train.utilization import Utilization, count_flops, of_devices, of_gang

from .support import parse, recipe_json
from .test_instruct import Reports

SHAPE: dict[str, Any] = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
}
CONTEXT = 128
ATTENTION = 12 * 2 * 64 * CONTEXT
TIED = LlamaConfig(**SHAPE, tie_word_embeddings=True)
# support.recipe_json's model: embedding, attention, feed-forward of 96, norms; and attention over 32 tokens.
FLOPS_OF_RECIPE = 6 * (512 * 32 + (2 * 32 * 32 + 2 * 32 * 16) + 3 * 32 * 96 + 3 * 32) + 12 * 32 * 32


def parameters(model: torch.nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def test_it_is_what_the_planner_counts() -> None:
    spec = ModelSpec(vocab_size=512, context_length=CONTEXT, hidden_size=64, layers=2, heads=4, kv_heads=2)
    load = Load(shape_of(spec), batch=1, precision="bf16")
    assert count_flops(LlamaForCausalLM(TIED), context=CONTEXT) * CONTEXT == flops(Layout("ddp", 1, 1), load)


def test_an_embedding_that_is_only_looked_up_costs_nothing() -> None:
    apart = LlamaForCausalLM(LlamaConfig(**SHAPE, tie_word_embeddings=False))
    assert parameters(apart) == parameters(LlamaForCausalLM(TIED)) + 512 * 64
    assert count_flops(apart, context=CONTEXT) == count_flops(LlamaForCausalLM(TIED), context=CONTEXT)


def test_of_the_experts_those_count_that_a_token_visits() -> None:
    counted = {
        taken: count_flops(
            MixtralForCausalLM(
                MixtralConfig(**SHAPE, num_local_experts=4, num_experts_per_tok=taken, tie_word_embeddings=True)
            ),
            context=CONTEXT,
        )
        for taken in (1, 2, 4)
    }
    expert = 2 * 3 * 64 * 192  # of both layers
    router = 2 * 64 * 4
    dense = count_flops(LlamaForCausalLM(TIED), context=CONTEXT)
    assert counted == {taken: dense + 6 * ((taken - 1) * expert + router) for taken in (1, 2, 4)}


def adapted(model: Any) -> Any:
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=8, target_modules=["q_proj", "v_proj"]))


def test_what_stands_still_below_an_adapter_gets_no_gradient() -> None:
    base = parameters(LlamaForCausalLM(TIED))
    adapter = 2 * (8 * (64 + 64) + 8 * (64 + 32))
    expected = flops_per_token(
        parameters=adapter, frozen_parameters=base, layers=2, heads=4, head_size=16, sequence_length=CONTEXT
    )
    assert count_flops(adapted(LlamaForCausalLM(TIED)), context=CONTEXT) == expected


def test_four_bits_are_a_parameter(tmp_path: Path) -> None:
    LlamaForCausalLM(TIED).save_pretrained(tmp_path)
    quantized = LlamaForCausalLM.from_pretrained(
        tmp_path, quantization_config=BitsAndBytesConfig(load_in_4bit=True), device_map={"": "cpu"}
    )
    assert parameters(quantized) < parameters(LlamaForCausalLM(TIED))
    whole = adapted(LlamaForCausalLM(TIED))
    assert count_flops(adapted(quantized), context=CONTEXT) == count_flops(whole, context=CONTEXT)


@pytest.fixture
def recipe(dataset: Path) -> dict[str, Any]:
    return recipe_json(dataset, precision="bf16")


def test_the_peak_is_the_devices(recipe: dict[str, Any]) -> None:
    model = LlamaForCausalLM(TIED)
    used = of_devices(model, parse(recipe), "NVIDIA H200", devices=8)
    assert used == Utilization(count_flops(model, context=32), 8, 989.4e12)
    assert used.percent(8 * 989.4e12 / used.flops_per_token / 2) == pytest.approx(50)
    assert of_devices(model, parse(recipe), "NVIDIA A10", devices=8) is None


def reports(recipe: dict[str, Any], gang: Gang, output: Path) -> Reports:
    told = Reports()
    follow(parse(recipe), gang, output, reporter=told, stop_asked=lambda: False)
    return told


def test_a_report_has_it_where_the_peak_is_known(
    recipe: dict[str, Any], gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def on_h200(model: torch.nn.Module, *_: object) -> Utilization | None:
        return of_devices(model, parse(recipe), "NVIDIA H200", devices=2)

    monkeypatch.setattr(course, "of_gang", on_h200)
    for report in reports(recipe, gang, tmp_path / "out").kept:
        assert report.tokens_per_second
        share = report.tokens_per_second * FLOPS_OF_RECIPE / (2 * 989.4e12)
        assert report.mfu_percent == pytest.approx(100 * share)


def test_a_cpu_has_no_peak(recipe: dict[str, Any], gang: Gang, tmp_path: Path) -> None:
    assert of_gang(LlamaForCausalLM(TIED), parse(recipe), gang) is None
    assert {report.mfu_percent for report in reports(recipe, gang, tmp_path / "out").kept} == {None}
