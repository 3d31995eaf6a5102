"""The test suite's own hygiene: no connection outlives its test."""

import asyncio
import contextlib
import socket

import pytest

from tests.connections import accepted, all_ended


@pytest.mark.parametrize("turns", range(4))
async def test_a_connection_accepted_while_the_listener_closes_is_closed(turns: int) -> None:
    """However far the loop has come with it."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        server.close()
        await accepted()
        client.settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


async def test_what_stays_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.connections.PATIENCE_SECONDS", 0.05)
    taken: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    server = await asyncio.start_server(lambda _, writer: taken.put_nowait(writer), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        writer = await taken.get()
        with pytest.raises(AssertionError, match="_SelectorSocketTransport"):
            await all_ended()
        writer.close()
    server.close()
