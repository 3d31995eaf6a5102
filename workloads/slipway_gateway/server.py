"""A client's connection: requests in, responses out, one at a time and in order, within time-outs.

While a request is served, what the client sends is kept unparsed, up to `AHEAD_MAX_BYTES`; then the client is not
read from. Until then it is, because only reading shows that it has gone. A client that ends its sending side counts
as gone: on TCP the two look the same.
"""

import asyncio
from typing import TYPE_CHECKING, cast

from .errors import Refusal
from .head import Request, date, response_head
from .reader import RequestReader
from .relay import Exchange
from .sockets import reset, tune_transport

if TYPE_CHECKING:
    from .gateway import Gateway

AHEAD_MAX_BYTES = 64 * 1024
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
NEVER = float("inf")


class ServerConnection(asyncio.Protocol):
    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._settings = gateway.settings
        self._transport: asyncio.Transport
        self._reader = RequestReader(gateway.settings, gateway.bodies, gateway.now)
        self.peer = ""
        self._ahead = bytearray()
        self._exchange: Exchange | None = None
        self._serving_bytes = 0  # of the body of the request that is being served
        self._stepping = False
        self._write_paused = False
        self._stalled_at = NEVER  # when a client that takes nothing is cut off
        self._lingering_until: float | None = None
        self._unsent_bytes = 0  # while lingering: what the client had not taken when it was last looked at

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        tune_transport(transport)
        name = transport.get_extra_info("peername")
        self.peer = str(name[0]) if name else ""
        full = len(self._gateway.connections) >= self._settings.connections_max
        self._gateway.connections.add(self)
        if full:
            self._refuse(Refusal(503, "too_many_connections", "Too many connections.", retry_after_seconds=1))

    def data_received(self, data: bytes) -> None:
        if self._reader.over:
            return  # read away, so that the answer to what came before arrives
        if self._exchange is not None or self._reader.ready or self._write_paused:
            self._ahead += data
            if len(self._ahead) > AHEAD_MAX_BYTES:
                self._transport.pause_reading()
            return
        self._reader.feed(data)
        self._next()

    def eof_received(self) -> None:
        if self._exchange is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._gateway.connections.discard(self)
        self._reader.end()
        self._serving_bytes = 0
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.over:
            exchange.client_gone()

    def pause_writing(self) -> None:
        """The client reads more slowly than the engine writes: stop reading from the engine."""
        self._write_paused = True
        self._stalled_at = self._gateway.now() + self._settings.stall_seconds
        if self._exchange is not None:
            self._exchange.client_paused()

    def resume_writing(self) -> None:
        self._write_paused = False
        self._stalled_at = NEVER
        if self._exchange is not None:
            self._exchange.client_resumed()
        else:
            self._next()

    # One request after the other

    def _next(self) -> None:
        """Serve what is ready, then read on; a loop, so that a row of requests is no depth of calls."""
        if self._stepping:
            return
        self._stepping = True
        while self._exchange is None and not self._write_paused and self._step():
            pass
        self._stepping = False

    def _step(self) -> bool:
        if self._reader.ready:
            self._serve(self._reader.ready.popleft())
            return True
        if self._ahead and not self._reader.over:
            data, self._ahead = bytes(self._ahead), bytearray()
            self._reader.feed(data)
            self._resume_reading()
            return True
        self._await_input()
        return False

    def _serve(self, item: Request | Refusal) -> None:
        if isinstance(item, Refusal):
            self._refuse(item)
            return
        self._serving_bytes = len(item.body)
        self._exchange = Exchange(self._gateway, self, item)
        self._exchange.start()

    def _await_input(self) -> None:
        if self._reader.continue_due and not self._reader.over:
            self._reader.continue_due = False
            self.write(CONTINUE)
        if self._gateway.closing and not self._reader.over:
            self.close_if_idle()

    def _resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # For the exchange

    def write(self, data: bytes) -> None:
        if data and not self._transport.is_closing():
            self._transport.write(data)

    def finished(self, *, keep: bool, abort: bool = False) -> None:
        """The exchange is over. `abort` breaks the connection, so that no client takes a broken response for a whole
        one.
        """
        self._exchange = None
        self._reader.free(self._serving_bytes)
        self._serving_bytes = 0
        if abort:
            reset(self._transport)
        elif not keep:
            self._linger()
        else:
            self._reader.enter(self._reader.phase)  # its time begins again: nothing was read meanwhile
            self._next()

    # Ends

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what could not be read as a request, and close."""
        request = self._reader.request
        body = refusal.body()
        headers = [(b"date", date()), *refusal.headers(), (b"content-length", b"%d" % len(body))]
        if request.request_id:
            headers.append((b"x-request-id", request.request_id))
        head = response_head(refusal.status, headers, keep=False, version="1.1")
        self.write(head if request.method == "HEAD" else head + body)
        self._gateway.metrics.answered(None, refusal.status, duration=0.0, first_byte=None)
        self._gateway.log(
            client=self.peer, method=request.method, path=request.path, status=refusal.status, outcome=refusal.code
        )
        self._linger()

    def _linger(self) -> None:
        """Close so that the client can read the answer: closing over unread bytes would reset the connection."""
        self._reader.end()
        self._ahead.clear()
        self._unsent_bytes = self._transport.get_write_buffer_size()
        patience = self._settings.stall_seconds if self._unsent_bytes else self._settings.linger_seconds
        self._lingering_until = self._gateway.now() + patience
        if not self._transport.is_closing():
            self._resume_reading()
            self._transport.write_eof()

    def check(self, now: float) -> None:
        """Called by the sweep: has anything taken too long?"""
        if self._lingering_until is not None:
            if now >= self._lingering_until:
                self._end_lingering(now)
        elif now >= self._stalled_at:
            self._transport.abort()
        elif self._exchange is not None:
            self._exchange.check(now)
        elif now >= self._reader.phase_began + self._patience_seconds():
            self._give_up()

    def _end_lingering(self, now: float) -> None:
        """An answer that the client still takes, however slowly, is not cut short."""
        unsent = self._transport.get_write_buffer_size()
        if 0 < unsent < self._unsent_bytes:
            self._unsent_bytes = unsent
            self._lingering_until = now + self._settings.stall_seconds
        elif unsent:
            self._transport.abort()
        else:
            self._transport.close()

    def _patience_seconds(self) -> float:
        patience = {
            "idle": self._settings.idle_seconds,
            "head": self._settings.head_seconds,
            "body": self._settings.body_seconds,
        }
        return patience[self._reader.phase]

    def _give_up(self) -> None:
        """The client sends nothing, or not enough."""
        if self._reader.phase == "idle":
            self._transport.close()
            return
        message = f"The {self._reader.phase} of the request took too long to come."
        self._refuse(Refusal(408, "request_timeout", message))

    def close_if_idle(self) -> None:
        """The gateway is shutting down. A request that is being read or served is finished first."""
        if self._exchange is None and self._reader.phase == "idle" and not self._reader.ready:
            self._transport.close()

    def shut_down(self) -> None:
        """The gateway stops now: answer or break off what is being served."""
        if self._exchange is not None:
            self._exchange.shut_down()

    def abort(self) -> None:
        self._transport.abort()
