"""The simulated engine as its image starts it, and the sidecar as its pod does: processes, on loopback ports."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from bed.catalog import FILE_IMAGES
from bed.places import REPOSITORY

from tests.e2e.gpu.engine.settings import Dialect
from tests.unit.engine.stand_in import free_port

from .served import command_line, model_directory

DOCKERFILE = FILE_IMAGES["simulated-engine"].dockerfile
BODY = {"model": "demo", "prompt": "go on", "max_tokens": 20, "ignore_eos": True}
DIALECTS: list[Dialect] = ["vllm", "sglang"]
WORKLOADS = REPOSITORY / "workloads"


def image_below(root: Path) -> Path:
    """What the Dockerfile copies, below `root` instead of /."""
    for line in DOCKERFILE.read_text().splitlines():
        if line.startswith("COPY "):
            source, target = line.split()[1:]
            at = root / target.lstrip("/")
            at.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if (REPOSITORY / source).is_dir() else shutil.copy)(REPOSITORY / source, at)
    return root


@dataclass
class Running:
    process: asyncio.subprocess.Process
    http: aiohttp.ClientSession
    url: str

    async def post(self, path: str, body: object) -> Any:
        async with self.http.post(self.url + path, json=body) as response:
            return await response.json()

    async def status(self, path: str) -> int:
        """0 while nobody listens."""
        try:
            async with self.http.get(self.url + path) as response:
                return response.status
        except aiohttp.ClientConnectionError:
            return 0

    async def answers(self, path: str, status: int) -> None:
        for _ in range(1000):
            if await self.status(path) == status:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{path} never answered {status}")

    async def begun(self) -> aiohttp.ClientResponse:
        """A stream that has begun, as its headers show."""
        return await self.http.post(self.url + "/v1/completions", json={**BODY, "stream": True})

    async def ended(self) -> tuple[int, str]:
        """Exit status and what it said."""
        _, said = await asyncio.wait_for(self.process.communicate(), 10)
        return self.process.returncode or 0, said.decode()


async def start(
    image: Path, command: list[str], behaviour: str = '{"ttftSeconds": 0, "tokenSeconds": 0.01}'
) -> asyncio.subprocess.Process:
    """`command` with the image's PATH and PYTHONPATH, and this environment's python3 as its."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:{image}/usr/local/bin"
    environment = {"PATH": path, "PYTHONPATH": f"{image}/opt/simulated-engine", "SIMULATED_ENGINE": behaviour}
    program = shutil.which(command[0], path=f"{image}/usr/local/bin:{path}")
    assert program
    return await asyncio.create_subprocess_exec(
        program, *command[1:], env=environment, cwd=image, stderr=asyncio.subprocess.PIPE
    )


def command_of(dialect: Dialect, *flags: str) -> list[str]:
    program = ["vllm", "serve"] if dialect == "vllm" else ["python3", "-m", "sglang.launch_server"]
    return [*program, *flags]


@asynccontextmanager
async def running(image: Path, dialect: Dialect, *more: str, behaviour: str = "{}") -> AsyncIterator[Running]:
    """A process for the model beside the image; it is killed if the test leaves it."""
    model, port = model_directory(image / "model"), free_port()
    flags = command_line(dialect, model, "--host", "127.0.0.1", "--port", str(port), *more)
    told = json.dumps({"ttftSeconds": 0, "tokenSeconds": 0.01, **json.loads(behaviour)})
    process = await start(image, command_of(dialect, *flags), told)
    async with aiohttp.ClientSession() as http:
        yield Running(process, http, f"http://127.0.0.1:{port}")
    if process.returncode is None:
        process.kill()
        await process.communicate()
