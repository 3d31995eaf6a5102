"""Connections to replicas: kept alive, pooled per replica, one response at a time.

A response is read here and handed on in pieces as it comes; nothing of a body is kept. Only what is certain is
reused: a connection goes back to its pool after a response with a length of its own, with nothing after it and all of
the request sent.
"""

import asyncio
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import httptools

from .head import Headers, values
from .routes import Replica
from .sockets import tune_transport

if TYPE_CHECKING:
    from .gateway import Gateway

RESPONSE_HEAD_MAX_BYTES = 64 * 1024
COPIED_BYTES = 64 * 1024  # a smaller body goes out with its head in one piece; a copy of a larger one costs too much


class ResponseHead(NamedTuple):
    """`sized` is False where only chunks or the end of the connection tell where the body ends."""

    status: int
    headers: Headers
    sized: bool


class Failure(NamedTuple):
    """Why no whole response came. `untouched`: not a byte of it had come. `reused`: the connection had served before,
    so that the replica may simply have closed it.
    """

    reason: str
    untouched: bool = True
    reused: bool = False


class Receiver(Protocol):
    """Who waits for a response. `relay` gets the head once, then pieces of the body, `complete` with the last."""

    def relay(self, head: ResponseHead | None, body: bytes, complete: bool) -> None: ...
    def upstream_failed(self, failure: Failure) -> None: ...


class _Malformed(Exception):
    pass


class UpstreamConnection(asyncio.Protocol):
    def __init__(self, gateway: "Gateway", replica: Replica) -> None:
        self._gateway = gateway
        self.replica = replica
        self._receiver: Receiver | None = None
        self._transport: asyncio.Transport
        self._parser = httptools.HttpResponseParser(self)
        self._used = 0  # responses served
        self._idle_until = 0.0
        self._paused = False
        self._reset()

    def _reset(self) -> None:
        self._status = 0
        self._headers: Headers = []
        self._head_bytes = 0
        self._pieces: list[bytes] = []
        self._touched = False
        self._head: ResponseHead | None = None
        self._head_given = False
        self._complete = False
        self._lasting = False  # the replica keeps the connection open
        self._to_the_end = False  # the body ends with the connection
        self._surplus = False  # something came after the response

    # For the relay

    def send(self, receiver: Receiver, head: bytes, body: bytes) -> None:
        self._reset()
        self._receiver = receiver
        if len(body) < COPIED_BYTES:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)

    def discard(self) -> None:
        """End it now; what is on its way is not wanted any more."""
        self._receiver = None
        self._forget()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()

    def check(self, now: float) -> None:
        """Idle for too long: close before the replica does."""
        if self._receiver is None and now >= self._idle_until:
            self.discard()

    def _forget(self) -> None:
        if self in self.replica.idle:
            self.replica.idle.remove(self)

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        tune_transport(transport)

    def data_received(self, data: bytes) -> None:
        if self._receiver is None:
            self.discard()  # an answer to no question
            return
        self._touched = True
        problem = self._parse(data)
        self._hand_on(problem)

    def _parse(self, data: bytes) -> str:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return "the replica switched protocols"
        except httptools.HttpParserError as error:
            return f"the replica's answer is not HTTP: {error.__context__ or error}"
        if self._head is None:
            self._head_bytes += len(data)
            if self._head_bytes > RESPONSE_HEAD_MAX_BYTES:
                return "the replica's headers are too large"
        return ""

    def _hand_on(self, problem: str) -> None:
        receiver = self._receiver
        assert receiver is not None
        head = None if self._head_given else self._head
        self._head_given = self._head is not None
        body = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces = []
        if self._complete:
            self._receiver = None
            self._keep_or_close(clean=not problem)
        if head is not None or body or self._complete:
            receiver.relay(head, body, self._complete)
        if problem and self._receiver is not None:
            self._fail(problem)

    def _keep_or_close(self, *, clean: bool) -> None:
        """Back to the pool, if nothing about the connection is in doubt."""
        self._used += 1
        idle = self.replica.idle
        if (
            clean
            and not self._surplus
            and self.replica.ready
            and len(idle) < self._gateway.settings.upstream_idle_max
            and self._lasting
            and not self._transport.is_closing()
            and self._transport.get_write_buffer_size() == 0
        ):
            self._idle_until = self._gateway.now() + self._gateway.settings.upstream_idle_seconds
            if self._paused:
                self.resume_reading()
            idle.append(self)
        else:
            self._transport.abort()

    def _fail(self, reason: str) -> None:
        receiver, self._receiver = self._receiver, None
        self._forget()
        self._transport.abort()
        if receiver is not None:
            receiver.upstream_failed(Failure(reason, untouched=not self._touched, reused=self._used > 0))

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        if self._receiver is None:
            return
        if self._to_the_end and exc is None:
            self._complete = True
            self._hand_on("")
        else:
            self._fail("the replica closed the connection" if exc is None else f"the connection broke: {exc}")

    # From the parser

    def on_message_begin(self) -> None:
        if self._complete:
            self._surplus = True
            raise _Malformed("bytes after the end of the response")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # what comes later is a trailer, and stays here
            self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if not 100 <= status <= 599:
            raise _Malformed(f"the status {status} does not exist")
        if status < 200:
            self._headers = []  # an interim answer: another will follow
            return
        self._head = ResponseHead(status, self._headers, sized=self._is_sized(status))

    def _is_sized(self, status: int) -> bool:
        codings = [coding.strip().lower() for coding in values(self._headers, b"transfer-encoding")]
        if codings and (codings != [b"chunked"] or self._parser.get_http_version() != "1.1"):
            raise _Malformed("its Transfer-Encoding is not chunked alone, in HTTP/1.1")
        if status in (204, 304) or values(self._headers, b"content-length"):
            return True
        self._to_the_end = not codings
        return False

    def on_body(self, data: bytes) -> None:
        self._pieces.append(data)

    def on_message_complete(self) -> None:
        self._complete = self._head is not None
        self._lasting = self._parser.should_keep_alive()


async def connect(gateway: "Gateway", replica: Replica) -> UpstreamConnection:
    """A new connection. Raises OSError, TimeoutError after `connect_seconds`, ValueError for no host."""
    address = replica.address
    async with asyncio.timeout(gateway.settings.connect_seconds):
        _, connection = await gateway.loop.create_connection(
            lambda: UpstreamConnection(gateway, replica), address.host, address.port
        )
    return connection


def idle_connection(replica: Replica) -> UpstreamConnection | None:
    """The connection used last that is still open, if one is kept."""
    while replica.idle:
        connection = replica.idle.pop()
        if not connection.is_closing():
            return connection
    return None
