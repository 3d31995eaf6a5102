"""What every unit test leaves behind: no open connection.

One whose other end has gone a moment ago would be noticed by a later test, whichever the garbage collector comes in.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

PATIENCE_SECONDS = 1.0


@pytest.fixture(autouse=True)
def _leaves_no_connection(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("connections_end")


@pytest_asyncio.fixture
async def connections_end() -> AsyncIterator[None]:
    """Torn down after all other fixtures of the test: what they closed has ended then, at both ends."""
    yield
    transports = getattr(asyncio.get_running_loop(), "_transports", {})  # of asyncio's own loop; uvloop warns of none
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The loop tells nobody that a transport has ended.
            while still := [each for each in transports.values() if each._sock is not None]:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    except TimeoutError:
        pytest.fail(f"the test leaves connections open: {still}")
