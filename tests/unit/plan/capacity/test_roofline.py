"""Bounds on times, worked out by hand."""

from dataclasses import replace

import pytest

from slipway.plan.capacity.devices import BUILT_IN
from slipway.plan.capacity.roofline import Replica, Work, idle_percent, peak_flops, sent_bytes, step_seconds
from slipway.plan.capacity.serving import Demand, dollars_per_million, most_requests, speed
from slipway.plan.capacity.sharding import Sharding

from .published import decoder

H100, A100, T4 = BUILT_IN.classes["h100-80gb"], BUILT_IN.classes["a100-80gb"], BUILT_IN.classes["t4"]
LLAMA = decoder("llama-3.1-8b")
DEMAND = Demand(1024, 256)


def test_a_token_alone_is_bound_by_reading_the_weights() -> None:
    matrices = (8_030_261_248 - 128256 * 4096) * 2  # the input's embedding is looked up
    cached = 1024 * 131072
    found = step_seconds(Replica(LLAMA, Sharding(), H100), Work(1, 1024))
    assert found == pytest.approx((matrices + cached) / 3350e9, rel=1e-3)


def test_a_prompt_is_bound_by_operations() -> None:
    layers = 8_030_261_248 - 2 * 128256 * 4096
    pairs = 32 * 32 * 256 * 1024 * 1024 / 2
    head = 128256 * 4096 * 2 / 3350e9  # the logits of the last token alone
    found = step_seconds(Replica(LLAMA, Sharding(), H100), Work(1, 1024, 1024))
    assert found == pytest.approx(2 * (layers * 1024 + pairs) / 989e12 + head, rel=1e-3)


def test_a_token_of_experts_reads_those_that_are_taken() -> None:
    model, work = decoder("mixtral-8x7b"), Work(1, 1)
    one = step_seconds(Replica(model, Sharding(), H100), work) * 3350e9 / 2
    every = step_seconds(Replica(model, Sharding(), H100), replace(work, sequences=64)) * 3350e9 / 2
    assert one / 1e9 == pytest.approx(12.75, rel=0.01)
    assert every / 1e9 == pytest.approx(46.6, rel=0.01)


def test_a_window_bounds_what_is_read_and_multiplied() -> None:
    model = decoder("mistral-7b-v0.1")
    near, far = (step_seconds(Replica(model, Sharding(), H100), Work(1, length)) for length in (4096, 32768))
    assert near == far
    near, far = (step_seconds(Replica(model, Sharding(), H100), Work(1, length, length)) for length in (16384, 32768))
    assert far < near * 2.1


def test_gpus_share_the_work_and_send_for_it() -> None:
    work = Work(1, 1024, 1024)
    one, two = (step_seconds(Replica(LLAMA, Sharding(tensor), H100), work) for tensor in (1, 2))
    sent = 32 * 2 * 1024 * 4096 * 2 / 450e9
    assert two == pytest.approx(one / 2 + sent, rel=0.01)


def test_a_pipeline_shares_nothing_of_one_token() -> None:
    work = Work(1, 1024)
    one, two = (step_seconds(Replica(LLAMA, Sharding(1, pipeline), H100), work) for pipeline in (1, 2))
    assert two == pytest.approx(one, rel=0.01)


def test_weights_are_multiplied_in_what_the_gpu_has() -> None:
    eight = decoder("qwen3-235b-a22b-fp8")
    assert [peak_flops(eight, device) for device in (H100, A100, T4)] == [1979e12, 312e12, 65e12]
    assert peak_flops(decoder("gpt-oss-20b"), H100) == 989e12, "experts of 4 bits, attention of 16"
    assert peak_flops(LLAMA, H100) == 989e12


def test_a_smaller_cache_is_read_sooner() -> None:
    work = Work(200, 8000)
    small, large = (step_seconds(Replica(LLAMA, Sharding(), H100, bits), work) for bits in (8, 16))
    assert small < large


def test_a_second_is_shared_by_prefill_and_decode() -> None:
    found = speed(Replica(LLAMA, Sharding(), H100), DEMAND, 50)
    busy = found.requests_per_second * (found.ttft_seconds + 256 * found.itl_seconds / 50)
    assert busy == pytest.approx(1)
    assert found.output_tokens_per_second == pytest.approx(256 * found.requests_per_second)
    assert found.ttft_bound < found.ttft_seconds
    assert found.itl_bound < found.itl_seconds


def test_as_many_at_once_as_the_time_between_tokens_lets() -> None:
    replica = Replica(LLAMA, Sharding(), H100)
    assert most_requests(replica, DEMAND, 400) == 400
    kept = Demand(1024, 256, itl_seconds=0.02)
    most = most_requests(replica, kept, 400)
    assert 0 < most < 400
    assert speed(replica, kept, most).itl_seconds <= 0.02 < speed(replica, kept, most + 1).itl_seconds
    assert most_requests(replica, Demand(1024, 256, itl_seconds=0.001), 400) == 0


def test_dollars_are_of_gpus_that_are_always_busy() -> None:
    found = replace(speed(Replica(LLAMA, Sharding(), H100), DEMAND, 50), output_tokens_per_second=1000)
    assert dollars_per_million(found, 2, 3.6) == pytest.approx(2.0)


@pytest.mark.parametrize(("sharding", "layers", "handed"), [((8, 1), 96, 0), ((4, 2), 48, 1), ((1, 8), 12, 1)])
def test_what_a_gpu_sends_for_a_token(sharding: tuple[int, int], layers: int, handed: int) -> None:
    """Of 175 billion parameters: two all-reduces a layer, and one hand-over; a pipeline alone sends 24 KB."""
    tensor = sharding[0]
    found = sent_bytes(Replica(decoder("gpt-175b"), Sharding(*sharding), A100), Work(1, 1024))
    assert found == (layers * 2 * 2 * (tensor - 1) / tensor + handed) * 12288 * 2


def test_a_pipeline_waits_while_it_is_not_full() -> None:
    assert [idle_percent(Sharding(1, 8), requests) for requests in (1, 4, 8, 80)] == [88, 50, 0, 0]
    assert idle_percent(Sharding(8), 1) == 0
