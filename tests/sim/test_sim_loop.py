"""Virtual time: it jumps, it never waits, and what would wait for ever is an error."""

import asyncio
import time

import pytest

from .loop import Deadlock, run


async def sleeps(seconds: float, log: list[float]) -> None:
    await asyncio.sleep(seconds)
    log.append(asyncio.get_running_loop().time())


def test_a_day_passes_at_once_and_in_order() -> None:
    log: list[float] = []

    async def main() -> None:
        await asyncio.gather(*(sleeps(seconds, log) for seconds in (86_400.0, 1.0, 3600.0)))

    begun = time.perf_counter()
    run(main())
    assert log == [1.0, 3600.0, 86_400.0]
    assert time.perf_counter() - begun < 5.0


def test_a_time_out_counts_virtual_seconds() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30.0):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run(main()) == 30.0


def test_what_nobody_will_wake_is_a_deadlock() -> None:
    async def main() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock):
        run(main())
