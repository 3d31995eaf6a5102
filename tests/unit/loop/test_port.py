"""The operator's ports: what a stranger may hold of them, and that who asks seldom always gets through."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from aiohttp import web
from aiohttp.test_utils import unused_port

from slipway.reconcile import progress_server
from slipway.reconcile.progress_server import BODY_BYTES, TOKEN_BYTES
from slipway.telemetry import health
from slipway.telemetry.metrics import Metrics
from slipway.telemetry.port import Limits, serve

GENEROUS = Limits(connections=100, per_address=100, seconds=60.0)
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
NO_END = b"POST /v1/progress HTTP/1.1\r\nHost: x\r\n"


class Caller:
    """One connection, which sends what it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def says(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def hears(self) -> bytes:
        """All until the other end closes or breaks off, which is the empty answer."""
        try:
            return await asyncio.wait_for(self._reader.read(), 10.0)
        except ConnectionResetError:
            return b""

    async def answers(self) -> str:
        """The status line for a request that is as it should be."""
        await self.says(REQUEST)
        return (await self.hears()).partition(b"\r\n")[0].decode()

    def close(self) -> None:
        self._writer.close()


class Strangers:
    """Callers from addresses of their own."""

    def __init__(self, port: int) -> None:
        self._port, self._callers = port, list[Caller]()

    async def call(self, address: str = "127.0.0.1") -> Caller:
        ends = await asyncio.open_connection("127.0.0.1", self._port, local_addr=(address, 0))
        self._callers.append(Caller(*ends))
        return self._callers[-1]

    def close(self) -> None:
        for caller in self._callers:
            caller.close()


@asynccontextmanager
async def strangers(limits: Limits, application: web.Application | None = None) -> AsyncIterator[Strangers]:
    number = unused_port()
    port = await serve(application or health.health_application(Metrics(), list), number, limits)
    made = Strangers(number)
    try:
        yield made
    finally:
        made.close()
        await port.cleanup()


async def test_a_connection_is_for_one_request() -> None:
    async with strangers(GENEROUS) as all_of_them:
        caller = await all_of_them.call()
        await caller.says(REQUEST)
        answer = await caller.hears()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert b"Connection: close" in answer


async def test_headers_that_do_not_end_in_time_end_the_connection() -> None:
    async with strangers(replace(GENEROUS, seconds=0.05)) as all_of_them:
        slow, silent = await all_of_them.call(), await all_of_them.call()
        await slow.says(NO_END)
        assert await slow.hears() == b""
        assert await silent.hears() == b""


async def test_more_bytes_than_a_request_has_end_the_connection() -> None:
    async with strangers(GENEROUS) as all_of_them:
        caller = await all_of_them.call()
        await caller.says(NO_END + b"".join(b"a%d: %s\r\n" % (n, b"x" * 4000) for n in range(5)))
        assert await caller.hears() == b""


async def test_one_address_too_many_loses_its_oldest() -> None:
    async with strangers(replace(GENEROUS, per_address=2)) as all_of_them:
        first, second, other = [await all_of_them.call(a) for a in ("127.0.0.2", "127.0.0.2", "127.0.0.3")]
        third = await all_of_them.call("127.0.0.2")
        assert await first.hears() == b""
        for each in (second, other, third):
            assert await each.answers() == "HTTP/1.1 200 OK"


async def test_a_full_port_takes_in_who_comes_and_drops_the_oldest_of_who_has_most() -> None:
    async with strangers(replace(GENEROUS, connections=3)) as all_of_them:
        lone, first, second = [await all_of_them.call(a) for a in ("127.0.0.2", "127.0.0.3", "127.0.0.3")]
        kubelet = await all_of_them.call("127.0.0.4")
        assert await first.hears() == b""
        for each in (kubelet, lone, second):
            assert await each.answers() == "HTTP/1.1 200 OK"


async def test_who_has_gone_does_not_count() -> None:
    async with strangers(replace(GENEROUS, per_address=1)) as all_of_them:
        for _ in range(3):
            assert await (await all_of_them.call()).answers() == "HTTP/1.1 200 OK"


async def test_the_largest_report_with_the_largest_token_is_let_through() -> None:
    server = progress_server.ProgressServer(None, None, None, Metrics(), leading=lambda: False)  # type: ignore[arg-type]
    head = f"POST /v1/progress HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {'t' * TOKEN_BYTES}\r\n"
    async with strangers(progress_server.LIMITS, server.application()) as all_of_them:
        caller = await all_of_them.call()
        await caller.says(f"{head}Content-Length: {BODY_BYTES}\r\n\r\n{' ' * BODY_BYTES}".encode())
        assert (await caller.hears()).startswith(b"HTTP/1.1 503"), "this replica does not lead"
