"""Models as their config.json describes them: counts that their makers publish, and what is refused."""

from typing import Any

import pytest

from slipway.plan.capacity.configreader import Unplannable
from slipway.plan.capacity.decoder import Attention, FeedForward, active_parameters, decoder_of, parameters
from slipway.plan.capacity.decoderconfig import decoder_from
from slipway.plan.capacity.model import Shape
from slipway.plan.capacity.model import parameters as trained_parameters

from .builders import SMALL
from .published import configs, decoder

LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "intermediate_size": 14336,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
}


@pytest.mark.parametrize(
    ("name", "billions", "active"),
    [
        ("qwen2-7b", 7.62, 7.07),
        ("llama-3.1-8b", 8.03, 7.50),
        ("mixtral-8x7b", 46.7, 12.7),
        ("qwen3-235b-a22b-fp8", 235.1, 21.6),
        ("qwen3-coder-480b-a35b-fp8", 480.2, 34.5),
        ("deepseek-v3", 671.0, 36.6),
        ("deepseek-v2-lite", 15.7, 2.45),
        ("gpt-oss-120b", 116.8, 5.13),
        ("gpt-oss-20b", 20.9, 3.6),
        ("gemma-3-27b", 27.0, 27.0),
        ("gpt-175b", 174.6, 174.6),
    ],
)
def test_parameters_are_those_that_makers_publish(name: str, billions: float, active: float) -> None:
    """Active ones without the input's embedding, which is read and not multiplied."""
    assert parameters(decoder(name)) / 1e9 == pytest.approx(billions, rel=0.004)
    assert active_parameters(decoder(name)) / 1e9 == pytest.approx(active, rel=0.01)


def test_a_trained_model_is_counted_as_the_trainer_counts_it() -> None:
    for shape in (SMALL, Shape(512, 64, 96, 2, 4, 2, 256, experts=4, experts_per_token=2)):
        assert parameters(decoder_of(shape)) == trained_parameters(shape) - shape.hidden, "but for the last norm"


def windows(name: str) -> list[int | None]:
    return [layer.attention.window for layer in decoder(name).layers]


def test_windows_are_on_the_layers_that_have_them() -> None:
    assert windows("qwen2-7b") == [None] * 28, "use_sliding_window is false"
    assert windows("mistral-7b-v0.1") == [4096] * 32
    silent = decoder_from({**LLAMA, "model_type": "qwen2", "sliding_window": 8})
    assert {layer.attention.window for layer in silent.layers} == {None}, "what qwen2's default is"
    late = {**LLAMA, "model_type": "qwen2", "sliding_window": 8, "use_sliding_window": True, "max_window_layers": 3}
    assert [layer.attention.window for layer in decoder_from(late).layers] == [None, None, None, 8]
    assert windows("gpt-oss-20b") == [128, None] * 12
    assert [at for at, window in enumerate(windows("gemma-3-27b")) if window is None] == list(range(5, 62, 6))
    listed = decoder_from({**LLAMA, "sliding_window": 8, "layer_types": ["full_attention", *["sliding_attention"] * 3]})
    assert [layer.attention.window for layer in listed.layers] == [None, 8, 8, 8]


def test_layers_that_see_everything_may_have_heads_of_their_own() -> None:
    kinds = {layer.attention for layer in decoder("gemma-4-31b-fp8").layers}
    assert kinds == {Attention(32, 16, 256, 256, 1024), Attention(32, 4, 512, 512, None)}


def test_experts_begin_where_the_dense_layers_end() -> None:
    forward = [layer.feed_forward for layer in decoder("deepseek-v3").layers]
    assert forward[:3] == [FeedForward(18432)] * 3
    assert forward[3:] == [FeedForward(2048, 256, 8, 2048)] * 58


@pytest.mark.parametrize(
    ("quantization", "bits"),
    [
        ({"quant_method": "fp8"}, 8),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4 + 20 / 128),
        ({"quant_method": "gptq", "bits": 8, "group_size": -1}, 8),
        ({"quant_method": "compressed-tensors", "config_groups": {"a": {"weights": {"num_bits": 8}}}}, 8),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, 4.5),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, 4.5),
        (None, 16),
    ],
)
def test_quantized_weights(quantization: Any, bits: float) -> None:
    found = decoder_from({**LLAMA, "quantization_config": quantization}).bits
    assert (found.attention, found.dense, found.experts, found.other) == (bits, bits, bits, 16)


def test_what_a_format_leaves_alone_stays_in_sixteen_bits() -> None:
    found = decoder("gpt-oss-20b").bits
    assert (found.attention, found.experts) == (16, 4.25)
    spared = {"quant_method": "fp8", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]}
    assert decoder_from({**LLAMA, "quantization_config": spared}).bits.attention == 16


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"hidden_size": None}, "config.json: hidden_size or n_embd or d_model: is missing"),
        ({"num_hidden_layers": 0}, "config.json: num_hidden_layers: must be a whole number above zero: 0"),
        ({"vocab_size": "many"}, "config.json: vocab_size: must be a whole number above zero: 'many'"),
        ({"num_hidden_layers": True}, "must be a whole number above zero: True"),
        ({"num_attention_heads": 33}, "config.json: hidden_size: 4096 is not a multiple of num_attention_heads, 33"),
        ({"layer_types": ["conv", *["full_attention"] * 3]}, "config.json: layer_types: conv: what such layers keep"),
        ({"sliding_window": 8, "layer_types": ["full_attention"]}, "has 1 entries and num_hidden_layers is 4"),
        ({"linear_num_key_heads": 16}, "config.json: linear_num_key_heads: linear attention keeps a state"),
        ({"index_topk": 2048}, "config.json: index_topk: sparse attention"),
        ({"is_encoder_decoder": True}, "config.json: is_encoder_decoder: only decoders"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "quantization_config.quant_method: aqlm"),
        ({"quantization_config": {"quant_method": "gptq", "bits": "4"}}, "whole number, 1 to 16: '4'"),
        ({"tie_word_embeddings": 1}, "config.json: tie_word_embeddings: must be true or false: 1"),
    ],
)
def test_what_cannot_be_planned_for_is_named(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Unplannable) as caught:
        decoder_from({**LLAMA, **change})
    assert complaint in str(caught.value)


def test_what_is_no_object_is_no_config() -> None:
    with pytest.raises(Unplannable, match="must be a JSON object"):
        decoder_from(["llama"])


def test_what_is_taken_for_granted_is_said() -> None:
    assert decoder_from(LLAMA).notes == ()
    (note,) = decoder_from({**LLAMA, "model_type": "novel"}).notes
    assert "novel" in note
    (note,) = decoder_from(configs()["qwen3-vl-8b"]).notes
    assert "only the text decoder" in note
    assert decoder_from(configs()["qwen3-vl-8b"], counted_bytes=17_500_000_000).notes == ()
