import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import uvloop

from slipway_gateway.settings import Settings

from .harness import QUICK, Harness, Start


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """uvloop is what runs; the standard loop keeps us from relying on its oddities."""
    return {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


@pytest_asyncio.fixture
async def start() -> AsyncIterator[Start]:
    running: list[Harness] = []

    async def begin(**settings: Any) -> Harness:
        running.append(await Harness(dataclasses.replace(Settings(**QUICK), **settings)).start())
        return running[-1]

    yield begin
    for harness in running:
        await harness.stop()
