"""What every unit test leaves behind: no open connection (connections.py). A test that runs a loop of its own looks
itself.
"""

import inspect
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.connections import all_ended


@pytest.fixture(autouse=True)
def _leaves_no_connection(request: pytest.FixtureRequest) -> None:
    if inspect.iscoroutinefunction(getattr(request, "function", None)):
        request.getfixturevalue("connections_end")


@pytest_asyncio.fixture
async def connections_end() -> AsyncIterator[None]:
    """Torn down after all other fixtures of the test: what they closed has ended then."""
    yield
    await all_ended()
