"""The operator's port for kubelet and Prometheus: /healthz alive, /readyz first listing of every kind is in, /metrics.

A standby is ready: it serves nothing, but a rolling update waits for it, and its index is warm.
"""

from collections.abc import Callable

from aiohttp import web

from .metrics import Metrics
from .port import Limits

LIMITS = Limits(connections=32, per_address=8)  # each may hold a whole exposition, some 3 MB with two thousand jobs
EXPOSITION = "text/plain; version=0.0.4; charset=utf-8"


def health_application(metrics: Metrics, missing: Callable[[], list[str]]) -> web.Application:
    """`missing` names what readiness waits for; empty when ready."""

    async def healthz(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def readyz(_: web.Request) -> web.Response:
        waiting = missing()
        if waiting:
            return web.Response(status=503, text=f"waiting for the first listing of: {', '.join(waiting)}\n")
        return web.Response(text="ok\n")

    async def exposition(_: web.Request) -> web.Response:
        return web.Response(body=metrics.exposition(), headers={"Content-Type": EXPOSITION})

    application = web.Application()
    application.router.add_get("/healthz", healthz)
    application.router.add_get("/readyz", readyz)
    application.router.add_get("/metrics", exposition)
    return application
