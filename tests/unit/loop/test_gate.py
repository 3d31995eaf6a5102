"""The gate before every write: the rate, the burst, and the lease that may end meanwhile."""

import asyncio

import pytest

from slipway.kube.errors import NotLeader
from slipway.reconcile.gate import Gate
from slipway.telemetry.metrics import Metrics

from .clock import virtually


def test_writes_begin_at_the_rate_after_the_burst_first_come_first_served() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(lambda: 10.0, rate=2.0, burst=3, metrics=Metrics())
        begun: list[tuple[int, float]] = []

        async def write(number: int) -> None:
            await gate.admit("apply", "services")
            begun.append((number, loop.time()))

        await asyncio.gather(*(write(number) for number in range(7)))
        assert begun == [(0, 0.0), (1, 0.0), (2, 0.0), (3, 0.5), (4, 1.0), (5, 1.5), (6, 2.0)]
        await asyncio.sleep(100.0)
        began = loop.time()
        await asyncio.gather(*(write(number) for number in range(3)))
        assert loop.time() == began, "the bucket is full again, and not fuller"
        await write(3)
        assert loop.time() == began + 0.5

    virtually(scenario())


def test_a_write_that_waited_past_the_lease_does_not_begin() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        metrics = Metrics()
        gate = Gate(lambda: max(0.0, 1.2 - loop.time()), rate=1.0, burst=1, metrics=metrics)
        assert await gate.admit("apply", "services") == pytest.approx(1.2), "and it must end with the lease"
        assert await gate.admit("apply", "services") == pytest.approx(0.2)
        with pytest.raises(NotLeader):
            await gate.admit("apply", "services")
        assert 'slipway_writes_total{operation="apply",resource="services"} 2.0' in metrics.exposition().decode()

    virtually(scenario())
