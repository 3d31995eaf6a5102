"""The second port: is it alive, is it ready, what does it count. A small Starlette app in the same loop.

Ready means: the routes have been read once, and the gateway is not shutting down. That the API server is away later
does not make it unready: it still routes by what it knows.
"""

import contextlib
from collections.abc import Iterator

import uvicorn
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .gateway import Gateway
from .settings import Listen


def application(gateway: Gateway) -> Starlette:
    async def healthz(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        if gateway.draining:
            return PlainTextResponse("shutting down\n", 503)
        if not gateway.table.synced:
            return PlainTextResponse("the routes have not been read yet\n", 503)
        return PlainTextResponse("ok\n")

    async def metrics(_request: Request) -> Response:
        return Response(gateway.metrics.page(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])


class AdminServer(uvicorn.Server):
    """uvicorn without its signal handlers: the gateway decides when it is over."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def server(gateway: Gateway, listen: Listen) -> AdminServer:
    config = uvicorn.Config(
        application(gateway),
        host=listen.host,
        port=listen.port,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
    )
    return AdminServer(config)
