"""The simulated engine's HTTP over a real connection: OpenAI's answers, errors, metrics, faults."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gpu.engine import api
from tests.e2e.gpu.engine.settings import Dialect

from .served import QUICK, Client, model_directory, samples, serving, until

# Those of the real engines' /metrics or sources that Slipway and KEDA's queries may read.
VLLM_NAMES = {
    "num_requests_running",
    "num_requests_waiting",
    "kv_cache_usage_perc",
    "prompt_tokens_total",
    "generation_tokens_total",
    "request_success_total",
    "prefix_cache_queries_total",
    "prefix_cache_hits_total",
    "iteration_tokens_total",
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "e2e_request_latency_seconds",
    "request_queue_time_seconds",
}
SGLANG_NAMES = {
    "num_running_reqs",
    "num_queue_reqs",
    "token_usage",
    "num_used_tokens",
    "cache_hit_rate",
    "max_total_num_tokens",
    "realtime_tokens_total",
    "prompt_tokens_total",
    "generation_tokens_total",
    "num_requests_total",
    "time_to_first_token_seconds",
    "inter_token_latency_seconds",
    "e2e_request_latency_seconds",
    "queue_time_seconds",
}
ASKED = {"prompt": "tell me a story", "max_tokens": 5}
DIALECTS: list[Dialect] = ["vllm", "sglang"]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return model_directory(tmp_path)


async def post(client: Client, path: str, body: object, *, status: int = 200) -> Any:
    async with client.post(path, json=body) as response:
        assert response.status == status, await response.text()
        return await response.json()


async def streamed(client: Client, path: str, body: Mapping[str, object]) -> list[Any]:
    """The events of a stream, which ends with [DONE]."""
    async with client.post(path, json={**body, "stream": True}) as response:
        assert response.headers["Content-Type"].startswith("text/event-stream")
        events = (await response.text()).split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]


def joined(events: list[Any], index: int) -> str:
    choices = [choice for event in events for choice in event["choices"] if choice["index"] == index]
    return "".join(choice["text"] if "text" in choice else choice["delta"]["content"] for choice in choices)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_stream_has_the_words_of_the_whole_answer(dialect: Dialect, model: Path) -> None:
    asked = {**ASKED, "model": "demo", "n": 2}
    async with serving(dialect, model) as (_, client):
        whole = await post(client, "/v1/completions", asked)
        events = await streamed(client, "/v1/completions", {**asked, "stream_options": {"include_usage": True}})
    assert [joined(events, index) for index in (0, 1)] == [choice["text"] for choice in whole["choices"]]
    assert whole["choices"][0]["text"] != whole["choices"][1]["text"]
    assert len(whole["choices"][0]["text"].split()) == 5
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == whole["usage"] == {"prompt_tokens": 4, "completion_tokens": 10, "total_tokens": 14}
    assert {choice["finish_reason"] for choice in whole["choices"]} == {"length"}


async def test_a_chat_likewise_and_it_goes_on_to_its_own_end(model: Path) -> None:
    asked = {"model": "ns.demo", "messages": [{"role": "user", "content": [{"type": "text", "text": "hello there"}]}]}
    async with serving("vllm", model) as (_, client):
        whole = await post(client, "/v1/chat/completions", asked)
        events = await streamed(client, "/v1/chat/completions", asked)
    (choice,) = whole["choices"]
    assert choice["message"] == {"role": "assistant", "content": joined(events, 0)}
    assert choice["finish_reason"] == events[-1]["choices"][0]["finish_reason"] == "stop"
    assert whole["usage"]["prompt_tokens"] == 3
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert (whole["object"], events[0]["object"]) == ("chat.completion", "chat.completion.chunk")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({**ASKED, "model": "other"}, 404, "The model `other` does not exist."),
        ({"model": "demo"}, 400, "prompt must be a text"),
        ({**ASKED, "max_tokens": 0}, 400, "max_tokens must be at least 1, got 0"),
        ({**ASKED, "n": "two"}, 400, 'n: "two" is of the wrong type'),
        ({**ASKED, "max_tokens": 300}, 400, "maximum context length is 256 tokens"),
        ([], 400, "The body is no JSON object"),
    ],
)
async def test_an_error_has_openais_form(body: object, status: int, said: str, model: Path) -> None:
    async with serving("vllm", model) as (engine, client):
        answer = await post(client, "/v1/completions", body, status=status)
        assert answer["error"]["code"] == status
        assert said in answer["error"]["message"]
        assert not engine.scheduler.running


async def test_a_body_that_is_no_json_is_refused(model: Path) -> None:
    async with serving("vllm", model) as (_, client), client.post("/v1/chat/completions", data=b"{") as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "BadRequestError"


async def test_sglang_answers_under_any_name_and_has_errors_of_its_own_form(model: Path) -> None:
    async with serving("sglang", model) as (_, client):
        assert (await post(client, "/v1/completions", {**ASKED, "model": "ns/demo"}))["model"] == "ns/demo"
        answer = await post(client, "/v1/completions", {}, status=400)
        assert (answer["object"], answer["code"]) == ("error", 400)


async def test_models_and_adapters_are_listed_and_an_adapter_says_something_else(model: Path, tmp_path: Path) -> None:
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text("{}")
    async with serving("vllm", model, "--lora-modules", f"tuned={adapter}") as (_, client):
        async with client.get("/v1/models") as response:
            cards = (await response.json())["data"]
        assert [(card["id"], card["parent"]) for card in cards] == [
            ("demo", None),
            ("ns.demo", None),
            ("tuned", "demo"),
        ]
        said = {
            name: (await post(client, "/v1/completions", {**ASKED, "model": name}))["choices"][0]["text"]
            for name in ("demo", "ns.demo", "tuned")
        }
    assert said["demo"] == said["ns.demo"] != said["tuned"]


async def queued(client: Client, running: str, waiting: str, expected: tuple[int, int]) -> None:
    for _ in range(500):
        found = await samples(client)
        if (found[running], found[waiting]) == expected:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{found[running]} running, {found[waiting]} waiting")


@pytest.mark.parametrize(
    ("dialect", "running", "waiting"),
    [
        ("vllm", "vllm:num_requests_running", "vllm:num_requests_waiting"),
        ("sglang", "sglang:num_running_reqs", "sglang:num_queue_reqs"),
    ],
)
async def test_more_requests_than_slots_wait_and_who_leaves_makes_room(
    dialect: Dialect, running: str, waiting: str, model: Path
) -> None:
    slow = replace(QUICK, token_seconds=60.0)
    async with serving(dialect, model, behaviour=slow) as (_, client):
        asked = [asyncio.create_task(post(client, "/v1/completions", ASKED)) for _ in range(5)]
        await queued(client, running, waiting, (2, 3))
        for task in asked[:4]:
            task.cancel()
        await asyncio.gather(*asked[:4], return_exceptions=True)
        await queued(client, running, waiting, (1, 0))
        asked[4].cancel()
        await asyncio.gather(asked[4], return_exceptions=True)
        await queued(client, running, waiting, (0, 0))


@pytest.mark.parametrize(("dialect", "names"), [("vllm", VLLM_NAMES), ("sglang", SGLANG_NAMES)])
async def test_metrics_have_the_engines_names_and_count_what_was_said(
    dialect: Dialect, names: set[str], model: Path
) -> None:
    async with serving(dialect, model) as (_, client):
        before = await samples(client)
        await post(client, "/v1/completions", ASKED)
        after = await samples(client)
    suffixes = ("_bucket", "_count", "_sum", "_created")
    plain = {name.removesuffix(next((s for s in suffixes if name.endswith(s)), "")) for name in after}
    of_counters = {name.removesuffix("_total") for name in names}
    assert {name.removeprefix(f"{dialect}:") for name in plain} <= names | of_counters
    prefix = f"{dialect}:"
    assert after[f"{prefix}generation_tokens_total"] == 5
    assert after[f"{prefix}prompt_tokens_total"] == 4
    assert after[f"{prefix}time_to_first_token_seconds_count"] == 1
    assert after[f"{prefix}inter_token_latency_seconds_count"] == 4
    assert (f"{prefix}generation_tokens_total" in before) == (dialect == "vllm")


async def test_a_wedged_engine_answers_nobody_and_its_metrics_and_health_stay(model: Path) -> None:
    async with serving("vllm", model) as (engine, client):
        before = await samples(client)
        assert (await post(client, "/simulate", {"wedged": True}))["wedged"]
        asked = asyncio.create_task(post(client, "/v1/completions", ASKED))
        await until(lambda: len(engine.scheduler.waiting) == 1)
        assert await samples(client) == before
        async with client.get("/health") as response:
            assert response.status == 200
        await post(client, "/simulate", {"wedged": False})
        assert (await asked)["usage"]["completion_tokens"] == 5


async def test_faults_while_it_runs(model: Path) -> None:
    async with serving("vllm", model) as (engine, client):
        await post(client, "/simulate", {"status": 502})
        answer = await post(client, "/v1/completions", ASKED, status=502)
        assert "was told to answer 502" in answer["error"]["message"]
        answer = await post(client, "/simulate", {"weged": True}, status=400)
        assert "unknown: weged" in answer["error"]["message"]
        assert engine.behaviour == replace(QUICK, status=502)
        await post(client, "/simulate", {"status": 0})
        await post(client, "/v1/completions", ASKED)


@pytest.mark.parametrize("path", ["/health", "/health_generate", "/ready"])
async def test_sglangs_health_is_503_while_it_starts_or_drains_or_is_wedged(
    path: str, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "SGLANG_HEALTH_SECONDS", 0.001)
    async with serving("sglang", model) as (engine, client):
        for state, status in (("starting", 503), ("ready", 200), ("draining", 503)):
            engine.state = state  # type: ignore[assignment]
            async with client.get(path) as response:
                assert response.status == status
        engine.state = "ready"
        engine.become(replace(QUICK, wedged=True))
        async with client.get(path) as response:
            assert response.status == (200 if path == "/ready" else 503)
        engine.state = "starting"
        assert (await post(client, "/v1/completions", ASKED, status=503))["code"] == 503


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_drain_ends_with_the_last_request_or_at_its_deadline(dialect: Dialect, model: Path) -> None:
    """vLLM aborts what comes meanwhile, SGLang takes it."""
    async with serving(dialect, model) as (engine, client):
        engine.become(replace(QUICK, wedged=True))
        asked = asyncio.create_task(post(client, "/v1/completions", ASKED))
        await until(lambda: len(engine.scheduler.waiting) == 1)
        deadline = replace(engine.settings, drain_seconds=60 if dialect == "vllm" else None)
        engine.settings = deadline
        drain = asyncio.create_task(engine.drain())
        await until(lambda: engine.state == "draining")
        late = asyncio.create_task(post(client, "/v1/completions", {**ASKED, "max_tokens": 2}))
        await until(lambda: late.done() or len(engine.scheduler.waiting) == 2)
        assert not drain.done()
        engine.become(QUICK)
        assert finish_of(await asked) == ("length", 5)
        assert finish_of(await late) == (("abort", 0) if dialect == "vllm" else ("length", 2))
        await asyncio.wait_for(drain, 10)


async def test_a_drain_without_time_aborts_at_once(model: Path) -> None:
    async with serving("vllm", model, behaviour=replace(QUICK, token_seconds=60)) as (engine, client):
        asked = [asyncio.create_task(post(client, "/v1/completions", ASKED)) for _ in range(3)]
        await until(lambda: len(engine.scheduler.waiting) == 1 and engine.scheduler.running[1].produced == 1)
        await engine.drain()
        ends = sorted([finish_of(await one) for one in asked])
        assert ends == [("abort", 0), ("abort", 1), ("abort", 1)]
        assert not engine.scheduler.running


def finish_of(answer: Any) -> tuple[str, int]:
    (choice,) = answer["choices"]
    return choice["finish_reason"], answer["usage"]["completion_tokens"]
