"""The real gateway before a simulated engine: what clients get, and what the engine notices of one that leaves."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from slipway_gateway.routes import ServiceRecord
from slipway_gateway.routing import Address
from slipway_gateway.settings import Settings
from tests.unit.gateway.harness import CHAT, QUICK, Harness, post

from .served import QUICK as QUICK_ENGINE
from .served import Client, model_directory, serving, until

NAMES = ("--served-model-name", "chat", "team/chat")


@pytest.fixture
async def gateway() -> AsyncIterator[Harness]:
    harness = await Harness(Settings(**QUICK)).start()
    yield harness
    await harness.stop()


def announce(gateway: Harness, client: Client) -> None:
    """The service `team/chat` with this engine as its one replica."""
    assert client.port
    gateway.table.put_service(ServiceRecord(CHAT))
    gateway.table.put_slice((CHAT, "slice"), frozenset({Address("127.0.0.1", client.port)}))


def asked(**fields: Any) -> bytes:
    body = {"model": "chat", "prompt": "go on", "max_tokens": 5, **fields}
    return post(json.dumps(body).encode(), path="/v1/completions")


async def test_a_client_gets_the_engines_answer_whole_and_streamed(gateway: Harness, tmp_path: Path) -> None:
    async with serving("vllm", model_directory(tmp_path), *NAMES) as (_, client):
        announce(gateway, client)
        whole = await gateway.ask(asked())
        streamed = await gateway.ask(asked(stream=True))
    assert (whole.status, streamed.status) == (200, 200)
    events = [event.removeprefix(b"data: ") for event in streamed.body.split(b"\n\n")]
    assert events[-2:] == [b"[DONE]", b""]
    said = "".join(json.loads(event)["choices"][0]["text"] for event in events[:-2])
    assert said == json.loads(whole.body)["choices"][0]["text"]


async def test_a_client_that_leaves_the_gateway_leaves_the_engine(gateway: Harness, tmp_path: Path) -> None:
    slow = replace(QUICK_ENGINE, token_seconds=60)
    async with serving("vllm", model_directory(tmp_path), *NAMES, behaviour=slow) as (engine, client):
        announce(gateway, client)
        leaving = await gateway.client()
        await leaving.send(asked(stream=True))
        await until(lambda: len(engine.scheduler.running) == 1)
        leaving.abort()
        await until(lambda: not engine.scheduler.running)
