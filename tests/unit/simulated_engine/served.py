"""A simulated engine in this process, on a loopback port, with latencies of milliseconds."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from tests.e2e.gpu.engine import settings
from tests.e2e.gpu.engine.api import application
from tests.e2e.gpu.engine.behaviour import Behaviour
from tests.e2e.gpu.engine.engine import Engine
from tests.e2e.gpu.engine.settings import Dialect

QUICK = Behaviour(ttft_seconds=0.002, token_seconds=0.001)
Client = TestClient[Any, Any]


def model_directory(at: Path) -> Path:
    at.mkdir(parents=True, exist_ok=True)
    (at / "config.json").write_text(json.dumps({"max_position_embeddings": 256}))
    return at


def command_line(dialect: Dialect, model: Path, *more: str) -> list[str]:
    """As Slipway renders it for a service `demo`, with two slots."""
    if dialect == "vllm":
        return [str(model), "--served-model-name", "demo", "ns.demo", "--max-num-seqs=2", *more]
    fixed = ["--served-model-name", "demo", "--enable-metrics", "--max-running-requests=2"]
    return ["--model-path", str(model), *fixed, *more]


@asynccontextmanager
async def serving(
    dialect: Dialect, model: Path, *more: str, behaviour: Behaviour = QUICK
) -> AsyncIterator[tuple[Engine, Client]]:
    """A ready engine; `more` are flags."""
    engine = Engine(settings.read(dialect, command_line(dialect, model, *more)), behaviour, crash=lambda: None)
    engine.state = "ready"
    async with TestClient(TestServer(application(engine), handler_cancellation=True)) as client:
        running = asyncio.create_task(engine.run())
        yield engine, client
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def until(holds: Callable[[], bool]) -> None:
    """Fails after about ten seconds."""
    for _ in range(1000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{holds} never held")


async def samples(client: Client) -> dict[str, float]:
    """The engine's metrics by name, summed over labels."""
    found: dict[str, float] = {}
    async with client.get("/metrics") as response:
        text = await response.text()
    for line in text.splitlines():
        if not line.startswith("#"):
            series, _, value = line.rpartition(" ")
            name = series.partition("{")[0]
            found[name] = found.get(name, 0) + float(value)
    return found
