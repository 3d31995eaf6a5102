"""What is remembered of a request until it is over, and then counted and logged, once."""

from typing import TYPE_CHECKING

from .head import Request
from .routes import Service

if TYPE_CHECKING:
    from .gateway import Gateway

HELD = "held"
IN_FLIGHT = "in_flight"


class Account:
    """One request's figures. Times are on the gateway's clock, in seconds."""

    __slots__ = ("_gateway", "_held_since", "_state", "first_byte", "held_seconds", "sent_bytes", "service", "status")

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._state = ""
        self._held_since = 0.0
        self.service: Service | None = None
        self.status = 0  # of the response; 0 until its head is sent
        self.held_seconds = 0.0
        self.first_byte: float | None = None
        self.sent_bytes = 0

    @property
    def is_held(self) -> bool:
        return self._state == HELD

    def enter(self, state: str) -> None:
        """Move the request's one count between its service's gauges. "" means: it is over."""
        service = self.service
        if service is None or state == self._state:
            return
        self._leave(service)
        self._state = state
        if state == HELD:
            service.held += 1
            self._held_since = self._gateway.now()
        elif state == IN_FLIGHT:
            service.in_flight += 1

    def _leave(self, service: Service) -> None:
        if self._state == HELD:
            service.held -= 1
            self.held_seconds += self._gateway.now() - self._held_since
        elif self._state == IN_FLIGHT:
            service.in_flight -= 1

    def sent(self, count: int) -> None:
        """`count` bytes of the response's body are on their way to the client."""
        if self.first_byte is None:
            self.first_byte = self._gateway.now()
        self.sent_bytes += count

    def settle(self, request: Request, *, outcome: str, client: str, tried: int) -> None:
        """The request is over: count it and log it. A service that was deleted meanwhile gets no new series."""
        self.enter("")
        service = self.service
        key = service.key if service is not None and not service.gone else None
        duration = self._gateway.now() - request.started
        first_byte = None if self.first_byte is None else self.first_byte - request.started
        self._gateway.metrics.answered(key, self.status, duration=duration, first_byte=first_byte)
        if outcome == "cut" and key is not None:
            self._gateway.metrics.cut(key)
        if not self._gateway.access_log.enabled:
            return
        self._gateway.log(
            request_id=request.request_id.decode("latin-1"),
            client=client,
            method=request.method,
            path=request.path,
            model=None if service is None else str(service.key),
            status=self.status,
            outcome=outcome,
            duration_seconds=round(duration, 6),
            first_byte_seconds=None if first_byte is None else round(first_byte, 6),
            held_seconds=round(self.held_seconds, 6),
            tried=tried,
            request_bytes=len(request.body),
            response_bytes=self.sent_bytes,
        )
