"""The composition: what is made at start, in which order, and how it ends.

End, on SIGTERM: unready, and `Connection: close` on every response, while new connections still come (endpoints take
a moment to leave); then the listener closes and idle connections with it; requests in flight go on for
`drain_seconds`; what remains then is answered 503 or broken off. The exit code is 0.
"""

import asyncio
import gc
import logging
import signal
from asyncio import TaskGroup

from . import discovery
from .accesslog import AccessLog, standard_output
from .admin import AdminServer, server
from .cluster import Cluster, configuration
from .gateway import Gateway
from .routes import Table
from .routesfile import Reloading
from .server import ServerConnection
from .settings import Settings
from .sockets import BACKLOG, raise_file_limit

logger = logging.getLogger(__name__)

LOG_SECONDS = 1.0  # for the log's last lines: a reader that reads needs milliseconds


async def listen(gateway: Gateway) -> asyncio.Server:
    address = gateway.settings.listen
    return await gateway.loop.create_server(
        lambda: ServerConnection(gateway), address.host, address.port, backlog=BACKLOG, reuse_address=True
    )


def tune_garbage_collection() -> None:
    """What lives from start on is never looked at again, and the young are looked at seldom: most die by reference
    count.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


async def drain(gateway: Gateway, listener: asyncio.Server) -> None:
    """End without failing a request, if the time allows."""
    settings = gateway.settings
    logger.info("shutting down: unready, taking connections for %g s more", settings.drain_delay_seconds)
    gateway.draining = True
    await asyncio.sleep(settings.drain_delay_seconds)
    listener.close()
    gateway.stop_taking()
    if not await gateway.drained(settings.drain_seconds):
        logger.warning("%d connections are left after %g s", len(gateway.connections), settings.drain_seconds)
        gateway.shut_down()
        await gateway.drained(settings.linger_seconds)
        gateway.abort()


async def _follow_cluster(gateway: Gateway) -> None:
    cluster = Cluster(await configuration(gateway.settings.kubeconfig))
    try:
        await discovery.follow(cluster, gateway.table, gateway.metrics)
    finally:
        await cluster.close()


def _start_source(gateway: Gateway, group: TaskGroup) -> None:
    path = gateway.settings.routes
    if path is None:
        group.create_task(_follow_cluster(gateway))
        return
    reloading = Reloading(path, gateway.table, gateway.metrics)
    reloading.load()
    group.create_task(reloading.run())


async def _until_stopped(gateway: Gateway, listener: asyncio.Server, admin: AdminServer) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        gateway.loop.add_signal_handler(number, stopped.set)
    await stopped.wait()
    await drain(gateway, listener)
    await asyncio.to_thread(gateway.access_log.close, LOG_SECONDS)
    admin.should_exit = True
    raise _Stopped


class _Stopped(Exception):
    """Ends the task group, and with it all that runs for ever."""


async def run(settings: Settings) -> None:
    """Serve until SIGTERM. Raises OSError when a port cannot be had, ValueError or OSError for a bad routes file."""
    gateway = Gateway(settings, Table(), AccessLog(standard_output() if settings.access_log else None))
    logger.info("%d file descriptors", raise_file_limit())
    listener = await listen(gateway)
    admin = server(gateway, settings.admin)
    tune_garbage_collection()
    try:
        async with asyncio.TaskGroup() as group:
            _start_source(gateway, group)
            group.create_task(gateway.sweeping())
            group.create_task(admin.serve())
            group.create_task(_until_stopped(gateway, listener, admin))
            for sock in listener.sockets:
                logger.info("listening on %s", sock.getsockname())
    except* _Stopped:
        logger.info("stopped")
