"""Reading requests: from bytes to whole requests, within limits.

The parser cannot be paused: one read may bring several requests. They gather in `ready`, at most `PIPELINED_MAX`, and
with them, as the last, the refusal of what could not be read. Time-outs are the connection's business: it asks for
`phase`.

An offer of another protocol (`Upgrade`, which Java's client sends with every request) is ignored. llhttp would take
the body for that protocol's, so the head is read again without the offer: only such a request costs anything.
"""

from collections import deque
from collections.abc import Callable
from typing import Literal

import httptools

from . import api
from .admission.bodies import Bodies
from .errors import Refusal, malformed
from .head import HEADERS_MAX, Request, check, head_without_upgrade, too_large
from .settings import Settings

PIPELINED_MAX = 64
Phase = Literal["idle", "head", "body"]


class RequestReader:
    """`now` is the gateway's clock. `over` says that nothing more will be read from this connection.

    What it reads of bodies it takes from `bodies`; who has done with a request gives its body's share back by `free`.
    """

    def __init__(self, settings: Settings, bodies: Bodies, now: Callable[[], float]) -> None:
        self._settings = settings
        self._bodies = bodies
        self._taken = 0
        self._now = now
        self._parser = httptools.HttpRequestParser(self)
        self.ready: deque[Request | Refusal] = deque()
        self.over = False
        self.phase: Phase = "idle"
        self.phase_began = now()
        self.continue_due = False  # the client waits for 100 Continue
        self.request = Request()  # the one that is being read, or was read last
        self._unfinished_bytes = 0
        self._progress = False
        self._body = bytearray()  # not the pieces: those of few bytes would cost many times as much

    def free(self, count: int) -> None:
        self._taken -= count
        self._bodies.give_back(count)

    def end(self) -> None:
        """Nothing more is read, and nothing that was read is served."""
        self.over = True
        self.ready.clear()
        self._body = bytearray()
        self.free(self._taken)

    def feed(self, data: bytes) -> None:
        offer: httptools.HttpParserUpgrade | None = None
        try:
            self._parser.feed_data(data)
            self._check_unfinished(len(data))
        except httptools.HttpParserUpgrade as found:
            offer = found
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refusal) else malformed(f"This is not HTTP/1.1: {error}."))
        except Refusal as refusal:
            self._refuse(refusal)
        if offer is not None:  # not in its handler, where it would be the context of every error that follows
            self._read_again(data[offer.args[0] :])

    def _read_again(self, rest: bytes) -> None:
        """The head that was read offers another protocol: read it without that, and the rest after it."""
        self.ready.pop()
        offering, self._parser = self.request, httptools.HttpRequestParser(self)
        self.feed(head_without_upgrade(offering))
        self.request.started = offering.started
        self.feed(rest)

    def enter(self, phase: Phase) -> None:
        """Begin a phase, and its time."""
        self.phase = phase
        self.phase_began = self._now()

    def _refuse(self, refusal: Refusal) -> None:
        """Nothing that follows can be understood. After a request that was to be the last, nothing that follows
        matters.
        """
        if self.over:
            return
        if self.phase == "idle":
            self.request = Request()  # the refusal is not about the request that was read before
        self.over = True
        self.free(len(self._body))
        self._body = bytearray()
        self.ready.append(refusal)

    def _check_unfinished(self, count: int) -> None:
        """A header or trailer that has not ended yet has not been counted: bound what the parser gathers of it."""
        self._unfinished_bytes = 0 if self._progress or self.phase == "idle" else self._unfinished_bytes + count
        self._progress = False
        if self._unfinished_bytes > self._settings.head_limit_bytes:
            raise self._head_too_large()

    def _head_too_large(self) -> Refusal:
        limit = self._settings.head_limit_bytes
        message = f"Request line and headers are larger than {limit} bytes, or more than {HEADERS_MAX} headers."
        return Refusal(431, "headers_too_large", message, close=True)

    # From the parser

    def on_message_begin(self) -> None:
        if len(self.ready) >= PIPELINED_MAX:
            raise Refusal(429, "too_many_pipelined", f"More than {PIPELINED_MAX} requests came at once.", close=True)
        self.enter("head")
        self.request = Request(started=self.phase_began)

    def on_url(self, url: bytes) -> None:
        self.request.target += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value) + 4)
        if self.phase == "head":  # what comes after the body is a trailer, and is not passed on
            self.request.headers.append((name.lower(), value))
            if len(self.request.headers) > HEADERS_MAX:
                raise self._head_too_large()

    def _count_head(self, count: int) -> None:
        self.request.size += count
        if self.request.size > self._settings.head_limit_bytes:
            raise self._head_too_large()

    def on_headers_complete(self) -> None:
        request = self.request
        request.method = self._parser.get_method().decode()
        request.version = self._parser.get_http_version()
        if self._parser.should_upgrade():
            self._refuse_connect()
            return  # to `_read_again`
        request.keep = self._parser.should_keep_alive()
        check(request, self._settings.body_limit_bytes)
        if request.expects_continue:
            self._invite_body()
        self.enter("body")
        self._progress = True

    def _refuse_connect(self) -> None:
        """An offer can be ignored; CONNECT asks for nothing but another protocol."""
        if self.request.method == "CONNECT":
            raise Refusal(501, "no_connect", "This server is no proxy: it does not answer CONNECT.", close=True)

    def _invite_body(self) -> None:
        """100 Continue, or at once the refusal that would follow the body."""
        try:
            api.is_forwarded(self.request)
        except Refusal as refusal:
            refusal.close = True
            raise
        self.continue_due = True

    def on_body(self, data: bytes) -> None:
        self._progress = True
        if len(self._body) + len(data) > self._settings.body_limit_bytes:
            raise too_large(self._settings.body_limit_bytes)
        self._bodies.take(len(data))
        self._taken += len(data)
        self._body += data

    def on_message_complete(self) -> None:
        self.continue_due = False
        self.request.body, self._body = bytes(self._body), bytearray()
        self.enter("idle")
        self.ready.append(self.request)
        if not self.request.keep:
            self.over = True
