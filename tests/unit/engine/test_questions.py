"""What the sidecar makes of an engine's answers, from a stand-in engine over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from slipway_engine import exposition
from slipway_engine.engine import Engine, error_message, session, token
from slipway_engine.heartbeat import Reading, Refused, Token, Unanswered, Unreachable, Unreadable

from .stand_in import TOKEN, EngineStandIn, free_port, vllm_metrics

TIMEOUT_SECONDS = 0.2


@pytest.fixture
async def stand_in() -> AsyncIterator[EngineStandIn]:
    engine = EngineStandIn()
    await engine.start()
    yield engine
    await engine.stop()


@pytest.fixture
async def engine(stand_in: EngineStandIn) -> AsyncIterator[Engine]:
    async with session() as http:
        yield Engine(http, url=stand_in.url + "/", model="ns/demo", timeout_seconds=TIMEOUT_SECONDS)


async def test_a_probe_asks_for_one_token_of_the_served_model(engine: Engine, stand_in: EngineStandIn) -> None:
    assert await engine.probe() == Token()
    assert stand_in.asked == [{"model": "ns/demo", "prompt": "Hello", "max_tokens": 1, "temperature": 0}]


@pytest.mark.parametrize(
    ("status", "answer", "detail"),
    [
        (500, {"error": {"message": "EngineDeadError"}}, "the engine answers 500: EngineDeadError"),
        (404, {"error": {"message": "no such\n model"}}, "the engine answers 404: no such model"),
        (503, "loading", "the engine answers 503: loading"),
        (200, "<html>", "the engine's answer is no completion: <html>"),
        (200, [], "the engine's answer is no completion: []"),
        (200, {}, "the engine's answer is no completion: {}"),
        (200, {"choices": []}, "the engine completed the prompt without a token"),
        (200, TOKEN | {"usage": {"completion_tokens": 0}}, "the engine completed the prompt without a token"),
    ],
    ids=str,
)
async def test_whatever_is_not_a_token_is_refused(
    engine: Engine, stand_in: EngineStandIn, status: int, answer: Any, detail: str
) -> None:
    stand_in.status, stand_in.completion = status, answer
    assert await engine.probe() == Refused(detail)


def test_a_token_that_ends_the_text_counts_although_it_has_none() -> None:
    assert token(200, '{"choices": [{"text": ""}], "usage": {"completion_tokens": 1}}') == Token()


def test_an_engine_without_usage_is_believed_for_its_choice() -> None:
    assert token(200, '{"choices": [{"text": "x"}]}') == Token()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"error": {"message": "m"}}', "m"),
        ('{"message": "m"}', "m"),
        ('{"error": "m"}', '{"error": "m"}'),
        ("[1]", "[1]"),
        ("", ""),
        ("x" * 500, "x" * 200),
    ],
)
def test_error_messages_are_found_and_bounded(text: str, message: str) -> None:
    assert error_message(text) == message


async def test_a_hanging_engine_is_unanswered_and_the_question_is_taken_back(
    engine: Engine, stand_in: EngineStandIn
) -> None:
    stand_in.hang = True
    assert await engine.probe() == Unanswered()
    await asyncio.wait_for(stand_in.dropped.wait(), 5)
    assert await engine.look() == Unanswered()


async def test_nobody_listening_is_unreachable_in_plain_words() -> None:
    async with session() as http:
        engine = Engine(http, url=f"http://127.0.0.1:{free_port()}", model="m", timeout_seconds=TIMEOUT_SECONDS)
        assert await engine.probe() == Unreachable("connection refused")
        assert await engine.look() == Unreachable("connection refused")


async def test_an_engine_that_hangs_up_is_unreachable() -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, session() as http:
        engine = Engine(http, url=f"http://127.0.0.1:{port}", model="m", timeout_seconds=5)
        assert isinstance(await engine.look(), Unreachable)


async def test_a_look_sums_the_counters(engine: Engine, stand_in: EngineStandIn) -> None:
    stand_in.metrics = vllm_metrics(running=3, waiting=4, prompt=100, generated=10, stepped=110)
    assert await engine.look() == Reading(tokens=220, requests=7)


async def test_each_look_opens_its_own_connection(engine: Engine, stand_in: EngineStandIn) -> None:
    """A kept connection that the engine closed between two looks would look like an engine that died."""
    await engine.look()
    await stand_in.stop()
    await stand_in.start()
    assert isinstance(await engine.look(), Reading)


async def test_counters_that_cannot_be_read_are_said_so(engine: Engine, stand_in: EngineStandIn) -> None:
    stand_in.metrics = "{{{ not an exposition"
    assert isinstance(answer := await engine.look(), Unreadable)
    assert answer.detail.startswith("the engine's /metrics cannot be read: ")
    stand_in.metrics_status = 404
    assert await engine.look() == Unreadable("the engine answers 404 to GET /metrics")


def test_counters_that_do_not_exist_yet_are_zero() -> None:
    assert exposition.read("") == Reading(tokens=0, requests=0)


def test_a_step_without_a_generated_token_moves_the_counters() -> None:
    """A long prompt is worked on for many steps."""
    first, second = (exposition.read(vllm_metrics(running=1, stepped=stepped)) for stepped in (2048, 4096))
    assert second.tokens > first.tokens


def test_sglang_counters_are_summed_over_ranks() -> None:
    text = """\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="m",tp_rank="0"} 9.0
# TYPE sglang:num_queue_reqs gauge
sglang:num_queue_reqs{model_name="m",tp_rank="0"} 7.0
# TYPE sglang:generation_tokens_total counter
sglang:generation_tokens_total{model_name="m",tp_rank="0"} 20.0
sglang:generation_tokens_total{model_name="m",tp_rank="1"} 2.0
# TYPE sglang:prompt_tokens_total counter
sglang:prompt_tokens_total{model_name="m",tp_rank="0"} 300.0
"""
    assert exposition.read(text) == Reading(tokens=322, requests=16)


@pytest.mark.parametrize("name", ["vllm:kv_cache_usage_perc", "sglang:token_usage"])
def test_how_full_the_kv_cache_is(name: str) -> None:
    text = f'# TYPE {name} gauge\n{name}{{model_name="m"}} 0.25\n'
    assert exposition.read(text) == Reading(tokens=0, requests=0, kv_usage=0.25)


@pytest.mark.parametrize("name", ["time_to_first_token_seconds", "inter_token_latency_seconds"])
def test_sglang_tokens_of_streams_are_counted_as_they_come(name: str) -> None:
    """Its other counters of tokens move with every 40th step, or when a request has ended."""
    text = f"# TYPE sglang:{name} histogram\nsglang:{name}_count 3\nsglang:{name}_sum 0.5\n"
    assert exposition.read(text).tokens == 3
