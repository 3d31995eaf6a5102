"""Which GPU holds how much of a served model."""

from dataclasses import replace

import pytest

from slipway.plan.capacity.devices import GIB
from slipway.plan.capacity.sharding import Sharding, impossible, stages, weight_bytes

from .published import decoder


def test_the_mission_s_175_billion_parameters_on_eight_gpus() -> None:
    """350 GB in FP16, 43.75 GB a GPU, however the eight are cut; the fullest has an embedding more than its share."""
    model = decoder("gpt-175b")
    for sharding in (Sharding(8, 1), Sharding(4, 2), Sharding(2, 4), Sharding(1, 8)):
        each = weight_bytes(model, sharding)
        assert max(each) / 1e9 == pytest.approx(43.75, rel=0.03), sharding
        assert sum(each) * sharding.tensor / 1e9 == pytest.approx(350, rel=0.006), sharding
    assert max(weight_bytes(model, Sharding(4, 2))) / 1e9 == pytest.approx(43.75, rel=0.003)


@pytest.mark.parametrize(
    ("name", "sharding", "gib"),
    [  # "Model loading took ... GiB" of the logs in published.yaml
        ("qwen2-7b", Sharding(1), 14.2488),
        ("qwen2-7b", Sharding(2), 7.1217),
        ("llama-3.1-8b", Sharding(1), 14.9888),
        ("granite-3.0-3b-a800m", Sharding(1), 6.1501),
        ("gpt-oss-120b", Sharding(4), 17.2217),
        ("gpt-oss-20b", Sharding(1), 13.72),
    ],
)
def test_weights_are_what_the_engine_loads(name: str, sharding: Sharding, gib: float) -> None:
    assert max(weight_bytes(decoder(name), sharding)) / GIB == pytest.approx(gib, rel=0.007)


def test_stages_are_vllm_s() -> None:
    model = decoder("deepseek-v3")
    assert [len(each) for each in stages(model, Sharding(1, 4))] == [15, 15, 16, 15]
    assert [len(each) for each in stages(model, Sharding(1, 2))] == [31, 30]
    assert sum(stages(model, Sharding(1, 7)), ()) == model.layers


def test_the_index_of_the_weights_is_believed() -> None:
    model = replace(decoder("qwen2-7b"), counted_bytes=15_231_233_024)
    assert weight_bytes(model, Sharding()) == [15_231_233_024]
    assert sum(weight_bytes(model, Sharding(2, 2))) * 2 == pytest.approx(15_231_233_024, rel=1e-3)


def test_a_tied_embedding_is_twice_in_a_pipeline() -> None:
    model = decoder("gpt-175b")
    one, two = weight_bytes(model, Sharding(1, 1)), weight_bytes(model, Sharding(1, 2))
    assert sum(two) - sum(one) == model.embedding_parameters * 2


@pytest.mark.parametrize(
    ("name", "sharding", "why"),
    [
        ("qwen2-7b", Sharding(8), "num_attention_heads, 28, is not a multiple of tensor, 8"),
        ("qwen2-7b", Sharding(7), "num_key_value_heads, 4, and tensor, 7: neither divides the other"),
        ("qwen2-7b", Sharding(1, 29), "num_hidden_layers, 28, is less than pipeline, 29"),
        ("qwen2-7b", Sharding(4, 28), None),
        ("llama-3.1-8b", Sharding(16), None),
        ("deepseek-v3", Sharding(16), None),
    ],
)
def test_why_not(name: str, sharding: Sharding, why: str | None) -> None:
    assert impossible(decoder(name), sharding) == why


def test_names() -> None:
    assert [Sharding(4, 2).name, Sharding(8).name] == ["TP4 x PP2", "TP8"]
