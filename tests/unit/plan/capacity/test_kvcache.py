"""Tokens of keys and values: vLLM's own arithmetic, by hand."""

import pytest

from slipway.plan.capacity.devices import GIB
from slipway.plan.capacity.kvcache import Cache, held, token_bytes
from slipway.plan.capacity.sharding import Sharding

from .published import decoder


@pytest.mark.parametrize(
    ("name", "sharding", "expected"),
    [
        ("llama-3.1-8b", Sharding(1), 32 * 8 * 128 * 2 * 2),
        ("llama-3.1-8b", Sharding(8), 32 * 1 * 128 * 2 * 2),
        ("llama-3.1-8b", Sharding(16), 32 * 1 * 128 * 2 * 2),
        ("llama-3.1-8b", Sharding(4, 2), 16 * 2 * 128 * 2 * 2),
        ("deepseek-v3", Sharding(1), 61 * 576 * 2),
        ("deepseek-v3", Sharding(8), 61 * 576 * 2),
        ("gpt-175b", Sharding(1), 96 * 96 * 128 * 2 * 2),
        ("gpt-175b", Sharding(4, 2), 48 * 24 * 128 * 2 * 2),
    ],
)
def test_bytes_of_a_token_on_a_gpu(name: str, sharding: Sharding, expected: int) -> None:
    assert token_bytes(decoder(name), sharding) == expected
    assert token_bytes(decoder(name), sharding, bits=8) == expected // 2


def test_whole_blocks_alone_are_held() -> None:
    block = 16 * 131072
    for free, tokens in ((block * 10, 160), (block * 11 - 1, 160), (block - 1, 0), (-block, 0)):
        assert held(decoder("llama-3.1-8b"), Sharding(), [free], Cache(), request_tokens=16).tokens == tokens


def test_a_request_takes_whole_blocks() -> None:
    found = held(decoder("llama-3.1-8b"), Sharding(), [16 * 131072 * 100], Cache(), request_tokens=17)
    assert found.requests == 50


def test_the_worst_stage_of_a_pipeline_decides() -> None:
    model, block = decoder("llama-3.1-8b"), 16 * 131072 // 2
    assert held(model, Sharding(1, 2), [block * 8, block * 4], Cache(), request_tokens=16).requests == 4


def test_a_window_is_held_with_what_is_in_flight_and_a_block_more() -> None:
    model, block = decoder("mistral-7b-v0.1"), 16 * 131072
    asked = Cache(batched_tokens=2048)
    needed = -(-(4095 + 2048) // 16) + 1
    assert held(model, Sharding(), [block * needed], asked, request_tokens=32768).requests == 1
    assert held(model, Sharding(), [block * 65], asked, request_tokens=1024).requests == 1


def test_two_kinds_of_layers_draw_from_one_pool() -> None:
    """Gemma 3 27B: ten layers see all, fifty-two have a window; groups of ten, one and six of them."""
    block = 16 * 16 * 128 * 2 * 2 * 10
    whole, window = 32768 // 16, -(-(1023 + 2048) // 16) + 1
    free = block * (whole + 6 * window)
    found = held(decoder("gemma-3-27b"), Sharding(), [free], Cache(batched_tokens=2048), request_tokens=32768)
    assert found.requests == 1


def test_blocks_are_equally_large_however_little_a_layer_keeps() -> None:
    """Gemma 4 31B on two GPUs: layers that see all keep half as much of a token, so their blocks hold 32."""
    block = 16 * 8 * 256 * 2 * 2 * 10
    whole, window = 32768 // 32, -(-(1023 + 2048) // 16) + 1
    cache = Cache(batched_tokens=2048)
    free = [block * (whole + 5 * window)]
    assert held(decoder("gemma-4-31b-fp8"), Sharding(2), free, cache, request_tokens=32768).requests == 1


def test_sglang_counts_single_tokens() -> None:
    found = held(decoder("llama-3.1-8b"), Sharding(), [GIB], Cache("sglang"), request_tokens=100)
    assert found.tokens == pytest.approx(GIB / 131072, abs=1)
