"""A pod of two processes, the simulated engine and the sidecar, under a stand-in for the kubelet that keeps its probes.

What the stand-in does is what kubelets do: readiness is read off; liveness is asked once the start was told, and three
failures in a row end the engine, by SIGTERM and two seconds later by SIGKILL, and start it again; a sidecar that ends
is started again, and its last words are kept.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from tests.e2e.gpu.engine.settings import Dialect
from tests.unit.engine.stand_in import free_port
from tests.unit.simulated_engine.process import WORKLOADS, command_of, start
from tests.unit.simulated_engine.served import command_line, model_directory

PERIOD_SECONDS = 0.1
LIVE_FAILURES = 3
TERM_SECONDS = 2.0
DRAIN: dict[Dialect, tuple[str, ...]] = {"vllm": ("--shutdown-timeout", "45"), "sglang": ()}  # as Slipway renders it
WEDGE_SECONDS = 2.0
PATIENCE = ("--interval", "0.2", "--idle-interval", "1", "--wedge-seconds", str(WEDGE_SECONDS))


@dataclass
class Pod:
    image: Path
    dialect: Dialect
    behaviour: str
    http: aiohttp.ClientSession
    engine_port: int = field(default_factory=free_port)
    sidecar_port: int = field(default_factory=free_port)
    restarts: int = 0  # of the engine
    ready: bool = False
    unready: int = 0  # answers of /readyz after the first token that were no 200
    words: list[str] = field(default_factory=list)  # the sidecar's last ones, each time that it ended with 3
    _engine: asyncio.subprocess.Process | None = None
    _sidecar: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.engine_port}"

    async def start_engine(self) -> None:
        model = model_directory(self.image / "model")
        flags = command_line(
            self.dialect, model, "--host", "127.0.0.1", "--port", str(self.engine_port), *DRAIN[self.dialect]
        )
        self._engine = await start(self.image, command_of(self.dialect, *flags), self.behaviour)

    async def start_sidecar(self) -> None:
        fixed = ["--engine", self.url, "--model", "demo", "--port", str(self.sidecar_port), *PATIENCE]
        self._sidecar = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "slipway_engine", "watch", *fixed, "--termination-log", str(self.log)),
            cwd=WORKLOADS,
            stderr=asyncio.subprocess.DEVNULL,
        )

    @property
    def log(self) -> Path:
        return self.image / f"termination-log-{self.sidecar_port}"

    async def simulate(self, **behaviour: object) -> None:
        async with self.http.post(f"{self.url}/simulate", json=behaviour) as response:
            assert response.status == 200

    async def ask(self, prompt: str = "go on", tokens: int = 20) -> int:
        """Answered with so many tokens; 0 if the engine ended meanwhile."""
        body = {"model": "demo", "prompt": prompt, "max_tokens": tokens, "ignore_eos": True}
        try:
            async with self.http.post(f"{self.url}/v1/completions", json=body) as response:
                return int((await response.json())["usage"]["completion_tokens"])
        except aiohttp.ClientConnectionError:
            return 0

    async def probe(self, path: str) -> bool:
        with contextlib.suppress(aiohttp.ClientConnectionError):
            async with self.http.get(f"http://127.0.0.1:{self.sidecar_port}{path}") as response:
                return response.status == 200
        return False

    async def kubelet(self) -> None:
        """For ever."""
        started, failures = False, 0
        while True:
            await asyncio.sleep(PERIOD_SECONDS)
            await self._revive_sidecar()
            started = started or await self.probe("/startedz")
            self.ready = started and await self.probe("/readyz")
            if not started:
                continue
            self.unready += not self.ready
            failures = 0 if await self.probe("/livez") else failures + 1
            if failures >= LIVE_FAILURES:
                await self._end(self._engine, TERM_SECONDS)
                await self.start_engine()
                self.restarts += 1
                started, failures = False, 0

    async def _revive_sidecar(self) -> None:
        if self._sidecar is None or self._sidecar.returncode is None:
            return
        assert self._sidecar.returncode == 3
        self.words.append(self.log.read_text())
        await self.start_sidecar()

    async def _end(self, process: asyncio.subprocess.Process | None, term_seconds: float = 0.0) -> None:
        if process is None or process.returncode is not None:
            return
        if term_seconds:
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), term_seconds)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()

    async def stop(self) -> None:
        await self._end(self._engine)
        await self._end(self._sidecar)


@contextlib.asynccontextmanager
async def pod(image: Path, dialect: Dialect, **behaviour: object) -> AsyncIterator[Pod]:
    """A pod that has been ready."""
    told = json.dumps({"ttftSeconds": 0, "tokenSeconds": 0.01, **behaviour})
    async with aiohttp.ClientSession() as http:
        made = Pod(image, dialect, told, http)
        await made.start_engine()
        await made.start_sidecar()
        kubelet = asyncio.create_task(made.kubelet())
        try:
            await until(lambda: made.probe("/readyz"))
            yield made
        finally:
            kubelet.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await kubelet
            await made.stop()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Fails after about a minute."""
    for _ in range(3000):
        if await holds():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{holds} never held")
