"""The sidecar as the kubelet and Prometheus see it, beside a stand-in engine over real HTTP."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from slipway_engine.__main__ import main
from slipway_engine.engine import Engine, session
from slipway_engine.heartbeat import Settings
from slipway_engine.watch import Sidecar, application

from .stand_in import EngineStandIn, free_port

QUICK = Settings(start_interval_seconds=0.01, interval_seconds=0.05, idle_interval_seconds=0.1, wedge_seconds=0.3)
Says = Callable[..., Awaitable[bool]]
WORKLOADS = Path(__file__).parents[3] / "workloads"


@pytest.fixture
async def stand_in() -> AsyncIterator[EngineStandIn]:
    engine = EngineStandIn(port=free_port())
    yield engine
    await engine.stop()


@asynccontextmanager
async def watching(stand_in: EngineStandIn) -> AsyncIterator[tuple[Sidecar, TestClient[Any, Any], asyncio.Task[None]]]:
    async with session() as http:
        engine = Engine(http, url=stand_in.url, model="demo", timeout_seconds=QUICK.timeout_seconds)
        sidecar = Sidecar(engine, QUICK)
        async with TestClient(TestServer(application(sidecar))) as client:
            task = asyncio.create_task(sidecar.run())
            yield sidecar, client, task
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def answer(client: TestClient[Any, Any], path: str = "/readyz") -> tuple[int, str]:
    async with client.get(path) as response:
        return response.status, await response.text()


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask over HTTP, as the kubelet does, until `holds`; fails after about ten seconds."""
    for _ in range(1000):
        if await holds():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{holds} never held")


async def ready(client: TestClient[Any, Any]) -> bool:
    return (await answer(client))[0] == 200


async def unready(client: TestClient[Any, Any]) -> bool:
    return (await answer(client))[0] == 503


async def metric(client: TestClient[Any, Any], name: str) -> float:
    lines = (await answer(client, "/metrics"))[1].splitlines()
    return float(next(line for line in lines if line.startswith(f"{name} ")).rpartition(" ")[2])


async def test_before_the_engine_listens_it_says_that_it_starts(stand_in: EngineStandIn) -> None:
    async with watching(stand_in) as (sidecar, client, _):
        await until(lambda: _says(client, "the engine is starting: connection refused"))
        assert await answer(client) == (
            503,
            '{"ready": false, "reason": "starting", "message": "the engine is starting: connection refused"}',
        )
        assert (await answer(client, "/healthz"))[0] == 200
        assert (await answer(client, "/livez"))[0] == 200
        assert (await answer(client, "/startedz"))[0] == 503
        assert not sidecar.state.ready


async def _says(client: TestClient[Any, Any], message: str) -> bool:
    return message in str(json.loads((await answer(client))[1])["message"])


async def test_an_engine_that_answers_but_cannot_generate_is_warming(stand_in: EngineStandIn) -> None:
    stand_in.status, stand_in.completion = 503, {"error": {"message": "loading weights"}}
    await stand_in.start()
    async with watching(stand_in) as (_, client, _task):
        await until(lambda: _says(client, "warming: the engine answers 503: loading weights"))
        assert await unready(client)


async def test_the_first_token_opens_the_pod_and_the_metrics_say_so(stand_in: EngineStandIn) -> None:
    await stand_in.start()
    async with watching(stand_in) as (_, client, _task):
        assert await metric(client, "slipway_engine_ready") == 0
        assert await metric(client, "slipway_engine_last_token_timestamp_seconds") == 0
        await until(lambda: ready(client))
        assert json.loads((await answer(client))[1])["ready"] is True
        assert await metric(client, "slipway_engine_ready") == 1
        assert await metric(client, 'slipway_engine_probes_total{result="token"}') >= 1
        assert await metric(client, "slipway_engine_probe_seconds_count") >= 1
        assert await metric(client, "slipway_engine_last_token_timestamp_seconds") > 1.7e9


async def test_every_result_is_counted_from_zero(stand_in: EngineStandIn) -> None:
    async with watching(stand_in) as (_, client, _task):
        text = (await answer(client, "/metrics"))[1]
        for result in ("token", "unanswered", "refused", "unreachable"):
            assert f'slipway_engine_probes_total{{result="{result}"}}' in text


async def test_an_engine_whose_counters_move_is_not_asked(stand_in: EngineStandIn) -> None:
    stand_in.busy = True
    await stand_in.start()
    async with watching(stand_in) as (_, client, _task):
        await until(lambda: _looked(stand_in, 10))
        assert len(stand_in.asked) <= 2
        assert await ready(client)


async def test_a_wedged_engine_is_taken_out_and_comes_back(stand_in: EngineStandIn) -> None:
    await stand_in.start()
    async with watching(stand_in) as (_, client, _task):
        await until(lambda: ready(client))
        stand_in.hang = True
        await until(lambda: unready(client))
        assert json.loads((await answer(client))[1])["reason"] == "silent"
        status, body = await answer(client, "/livez")
        assert (status, json.loads(body)["live"]) == (503, False)
        assert json.loads(body)["message"].startswith("no token for 0 s: ")
        assert (await answer(client, "/startedz"))[0] == 503
        assert await metric(client, "slipway_engine_ready") == 0
        assert await metric(client, "slipway_engine_wedged") == 1
        stand_in.hang = False
        await until(lambda: ready(client))
        assert (await answer(client, "/livez"))[0] == 200
        assert (await answer(client, "/startedz"))[0] == 200
        assert await metric(client, "slipway_engine_wedged") == 0


async def test_the_end_of_a_wedged_engine_ends_the_watch(stand_in: EngineStandIn) -> None:
    await stand_in.start()
    async with watching(stand_in) as (sidecar, client, task):
        await until(lambda: ready(client))
        stand_in.hang = True
        await until(lambda: unready(client))
        await stand_in.stop()
        await asyncio.wait_for(task, 5)
        assert sidecar.state.verdict == "no token for 0 s: it leaves a request unanswered"


async def test_an_engine_that_dies_is_taken_out_and_starts_again(stand_in: EngineStandIn) -> None:
    await stand_in.start()
    async with watching(stand_in) as (_, client, _task):
        await until(lambda: ready(client))
        await stand_in.stop()
        await until(lambda: _says(client, "the engine has gone and is to start again"))
        assert await unready(client)
        assert (await answer(client, "/livez"))[0] == 200
        assert (await answer(client, "/startedz"))[0] == 503
        await stand_in.start()
        await until(lambda: ready(client))


async def test_a_stop_closes_the_pod_at_once_and_ends_only_after_the_engine(stand_in: EngineStandIn) -> None:
    await stand_in.start()
    async with watching(stand_in) as (sidecar, client, task):
        await until(lambda: ready(client))
        sidecar.stop()
        status, body = await answer(client)
        assert (status, json.loads(body)["reason"]) == (503, "draining")
        asked, looks = len(stand_in.asked), stand_in.looks
        await until(lambda: _looked(stand_in, looks + 1))
        assert len(stand_in.asked) == asked
        assert not task.done()
        await stand_in.stop()
        await asyncio.wait_for(task, 5)


async def _looked(stand_in: EngineStandIn, times: int) -> bool:
    return stand_in.looks >= times


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--engine", "https://x", "--model", "m"], "https://x is no http:// address"),
        (["--engine", "127.0.0.1:8000", "--model", "m"], "is no http:// address"),
        (["--engine", "http://x", "--model", "m", "--port", "0"], "0 is no port"),
        (["--engine", "http://x", "--model", "m", "--interval", "0"], "0 is not between 0.05 and 86400 seconds"),
        (["--engine", "http://x", "--model", "m", "--interval", "nan"], "nan is not between"),
        (["--engine", "http://x", "--model", "m", "--wedge-seconds", "4"], "--wedge-seconds must be at least twice"),
        (["--engine", "http://x"], "--model"),
        (["--eng", "http://x", "--model", "m"], "--engine"),
    ],
    ids=str,
)
def test_a_wrong_command_line_is_refused(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", *arguments])
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@asynccontextmanager
async def process(stand_in: EngineStandIn, *flags: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, Says]]:
    """The command as the pod runs it: port, signals, exit code. The second is whether a path answers such a body."""
    port = free_port()
    fixed = ["--engine", stand_in.url, "--model", "demo", "--port", str(port), "--interval", "0.1"]
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "slipway_engine",
        "watch",
        *fixed,
        *flags,
        cwd=WORKLOADS,
        stderr=asyncio.subprocess.DEVNULL,
    )

    async def says(path: str, **expected: object) -> bool:
        try:
            async with http.get(f"http://127.0.0.1:{port}{path}") as response:
                body: dict[str, object] = await response.json()
                return expected.items() <= body.items()
        except aiohttp.ClientConnectorError:
            return False

    async with aiohttp.ClientSession() as http:
        yield started, says
    if started.returncode is None:
        started.kill()
        await started.wait()


async def test_the_process_drains_on_sigterm_and_ends_with_its_engine(stand_in: EngineStandIn) -> None:
    await stand_in.start()
    async with process(stand_in) as (started, says):
        await until(lambda: says("/readyz", ready=True))
        os.kill(started.pid, signal.SIGTERM)
        await until(lambda: says("/readyz", ready=False, reason="draining"))
        assert started.returncode is None
        await stand_in.stop()
        assert await asyncio.wait_for(started.wait(), 10) == 0


async def test_the_process_ends_with_a_wedged_engine_and_leaves_the_verdict(
    stand_in: EngineStandIn, tmp_path: Path
) -> None:
    await stand_in.start()
    said = tmp_path / "termination-log"
    async with process(stand_in, "--wedge-seconds", "0.5", "--termination-log", str(said)) as (started, says):
        await until(lambda: says("/readyz", ready=True))
        stand_in.hang = True
        await until(lambda: says("/livez", live=False, reason="silent"))
        assert started.returncode is None
        await stand_in.stop()
        assert await asyncio.wait_for(started.wait(), 10) == 3
    assert said.read_text().startswith("no token for ")
