"""Which candidate is best, in what words the others lost, and what to fall back to."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.plan.capacity.candidates import Candidate, Fleet, Settings, candidates
from slipway.plan.capacity.devices import BUILT_IN, Device
from slipway.plan.capacity.serving import Demand
from slipway.plan.capacity.servingchoice import Ranked, rank

from .published import configs, decoder

H100, A100, L4 = BUILT_IN.classes["h100-80gb"], BUILT_IN.classes["a100-80gb"], BUILT_IN.classes["l4"]


def ranked(name: str, *devices: Device, gpus: int = 8, demand: Demand | None = None, **more: Any) -> Ranked:
    asked = Settings(**{"engine": "vllm", "utilization": 0.92, **more})
    return rank(candidates(decoder(name), Fleet(devices or (H100,), gpus, 8), asked, demand or Demand(1024, 256)))


def names(found: tuple[Candidate, ...]) -> list[str]:
    return [f"{each.sharding.name} {each.precision}" for each in found]


def reason(found: Ranked, name: str, precision: str = "as is") -> str:
    pairs = zip(found.candidates, found.reasons, strict=True)
    (why,) = [why for each, why in pairs if (each.sharding.name, each.precision) == (name, precision)]
    return why


def test_the_mission_s_175_billion_parameters() -> None:
    """TP8 first; the eight GPUs cut otherwise are for bad links. Without one, seven stages hold it still; four need a
    smaller checkpoint."""
    found = ranked("gpt-175b", A100)
    assert names(found.candidates[:3]) == ["TP8 as is", "TP4 x PP2 as is", "TP2 x PP4 as is"]
    assert names(found.fallbacks) == [
        *("TP4 x PP2 as is", "TP2 x PP4 as is", "TP1 x PP8 as is"),
        *("TP1 x PP7 as is", "TP2 x PP3 as is", "TP1 x PP5 as is"),
        *("TP4 int4", "TP1 x PP3 int4", "TP2 int4"),
    ]
    assert reason(found, "TP4") == "weights take 81.3 GiB of a GPU, and 72.8 of it are the engine's"


def test_the_least_money_then_the_fewest_gpus() -> None:
    found = ranked("llama-3.1-8b", gpus=4)
    best = found.candidates[0]
    assert (best.sharding.name, best.replicas) == ("TP1", 4)
    assert found.reasons[0] == "the least money per token"
    assert "no cheaper, with 2 GPUs in a replica, not 1" in found.reasons
    assert reason(found, "TP1", "fp8") == "its answers differ: it needs a checkpoint in fp8"


def test_a_price_that_is_not_known_is_no_price() -> None:
    found = ranked("llama-3.1-8b", L4, gpus=4)
    assert found.candidates[0].dollars_per_million is None
    assert found.reasons[0] == "the most tokens per GPU"
    both = ranked("llama-3.1-8b", L4, H100, gpus=2)
    assert both.candidates[0].device == H100
    assert "what l4 costs is not known: give --price" in both.reasons
    cheap = ranked("llama-3.1-8b", replace(L4, dollars_per_hour=0.1), H100, gpus=2)
    assert cheap.candidates[0].device.name == "l4"


def test_what_is_asked_decides_before_money_does() -> None:
    found = ranked("llama-3.1-8b", H100, gpus=2, demand=Demand(8192, 64, ttft_seconds=0.2))
    assert found.candidates[0].sharding.tensor == 2
    assert reason(found, "TP1").startswith("the first token is expected after ")
    slow = ranked("llama-3.1-8b", L4, gpus=1, demand=Demand(1024, 64, itl_seconds=0.02))
    assert not slow.chosen
    assert reason(slow, "TP1").endswith(" ms are expected between tokens, alone")


def test_replicas_follow_the_rate() -> None:
    one, many = (ranked("llama-3.1-8b", gpus=8, demand=Demand(1024, 256, rate=rate)) for rate in (1, 60))
    assert (one.candidates[0].replicas, one.candidates[0].gpus) == (1, 1)
    assert 1 < many.candidates[0].gpus < 8
    assert one.candidates[0].dollars_per_million == pytest.approx(4.916 / 3600 / 256 * 1e6), "a GPU that waits is paid"
    over = ranked("llama-3.1-8b", gpus=1, demand=Demand(1024, 256, rate=1000))
    assert not over.chosen
    assert reason(over, "TP1").startswith("1 GPUs answer ")


def test_a_model_that_fits_only_when_quantized() -> None:
    found = ranked("qwen2-72b", gpus=1)
    best = found.candidates[0]
    assert (best.precision, found.chosen) == ("int4", True)
    assert reason(found, "TP1", "fp8") == "$57.00 a million tokens, not $2.23", "it fits, with one request at a time"
    assert found.reasons[0].endswith("; as it is the model fits nowhere")
    assert reason(found, "TP1").startswith("weights take ")
    assert not ranked("qwen3-235b-a22b-fp8", gpus=1).chosen, "what is quantized already is not quantized again"


def test_nothing_that_cannot_be_cut_so_is_chosen() -> None:
    found = ranked("qwen2-7b")
    assert reason(found, "TP8") == "num_attention_heads, 28, is not a multiple of tensor, 8"
    assert reason(ranked("deepseek-v3", gpus=16), "TP16") == "tensor 16 is more than the 8 GPUs of a node"


def test_a_long_request_needs_room() -> None:
    found = ranked("llama-3.1-8b", L4, gpus=1, demand=Demand(60_000, 1000))
    assert "GiB are left for keys and values, which is " in reason(found, "TP1")
    assert reason(found, "TP1").endswith("tokens: not a request of 61,000 tokens")
    halved = ranked("llama-3.1-8b", L4, gpus=1, demand=Demand(60_000, 1000), cache_bits=8)
    assert halved.chosen, "with keys and values of 8 bits"


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(configs())),
    device=st.sampled_from(sorted(BUILT_IN.classes)),
    gpus=st.integers(1, 16),
    prompt=st.integers(1, 1500),
    rate=st.none() | st.floats(0.1, 100),
    engine=st.sampled_from(["vllm", "sglang"]),
)
def test_whatever_is_asked_the_best_is_no_worse_and_each_other_has_a_reason(
    name: str, device: str, gpus: int, prompt: int, rate: float | None, engine: Any
) -> None:
    demand = Demand(prompt, 100, rate)
    found = ranked(name, BUILT_IN.classes[device], gpus=gpus, demand=demand, engine=engine)
    best = found.candidates[0]
    assert found.chosen == any(each.problem is None for each in found.candidates)
    assert all(found.reasons)
    for each in found.candidates:
        assert each.gpus <= gpus
        assert each.problem is not None or each.fitting_requests >= 1
        assert each.parts is None or each.problem is not None or each.parts.free > 0
    for each in found.fallbacks:
        assert each.sharding.gpus <= best.sharding.gpus
        assert each.speed is not None
    assert best not in found.fallbacks
