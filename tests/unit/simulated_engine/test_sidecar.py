"""The sidecar's own code beside a simulated engine, in both dialects: ready by a token, and out while it is wedged."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from slipway_engine import engine as questions
from slipway_engine.heartbeat import Settings
from slipway_engine.watch import Sidecar
from tests.e2e.gpu.engine.settings import Dialect

from .served import QUICK, Client, model_directory, serving, until

WATCHING = Settings(start_interval_seconds=0.01, interval_seconds=0.05, idle_interval_seconds=0.1, wedge_seconds=0.3)
DIALECTS: list[Dialect] = ["vllm", "sglang"]


@contextlib.asynccontextmanager
async def watched(client: Client) -> AsyncIterator[Sidecar]:
    async with questions.session() as http:
        url = str(client.make_url("/"))
        sidecar = Sidecar(questions.Engine(http, url=url, model="demo", timeout_seconds=0.05), WATCHING)
        task = asyncio.create_task(sidecar.run())
        yield sidecar
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def becomes(sidecar: Sidecar, phase: str) -> None:
    await until(lambda: sidecar.state.phase == phase)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_it_is_ready_by_a_token_and_out_while_wedged(dialect: Dialect, tmp_path: Path) -> None:
    async with serving(dialect, model_directory(tmp_path)) as (engine, client), watched(client) as sidecar:
        await becomes(sidecar, "ready")
        engine.become(replace(QUICK, wedged=True))
        await becomes(sidecar, "silent")
        engine.become(QUICK)
        await becomes(sidecar, "ready")


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_long_prompt_is_no_wedge(dialect: Dialect, tmp_path: Path) -> None:
    """Its prefill takes ten times as long as a token may be owed, and nothing else runs."""
    async with serving(dialect, model_directory(tmp_path)) as (engine, client), watched(client) as sidecar:
        await becomes(sidecar, "ready")
        engine.become(replace(QUICK, ttft_seconds=10 * WATCHING.wedge_seconds))
        phases: set[str] = set()
        body = {"model": "demo", "prompt": " ".join(map(str, range(200))), "max_tokens": 1}
        asked = asyncio.create_task(client.post("/v1/completions", json=body))
        while not asked.done():
            phases.add(sidecar.state.phase)
            await asyncio.sleep(0.01)
        assert (await asked).status == 200
        assert phases == {"ready"}


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_a_busy_engine_is_alive_by_its_counters_alone(dialect: Dialect, tmp_path: Path) -> None:
    """Both slots are taken for ten seconds, so that the sidecar's own question would wait in the queue."""
    async with serving(dialect, model_directory(tmp_path)) as (engine, client), watched(client) as sidecar:
        await becomes(sidecar, "ready")
        engine.become(replace(QUICK, token_seconds=0.05))
        body = {"model": "demo", "prompt": "go on", "max_tokens": 200, "ignore_eos": True}
        load = [asyncio.create_task(client.post("/v1/completions", json=body)) for _ in range(4)]
        await until(lambda: len(engine.scheduler.waiting) >= 2)
        before = sidecar.state.last_token_at or 0.0
        await until(lambda: (sidecar.state.last_token_at or 0.0) > before)
        assert len(engine.scheduler.waiting) >= 2
        for task in load:
            task.cancel()
        await asyncio.gather(*load, return_exceptions=True)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_an_engine_that_is_told_to_fail_is_failing(dialect: Dialect, tmp_path: Path) -> None:
    async with serving(dialect, model_directory(tmp_path)) as (engine, client), watched(client) as sidecar:
        await becomes(sidecar, "ready")
        engine.become(replace(QUICK, status=500))
        await becomes(sidecar, "failing")
        assert "was told to answer 500" in sidecar.state.detail
