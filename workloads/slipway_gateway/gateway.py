"""What all connections share: settings, table, holding, counters, the set of clients, and the sweep that finds
time-outs.

One sweep over the connections replaces a timer per connection: setting a deadline is then one assignment on the hot
path.
"""

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from .accesslog import AccessLog
from .admission import holding
from .admission.bodies import Bodies
from .admission.holding import Holding
from .errors import shutting_down
from .metrics import Metrics
from .routes import Service, Table
from .settings import Settings

if TYPE_CHECKING:
    from .server import ServerConnection
logger = logging.getLogger(__name__)

DRAIN_POLL_SECONDS = 0.02


class Gateway:
    """`draining` turns on `Connection: close` on every response; `closing` ends connections as they become idle."""

    def __init__(self, settings: Settings, table: Table, access_log: AccessLog) -> None:
        self.settings = settings
        self.table = table
        self.access_log = access_log
        self.metrics = Metrics(table)
        self.holding = Holding(
            seconds=settings.hold_seconds, maximum=settings.hold_max, maximum_bytes=settings.hold_max_bytes
        )
        self.bodies = Bodies(settings.bodies_max_bytes)
        self.connections: set[ServerConnection] = set()
        self.draining = False
        self.closing = False
        self.loop = asyncio.get_running_loop()
        table.on_ready = self.holding.release
        table.on_stopped = self._service_stopped
        table.on_gone = self._service_gone
        access_log.on_dropped = self.metrics.log_lines_dropped.inc

    def now(self) -> float:
        """A steady clock, in seconds. Not the loop's: uvloop's counts whole milliseconds."""
        return time.monotonic()

    def _service_stopped(self, service: Service) -> None:
        self.holding.refuse(service, holding.stopped(service))

    def _service_gone(self, service: Service) -> None:
        self.holding.refuse(service, holding.gone(service))
        self.metrics.forget(service)

    def sweep(self) -> None:
        """Look for what has taken too long."""
        now = self.now()
        for connection in tuple(self.connections):
            connection.check(now)
        self.holding.expire(now)
        for service in self.table.services.values():
            for replica in service.ready:
                for idle in tuple(replica.idle):
                    idle.check(now)
        self.access_log.flush()

    async def sweeping(self) -> None:
        while True:
            await asyncio.sleep(self.settings.sweep_seconds)
            try:
                self.sweep()
            except Exception:  # a fault in one connection must not end the time-outs of all others
                logger.exception("the sweep failed")

    def stop_taking(self) -> None:
        """From now on connections close as soon as they are idle: those that are idle, at once."""
        self.closing = self.draining = True
        for connection in tuple(self.connections):
            connection.close_if_idle()

    async def drained(self, seconds: float) -> bool:
        """Whether no connection is left, at the latest after `seconds`."""
        until = self.now() + seconds
        while self.connections and self.now() < until:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_POLL_SECONDS)
        return not self.connections

    def shut_down(self) -> None:
        """The drain's time is over: answer who waits, break off who is being answered."""
        self.holding.refuse_all(shutting_down())
        for connection in tuple(self.connections):
            connection.shut_down()

    def abort(self) -> None:
        for connection in tuple(self.connections):
            connection.abort()

    def log(self, **fields: object) -> None:
        self.access_log.write({"time": round(time.time(), 6), **fields})
