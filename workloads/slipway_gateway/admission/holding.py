"""Holding: requests for a model without ready replicas wait here, first come first served.

Bounded three ways, since what waits costs memory: requests per service, bytes of bodies in all, and seconds. While they
wait they are counted as `held`, which is what makes the autoscaler start a replica.
"""

from collections import deque
from typing import Protocol

from ..errors import Refusal
from ..routes import Service, ServiceKey

RETRY_AFTER_SECONDS = 10


class Waiting(Protocol):
    """A request that can wait. `hold_until` is on the gateway's clock, in seconds."""

    @property
    def hold_until(self) -> float: ...
    @property
    def body_bytes(self) -> int: ...
    def released(self) -> None: ...
    def expired(self) -> None: ...
    def refused(self, refusal: Refusal) -> None: ...


class Holding:
    """Who waits for which service. `seconds` is how long a request may wait."""

    def __init__(self, *, seconds: float, maximum: int, maximum_bytes: int) -> None:
        self.seconds = seconds
        self._maximum = maximum
        self._maximum_bytes = maximum_bytes
        self._bytes = 0
        self._queues: dict[ServiceKey, deque[Waiting]] = {}

    def add(self, service: Service, waiting: Waiting) -> None:
        """Let it wait. Raises Refusal: 429 when there is no room, 503 when waiting is pointless."""
        if not service.record.startable:
            raise stopped(service)
        queue = self._queues.setdefault(service.key, deque())
        if len(queue) >= self._maximum or self._bytes + waiting.body_bytes > self._maximum_bytes:
            message = f"Too many requests wait for {service.key} to start: try again later."
            raise Refusal(429, "queue_full", message, retry_after_seconds=RETRY_AFTER_SECONDS)
        queue.append(waiting)
        self._bytes += waiting.body_bytes

    def remove(self, service: Service, waiting: Waiting) -> None:
        """It no longer waits: its client has gone."""
        queue = self._queues.get(service.key)
        if queue is not None and waiting in queue:
            queue.remove(waiting)
            self._bytes -= waiting.body_bytes

    def release(self, service: Service) -> None:
        """A replica is ready: let all go on, in the order in which they came."""
        for waiting in self._take(service.key):
            waiting.released()

    def refuse(self, service: Service, refusal: Refusal) -> None:
        for waiting in self._take(service.key):
            waiting.refused(refusal)

    def refuse_all(self, refusal: Refusal) -> None:
        for key in tuple(self._queues):
            for waiting in self._take(key):
                waiting.refused(refusal)

    def expire(self, now: float) -> None:
        """End the wait of those whose time is over. One that came back from a replica that died kept its old time."""
        found = [(key, each) for key, queue in self._queues.items() for each in queue if each.hold_until <= now]
        for key, waiting in found:
            self._queues[key].remove(waiting)
            self._bytes -= waiting.body_bytes
        for _, waiting in found:
            waiting.expired()

    def _take(self, key: ServiceKey) -> list[Waiting]:
        taken = list(self._queues.pop(key, ()))
        self._bytes -= sum(waiting.body_bytes for waiting in taken)
        return taken


def timed_out(service: Service, seconds: float) -> Refusal:
    why = f" It says: {service.record.state}." if service.record.state else ""
    message = f"No replica of {service.key} became ready within {seconds:g} seconds.{why}"
    return Refusal(503, "model_not_ready", message, retry_after_seconds=RETRY_AFTER_SECONDS)


def stopped(service: Service) -> Refusal:
    message = f"{service.key} is set to 0 replicas and has no scaling: nothing will start it."
    return Refusal(503, "model_stopped", message, retry_after_seconds=60)


def gone(service: Service) -> Refusal:
    return Refusal(404, "model_not_found", f"{service.key} was deleted before it answered the request.", param="model")
