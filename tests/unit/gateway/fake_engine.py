"""A stand-in for an engine: an HTTP/1.1 server that reads requests with h11 (strict: what it accepts is well formed)
and answers by script, byte for byte. It generates nothing.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import cast

import h11

from tests.connections import accepted


@dataclass
class Seen:
    """A request as the engine got it."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None


@dataclass
class Call:
    """One request being answered: `send` raw bytes, `close`, or `abort` with a reset."""

    seen: Seen
    writer: asyncio.StreamWriter
    reader: asyncio.StreamReader

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def abort(self) -> None:
        cast(asyncio.Transport, self.writer.transport).abort()


Behaviour = Callable[[Call], Awaitable[None]]


def response(
    body: bytes, *, status: str = "200 OK", headers: Iterable[str] = ("content-type: application/json",)
) -> bytes:
    lines = [f"HTTP/1.1 {status}", *headers, f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


SSE_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"


def raw(*pieces: bytes, then: str = "keep") -> Behaviour:
    """Sends the pieces one by one; then `keep`s the connection, `close`s it, or `abort`s it."""

    async def behave(call: Call) -> None:
        for piece in pieces:
            await call.send(piece)
        if then == "close":
            call.writer.close()
        elif then == "abort":
            call.abort()

    return behave


async def describe(call: Call) -> None:
    """The default: says back what came."""
    body = json.dumps({"object": "chat.completion", "bytes": len(call.seen.body), "target": call.seen.target})
    await call.send(response(body.encode()))


@dataclass
class FakeEngine:
    script: deque[Behaviour] = field(default_factory=deque)
    default: Behaviour = describe
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)  # set whenever the gateway closes a connection
    arrived: asyncio.Event = field(default_factory=asyncio.Event)  # set whenever a request has come
    port: int = 0
    _server: asyncio.Server | None = None
    _tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = field(default_factory=dict)

    async def start(self) -> "FakeEngine":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        await accepted()
        for task, writer in tuple(self._tasks.items()):
            task.cancel()
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A task that is cancelled before its first step closes nothing, so the writer is kept beside it."""
        self.connections += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks[task] = writer
        task.add_done_callback(self._tasks.pop)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._requests(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.closed.set()
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        rest = b""
        while not writer.is_closing():
            parser = h11.Connection(h11.SERVER)
            if rest:
                parser.receive_data(rest)
            seen = await _read(parser, reader)
            if seen is None:
                return
            rest = bytes(parser.trailing_data[0])
            self.seen.append(seen)
            self.arrived.set()
            behaviour = self.script.popleft() if self.script else self.default
            await behaviour(Call(seen, writer, reader))


async def _read(parser: h11.Connection, reader: asyncio.StreamReader) -> Seen | None:
    head: h11.Request | None = None
    body = b""
    while True:
        event = parser.next_event()
        if event is h11.NEED_DATA:
            data = await reader.read(65536)
            if not data and head is None:
                return None
            parser.receive_data(data)
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            headers = [(name.decode(), value.decode("latin-1")) for name, value in head.headers]
            return Seen(head.method.decode(), head.target.decode(), headers, body)
        else:
            return None
