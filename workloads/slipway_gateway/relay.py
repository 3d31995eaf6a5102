"""One request on its way: answered here, or held, sent to a replica, perhaps to another, and its response passed on.

Bytes pass through: the request's body as it came, the response's body in the pieces in which it comes. Until the
first byte of a response, a request may go to another replica; after it, a broken response is broken towards the
client too, and said so in a stream of events (`_cut`).
"""

import asyncio
from typing import TYPE_CHECKING

from . import api
from .accounting import HELD, IN_FLIGHT, Account
from .admission.holding import gone, timed_out
from .errors import Refusal, shutting_down
from .head import HOP_BY_HOP, Request, crossing, date, is_event_stream, response_head, towards_replica
from .routes import Replica, Service
from .routing import Address, Wanted, choose
from .upstream import Failure, ResponseHead, UpstreamConnection, connect, idle_connection

if TYPE_CHECKING:
    from .gateway import Gateway
    from .server import ServerConnection

CLIENT_GONE = 499  # as nginx counts a client that did not wait
NOT_PASSED_ON = HOP_BY_HOP | {b"x-request-id"}


class Exchange:
    """From a whole request to the last byte of its response. Ends exactly once, by `_end`."""

    def __init__(self, gateway: "Gateway", client: "ServerConnection", request: Request) -> None:
        self._gateway = gateway
        self._client = client
        self._request = request
        self._account = Account(gateway)
        self._service: Service | None = None
        self._model = ""
        self._replica: Replica | None = None
        self._upstream: UpstreamConnection | None = None
        self._dialing: asyncio.Task[None] | None = None
        self._tried: frozenset[Address] = frozenset()  # ruled out, until it is held
        self._failures = 0  # of replicas, and never forgotten: they bound what a request may cost
        self._fresh = False  # no kept-alive connection any more: one was stale
        self.hold_until = 0.0
        self._silent_until = float("inf")
        self._chunked = False
        self._sized = False
        self._keep = request.keep
        self._events = False  # the response is a stream of server-sent events
        self._tail = b""
        self.over = False

    # The way in

    def start(self) -> None:
        try:
            if not api.is_forwarded(self._request):
                self._answer(api.answer(self._request, self._gateway.table))
                return
            self._model = api.model_of(self._request)
            self._service = self._account.service = self._gateway.table.resolve(self._model)
            self._go_on()
        except Refusal as refusal:
            self.refused(refusal)

    def _go_on(self) -> None:
        """Towards a replica if one is ready, else into the hold. Raises Refusal."""
        service = self._service
        assert service is not None
        if service.gone:
            raise gone(service)
        if not service.ready:
            self._hold(service)
            return
        self._account.enter(IN_FLIGHT)
        replica = choose(Wanted(self._model, self._tried), service.snapshot(first=not self._tried))
        if replica is None:
            message = f"No replica of {service.key} could be reached ({self._failures} tried)."
            raise Refusal(502, "upstream_unreachable", message, retry_after_seconds=1)
        self._dispatch(replica)

    def _hold(self, service: Service) -> None:
        """What failed before says nothing of what is ready after the wait: a restarted container keeps its address."""
        self._tried, self._fresh = frozenset(), False
        if not self.hold_until:
            self.hold_until = self._gateway.now() + self._gateway.settings.hold_seconds
        self._gateway.holding.add(service, self)
        self._account.enter(HELD)

    @property
    def body_bytes(self) -> int:
        return len(self._request.body)

    def released(self) -> None:
        """A replica is ready (called by the hold)."""
        try:
            self._go_on()
        except Refusal as refusal:
            self.refused(refusal)

    def expired(self) -> None:
        """It has waited for long enough (called by the hold)."""
        service = self._service
        assert service is not None
        self._gateway.metrics.hold_timed_out(service.key)
        self.refused(timed_out(service, self._gateway.settings.hold_seconds))

    # To a replica

    def _dispatch(self, replica: Replica) -> None:
        self._replica = replica
        replica.in_flight += 1
        connection = None if self._fresh else idle_connection(replica)
        if connection is None:
            self._dialing = self._gateway.loop.create_task(self._dial(replica))
        else:
            self._send(connection)

    async def _dial(self, replica: Replica) -> None:
        try:
            connection = await connect(self._gateway, replica)
        except (OSError, TimeoutError, ValueError) as problem:
            if not self.over:
                self.upstream_failed(Failure(f"connecting failed: {problem or 'time-out'}"))
            return
        if self.over:
            connection.discard()
        else:
            self._send(connection)

    def _send(self, connection: UpstreamConnection) -> None:
        if connection.is_closing():
            self.upstream_failed(Failure("the replica closed the connection at once"))
            return
        self._upstream = connection
        self._silent_until = self._gateway.now() + self._gateway.settings.response_seconds
        head = towards_replica(self._request, str(connection.replica.address))
        connection.send(self, head, self._request.body)

    def upstream_failed(self, failure: Failure) -> None:
        replica = self._release_replica()
        if self._account.status:
            self._cut(failure.reason)
        elif not failure.untouched:
            self.refused(Refusal(502, "upstream_failed", f"A replica failed: {failure.reason}.", retry_after_seconds=1))
        else:
            self._try_again(replica, failure)

    def _try_again(self, replica: Replica, failure: Failure) -> None:
        """A kept-alive connection that was closed meanwhile says nothing of its replica; anything else rules it out."""
        if failure.reused:
            self._fresh = True
        else:
            self._tried |= {replica.address}
            self._failures += 1
        service = self._service
        assert service is not None
        try:
            if service.gone:  # its series are gone too: nothing more is counted under its name
                raise gone(service)
            if self._failures > self._gateway.settings.retries:
                message = f"{self._failures} replicas of {service.key} could not be reached: {failure.reason}."
                raise Refusal(502, "upstream_unreachable", message, retry_after_seconds=1)
            self._gateway.metrics.retried(service.key, "stale" if failure.reused else "failed")
            self._go_on()
        except Refusal as refusal:
            self.refused(refusal)

    def _release_replica(self) -> Replica:
        replica = self._replica
        assert replica is not None
        replica.in_flight -= 1
        self._replica = None
        self._upstream = None
        self._silent_until = float("inf")
        return replica

    # The way back

    def relay(self, head: ResponseHead | None, body: bytes, complete: bool) -> None:
        parts = [] if head is None else [self._client_head(head)]
        if body or complete:
            self._account.sent(len(body))
            self._tail = (self._tail + body[-4:])[-4:]
        if body:
            parts += [b"%x\r\n" % len(body), body, b"\r\n"] if self._chunked else [body]
        if complete:
            self._release_replica()
            if self._chunked:
                parts.append(b"0\r\n\r\n")
        else:
            self._silent_until = self._gateway.now() + self._gateway.settings.response_seconds
        self._client.write(b"".join(parts))
        if complete:
            self._end()

    def _client_head(self, head: ResponseHead) -> bytes:
        self._account.status = head.status
        headers = crossing(head.headers, NOT_PASSED_ON | {b"content-length"} if head.status == 204 else NOT_PASSED_ON)
        headers.append((b"x-request-id", self._request.request_id))
        self._sized = head.sized
        if not head.sized:
            self._chunked = self._request.version == "1.1"
            self._keep = self._keep and self._chunked
        if self._chunked:
            headers.append((b"transfer-encoding", b"chunked"))
        self._events = is_event_stream(head.headers)
        self._keep = self._keep and not self._gateway.draining
        return response_head(head.status, headers, keep=self._keep, version=self._request.version)

    def _cut(self, reason: str) -> None:
        """The response broke off. A stream of events says so in an event of its own, where one may begin; then, as
        for any response, the connection closes without the end that was promised, so that no client takes it for
        whole.
        """
        refusal = Refusal(502, "upstream_failed", f"The replica failed in the middle of its answer: {reason}.")
        between_events = not self._tail or self._tail.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))
        if self._events and self._chunked and between_events:
            event = b"data: " + refusal.body() + b"\n\n"
            self._client.write(b"%x\r\n%s\r\n" % (len(event), event))
        self._keep = False
        self._end(outcome="cut", abort=not (self._chunked or self._sized))

    def _answer(self, found: api.Answer) -> None:
        headers = [] if found.allow is None else [(b"allow", found.allow.encode())]
        if found.body is not None:
            headers.append((b"content-type", b"application/json"))
        self._respond(found.status, headers, found.body)

    def refused(self, refusal: Refusal) -> None:
        """Answer with an error; the connection stays usable, since the request was read to its end."""
        if self._replica is not None:
            self._drop_upstream()
        self._respond(refusal.status, refusal.headers(), refusal.body(), outcome=refusal.code)

    def _respond(
        self, status: int, headers: list[tuple[bytes, bytes]], body: bytes | None, outcome: str = "answered"
    ) -> None:
        self._account.status = status
        self._keep = self._keep and not self._gateway.draining
        headers = [(b"date", date()), *headers, (b"x-request-id", self._request.request_id)]
        if body is not None:
            headers.append((b"content-length", b"%d" % len(body)))
        sent = b"" if body is None or self._request.method == "HEAD" else body
        self._account.sent(len(sent))
        head = response_head(status, headers, keep=self._keep, version=self._request.version)
        self._client.write(head + sent)
        self._end(outcome=outcome)

    # The client's side

    def client_paused(self) -> None:
        if self._upstream is not None:
            self._silent_until = float("inf")
            self._upstream.pause_reading()

    def client_resumed(self) -> None:
        if self._upstream is not None:
            self._silent_until = self._gateway.now() + self._gateway.settings.response_seconds
            self._upstream.resume_reading()

    def client_gone(self) -> None:
        """Nobody listens any more: stop the engine's work at once."""
        if self._account.is_held and self._service is not None:
            self._gateway.holding.remove(self._service, self)
        self._drop_upstream()
        if not self._account.status:
            self._account.status = CLIENT_GONE
        self._end(outcome="client_gone")

    def _drop_upstream(self) -> None:
        if self._upstream is not None:
            self._upstream.discard()
        if self._replica is not None:
            self._release_replica()

    def shut_down(self) -> None:
        self._drop_upstream()
        if self._account.status:
            self._cut("the gateway is shutting down")
        else:
            self.refused(shutting_down())

    def check(self, now: float) -> None:
        if now < self._silent_until:
            return
        seconds = self._gateway.settings.response_seconds
        reason = f"the replica was silent for {seconds:g} seconds"
        self._drop_upstream()
        if self._account.status:
            self._cut(reason)
        else:
            self.refused(Refusal(504, "upstream_timeout", f"No answer: {reason}."))

    def _end(self, *, outcome: str = "ok", abort: bool = False) -> None:
        self.over = True
        self._account.settle(self._request, outcome=outcome, client=self._client.peer, tried=self._failures)
        self._client.finished(keep=self._keep, abort=abort)
