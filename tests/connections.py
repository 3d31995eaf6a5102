"""How a test knows that the connections of its loop have ended, at both ends.

One whose other end has gone a moment ago would be noticed by a later test, whichever the garbage collector comes in.
"""

import asyncio
import socket
from asyncio.selector_events import BaseSelectorEventLoop
from typing import Any

import pytest

PATIENCE_SECONDS = 1.0


async def accepted() -> None:
    """After a listener has closed: what it had begun to accept has a protocol that can be told to close."""
    for _ in range(3):
        await asyncio.sleep(0)


async def all_ended() -> None:
    """Wait for the last of them. Raises AssertionError naming those that stay."""
    await accepted()
    transports = getattr(asyncio.get_running_loop(), "_transports", {})  # of asyncio's own loop; uvloop warns of none
    still = []
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            # The loop tells nobody that a transport has ended.
            while still := [each for each in transports.values() if each._sock is not None]:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    except TimeoutError:
        raise AssertionError(f"connections are left open: {still}") from None


def close_latecomers(patch: pytest.MonkeyPatch) -> None:
    """A connection that is being accepted while its listener closes is closed too.

    asyncio drops it open (python/cpython#109564), so that its client waits and the collector warns, some time.
    """
    make = BaseSelectorEventLoop._make_socket_transport  # type: ignore[attr-defined]

    def make_unless_closed(
        loop: BaseSelectorEventLoop,
        connection: socket.socket,
        *rest: Any,
        server: asyncio.Server | None = None,
        **more: Any,
    ) -> asyncio.Transport:
        if server is not None and not server.sockets:
            connection.close()
            raise ConnectionAbortedError("the listener has closed meanwhile")
        made: asyncio.Transport = make(loop, connection, *rest, server=server, **more)
        return made

    patch.setattr(BaseSelectorEventLoop, "_make_socket_transport", make_unless_closed)
