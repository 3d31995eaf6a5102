"""A port of the operator's, and how much of it anybody may have: connections, bytes and seconds.

Pods of anybody reach these ports, and what aiohttp would keep for them (headers without end, connections that say
nothing) would be the operator's memory. So a connection is for one short request, and ends soon whatever it does. The
newest always gets in, in place of the oldest of whoever has most: a kubelet's probe that is answered in a
millisecond is not kept out by those who hold on.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

SHUTDOWN_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Limits:
    """`connections` in all, `per_address` of them from one; what one may send and how long it lives."""

    connections: int
    per_address: int
    request_bytes: int = 16_384  # a token and a report have 4,096 each
    seconds: float = 15.0  # the API server has ten to say whose a token is


class Port:
    """Listens, until `cleanup`."""

    def __init__(self, runner: web.AppRunner, listener: asyncio.Server) -> None:
        self._runner, self._listener = runner, listener

    async def cleanup(self) -> None:
        self._listener.close()
        await self._runner.cleanup()


async def serve(application: web.Application, port: int, limits: Limits) -> Port:
    """Listen on all addresses. Raises OSError when the port is taken."""
    application.on_response_prepare.append(_last)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS)
    await runner.setup()
    door = Door(limits, cast(Callable[[], asyncio.Protocol], runner.server))
    return Port(runner, await asyncio.get_running_loop().create_server(door.open, None, port))


async def _last(_: web.Request, response: web.StreamResponse) -> None:
    response.force_close()
    response.headers["Connection"] = "close"  # aiohttp has written its own by now


class Door:
    """The connections of one port, by address, oldest first."""

    def __init__(self, limits: Limits, handler: Callable[[], asyncio.Protocol]) -> None:
        self.limits, self._handler = limits, handler
        self._inside: dict[str, dict[Connection, None]] = {}

    def open(self) -> "Connection":
        return Connection(self, self._handler())

    def enter(self, connection: "Connection") -> None:
        """It is let in; another goes where that is one too many."""
        own = self._inside.setdefault(connection.address, {})
        own[connection] = None
        if len(own) > self.limits.per_address:
            self._drop_oldest(own)
        elif sum(map(len, self._inside.values())) > self.limits.connections:
            self._drop_oldest(max(self._inside.values(), key=len))

    def leave(self, connection: "Connection") -> None:
        own = self._inside.get(connection.address, {})
        own.pop(connection, None)
        if not own:
            self._inside.pop(connection.address, None)

    def _drop_oldest(self, connections: dict["Connection", None]) -> None:
        oldest = next(iter(connections))
        self.leave(oldest)
        oldest.drop()


class Connection(asyncio.Protocol):
    """aiohttp's protocol behind the limits; all that asyncio tells goes on to it."""

    def __init__(self, door: Door, handler: asyncio.Protocol) -> None:
        self._door, self._handler = door, handler
        self._bytes_left = door.limits.request_bytes
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self.address = str((transport.get_extra_info("peername") or [""])[0])
        self._end = asyncio.get_running_loop().call_later(self._door.limits.seconds, self.drop)
        self._handler.connection_made(transport)
        self._door.enter(self)

    def drop(self) -> None:
        """At once: what it was to be told is not sent any more."""
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            self.drop()
        else:
            self._handler.data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._end.cancel()
        self._door.leave(self)
        self._handler.connection_lost(error)

    def eof_received(self) -> bool | None:
        return self._handler.eof_received()

    def pause_writing(self) -> None:
        self._handler.pause_writing()

    def resume_writing(self) -> None:
        self._handler.resume_writing()
