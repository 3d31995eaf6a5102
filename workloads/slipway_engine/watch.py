"""The heartbeat's effects: a loop that does what heartbeat.py decides, and the port that kubelet and Prometheus read.

The sidecar ends by itself only when it was told to stop and the engine is gone; a kubelet terminates native sidecars
after the main container. Anything that breaks the loop ends the process, so that the kubelet starts it again.
"""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from .engine import Engine, session
from .heartbeat import FIRST, Action, Observation, Settings, State, drain, explain, step
from .telemetry import Telemetry

LOG = logging.getLogger("slipway_engine")


@dataclass(slots=True)
class Sidecar:
    """What the loop last knew. `monotonic` and `wall` are clocks in seconds, which tests replace."""

    engine: Engine
    settings: Settings
    telemetry: Telemetry = field(default_factory=Telemetry)
    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    state: State = field(default_factory=State)
    hurry: asyncio.Event = field(default_factory=asyncio.Event)  # set by a stop, which cuts waiting short

    async def run(self) -> None:
        """Ask and look until a draining engine is gone."""
        action = FIRST
        while action.kind != "stop":
            await self._wait(action.after_seconds)
            observation = await self._observe(action)
            state, action = step(self.state, observation, self.monotonic(), self.settings)
            self._become(state)

    def stop(self) -> None:
        """The pod is stopping: not ready from now on."""
        self._become(drain(self.state))
        self.hurry.set()

    async def _wait(self, seconds: float) -> None:
        if self.hurry.is_set():
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.hurry.wait(), seconds)

    async def _observe(self, action: Action) -> Observation:
        if self.state.draining or action.kind == "look":
            observation = await self.engine.look()
            self.telemetry.looked(observation)
            return observation
        began = self.monotonic()
        observation = await self.engine.probe()
        self.telemetry.probed(observation, self.monotonic() - began)
        return observation

    def _become(self, state: State) -> None:
        before, self.state = self.state, state
        self.telemetry.ready.set(state.ready)
        if state.last_token_at is not None and state.last_token_at != before.last_token_at:
            self.telemetry.last_token.set(self.wall())
        if (state.phase, state.draining) != (before.phase, before.draining):
            LOG.info("%s: %s", *explain(state, self.monotonic()))


SIDECAR = web.AppKey("sidecar", Sidecar)


def application(sidecar: Sidecar) -> web.Application:
    """/readyz for the kubelet, /healthz, /metrics."""
    app = web.Application()
    app[SIDECAR] = sidecar
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    return app


async def readyz(request: web.Request) -> web.Response:
    """200 while the heartbeat holds, else 503; the body says why, either way."""
    sidecar = request.app[SIDECAR]
    reason, message = explain(sidecar.state, sidecar.monotonic())
    ready = sidecar.state.ready
    return web.json_response({"ready": ready, "reason": reason, "message": message}, status=200 if ready else 503)


async def healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def metrics(request: web.Request) -> web.Response:
    body = generate_latest(request.app[SIDECAR].telemetry.registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(*, url: str, model: str, port: int, settings: Settings, host: str = "0.0.0.0") -> None:  # noqa: S104
    """Watch the engine at `url` until the pod stops, answering on `port`. Raises OSError when the port is taken."""
    async with session() as http:
        engine = Engine(http, url=url, model=model, timeout_seconds=settings.timeout_seconds)
        sidecar = Sidecar(engine, settings)
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, sidecar.stop)
        runner = web.AppRunner(application(sidecar), access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            LOG.info("watching the engine at %s; /readyz on port %d", url, port)
            await sidecar.run()
        finally:
            await runner.cleanup()
