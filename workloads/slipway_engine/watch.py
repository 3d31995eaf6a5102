"""The heartbeat's effects: a loop that does what heartbeat.py decides, and the port that kubelet and Prometheus read.

The sidecar ends by itself only when the engine is gone: one that it was told to stop with (a kubelet terminates native
sidecars after the main container), or one that was wedged and that the kubelet has ended for it. The end of the sidecar
is how the latter reaches the pod's status, and so the operator; the kubelet starts it again. Anything that breaks the
loop ends the process, so that the kubelet starts it again.
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
from .heartbeat import FIRST, Action, Observation, Settings, State, drain, explain, step, wedged
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
        """Ask and look until an engine that drains or is wedged has gone."""
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

    def wedged(self) -> str:
        """Why the kubelet should restart the engine; "" where it should not."""
        return wedged(self.state, self.monotonic(), self.settings)

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
        self.telemetry.wedged.set(bool(self.wedged()))
        if state.last_token_at is not None and state.last_token_at != before.last_token_at:
            self.telemetry.last_token.set(self.wall())
        if (state.phase, state.draining) != (before.phase, before.draining):
            LOG.info("%s: %s", *explain(state, self.monotonic()))


SIDECAR = web.AppKey("sidecar", Sidecar)


def application(sidecar: Sidecar) -> web.Application:
    """/startedz, /readyz and /livez for the kubelet, which are the engine's; /healthz, the sidecar's own; /metrics."""
    app = web.Application()
    app[SIDECAR] = sidecar
    app.router.add_get("/startedz", startedz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/livez", livez)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    return app


async def startedz(request: web.Request) -> web.Response:
    """200 once the engine that runs has given a token: until then the kubelet counts its time to start."""
    return _told(request, "started", holds=request.app[SIDECAR].state.started)


async def readyz(request: web.Request) -> web.Response:
    """200 while the heartbeat holds, else 503."""
    return _told(request, "ready", holds=request.app[SIDECAR].state.ready)


async def livez(request: web.Request) -> web.Response:
    """503 while the engine is wedged: only a new start can help it."""
    return _told(request, "live", holds=not request.app[SIDECAR].wedged())


def _told(request: web.Request, what: str, *, holds: bool) -> web.Response:
    """The body says why, either way."""
    sidecar = request.app[SIDECAR]
    reason, message = explain(sidecar.state, sidecar.monotonic())
    return web.json_response({what: holds, "reason": reason, "message": message}, status=200 if holds else 503)


async def healthz(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def metrics(request: web.Request) -> web.Response:
    body = generate_latest(request.app[SIDECAR].telemetry.registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def serve(*, url: str, model: str, port: int, settings: Settings, host: str = "0.0.0.0") -> str:  # noqa: S104
    """Watch the engine at `url` until it has gone, answering on `port`; returns why it had to be restarted, "" if the
    pod stopped. Raises OSError when the port is taken."""
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
        return sidecar.state.verdict
