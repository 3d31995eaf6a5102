"""Start and end: the admin port, SIGTERM, and the process as it is run."""

import asyncio
import errno
import io
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from typing_extensions import Buffer

from slipway_gateway import accesslog
from slipway_gateway.accesslog import FLUSH_BYTES
from slipway_gateway.admin import server
from slipway_gateway.app import drain
from slipway_gateway.settings import Listen

from .fake_engine import SSE_HEAD, Call, FakeEngine, chunk
from .harness import BODY, Client, Harness, Start, get, post

EVENT = b'data: {"x":1}\n\n'


async def _begun_stream(harness: Harness, go_on: asyncio.Event) -> Client:
    """A client in the middle of a stream that ends when `go_on` is set."""
    engine = await harness.engine()

    async def stream(call: Call) -> None:
        await call.send(SSE_HEAD + chunk(EVENT))
        await go_on.wait()
        await call.send(chunk(EVENT) + b"0\r\n\r\n")

    engine.script.append(stream)
    harness.service(engine)
    client = await harness.client()
    await client.send(post())
    client._rest = await asyncio.wait_for(client.reader.readuntil(EVENT), 5)
    return client


async def test_drain_fails_no_request(start: Start) -> None:
    harness = await start()
    go_on, port = asyncio.Event(), harness.port
    streaming = await _begun_stream(harness, go_on)
    idle = await harness.client()
    await idle.ask(get("/v1/models"), "GET")
    halfway = await harness.client()
    await halfway.send(post()[:-5])
    await harness.until(lambda: len(harness.gateway.connections) == 3)
    draining = harness.gateway.loop.create_task(drain(harness.gateway, harness.listener))
    assert await idle.rest() == b""
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    last = await halfway.ask(post()[-5:])
    assert (last.status, last.header("connection")) == (200, "close")
    assert not draining.done()
    go_on.set()
    assert (await streaming.reply()).body == EVENT + EVENT
    streaming.close()
    halfway.close()
    await asyncio.wait_for(draining, 5)


async def test_connections_still_come_during_the_delay_and_are_told_to_close(start: Start) -> None:
    harness = await start(drain_delay_seconds=60.0)
    harness.service(await harness.engine())
    kept = await harness.client()
    assert (await kept.ask(post())).header("connection") is None
    draining = harness.gateway.loop.create_task(drain(harness.gateway, harness.listener))
    await harness.until(lambda: harness.gateway.draining)
    for client in (kept, await harness.client()):
        reply = await client.ask(post())
        assert (reply.status, reply.header("connection")) == (200, "close")
        assert await client.rest() == b""
    draining.cancel()


async def test_what_is_left_after_the_drain_is_answered_or_broken_off(start: Start) -> None:
    harness = await start(drain_seconds=0.05, linger_seconds=0.05)
    streaming = await _begun_stream(harness, asyncio.Event())
    harness.ready()
    held = await harness.client()
    await held.send(post())
    await harness.until(lambda: harness.load() == (1, 1))
    began = harness.gateway.now()
    await drain(harness.gateway, harness.listener)
    assert harness.gateway.now() - began < 2
    reply = await held.reply()
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "shutting_down", "1")
    rest = await streaming.rest()
    assert b"shutting down" in rest
    assert not rest.endswith(b"0\r\n\r\n")
    assert harness.load() == (0, 0)


async def test_admin_port(start: Start) -> None:
    harness = await start()
    harness.service()
    harness.table.synced = False
    admin = server(harness.gateway, Listen("127.0.0.1", 0))
    serving = asyncio.get_running_loop().create_task(admin.serve())
    await harness.until(lambda: admin.started)
    port = admin.servers[0].sockets[0].getsockname()[1]

    async def ask(path: str) -> tuple[int, bytes]:
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        reply = await client.ask(get(path), "GET")
        client.close()
        return reply.status, reply.body

    assert await ask("/healthz") == (200, b"ok\n")
    assert await ask("/readyz") == (503, b"the routes have not been read yet\n")
    harness.table.synced = True
    assert await ask("/readyz") == (200, b"ok\n")
    harness.gateway.draining = True
    assert await ask("/readyz") == (503, b"shutting down\n")
    assert (
        b'slipway_gateway_requests{inference_namespace="team",inference_service="chat",state="held"} 0.0'
        in (await ask("/metrics"))[1]
    )
    admin.should_exit = True
    await asyncio.wait_for(serving, 5)


async def _process(*arguments: str, stdout: int = asyncio.subprocess.PIPE) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "slipway_gateway",
        *arguments,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )


async def _port_of(process: asyncio.subprocess.Process, says: bytes) -> int:
    assert process.stderr is not None
    while True:
        line = await asyncio.wait_for(process.stderr.readline(), 30)
        assert line, "the gateway ended"
        if says in line:
            return int(line.rstrip(b"\n").rstrip(b")").rpartition(b" ")[2])


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_the_program_serves_a_file_and_ends_on_sigterm_without_failing_a_request(tmp_path: Path) -> None:
    engine = await FakeEngine().start()
    go_on = asyncio.Event()

    async def stream(call: Call) -> None:
        await call.send(SSE_HEAD + chunk(EVENT))
        await go_on.wait()
        await call.send(chunk(EVENT) + b"0\r\n\r\n")

    engine.script.append(stream)
    routes = tmp_path / "routes.yaml"
    routes.write_text(f"services: [{{name: chat, endpoints: ['127.0.0.1:{engine.port}']}}]")
    local = "127.0.0.1:0"
    process = await _process("--routes", str(routes), "--listen", local, "--admin", local, "--drain-delay-seconds", "0")
    try:
        port = await _port_of(process, b"listening on")
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        await client.send(post(BODY))
        client._rest = await asyncio.wait_for(client.reader.readuntil(EVENT), 10)
        process.send_signal(signal.SIGTERM)
        await _refusing(port)
        go_on.set()
        assert (await client.reply()).body == EVENT + EVENT
        client.close()
        out, _ = await asyncio.wait_for(process.communicate(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await engine.stop()
    assert process.returncode == 0
    (line,) = [json.loads(text) for text in out.splitlines()]
    assert (line["model"], line["status"], line["outcome"]) == ("default/chat", 200, "ok")


async def _refusing(port: int) -> None:
    """Returns once the listener is closed."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                return
            writer.close()
            await asyncio.sleep(0.01)


@pytest.mark.asyncio(loop_factories=["uvloop"])
async def test_the_program_says_why_it_cannot_start(tmp_path: Path) -> None:
    local = "127.0.0.1:0"
    process = await _process("--routes", str(tmp_path / "none.yaml"), "--listen", local, "--admin", local)
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 1
    assert b"none.yaml" in errors
    assert b"Traceback" not in errors


@pytest.mark.asyncio(loop_factories=["uvloop"])
@pytest.mark.parametrize("reader_is_there", [False, True])
async def test_a_log_that_nobody_reads_costs_no_request(tmp_path: Path, reader_is_there: bool) -> None:
    routes = tmp_path / "routes.yaml"
    routes.write_text("services: []")
    local = "127.0.0.1:0"
    settings = ("--listen", local, "--admin", local, "--drain-delay-seconds", "0", "--sweep-seconds", "30")
    reader, writer = os.pipe()
    process = await _process("--routes", str(routes), *settings, stdout=writer)
    os.close(writer)
    if not reader_is_there:
        os.close(reader)
    try:
        assert process.stderr is not None
        port = await _port_of(process, b"listening on")
        client = Client(*await asyncio.open_connection("127.0.0.1", port))
        for _ in range(2 * FLUSH_BYTES // 100):  # a line has more than 100 bytes
            assert (await client.ask(get("/v1/models"), "GET")).status == 200
        client.close()
        process.send_signal(signal.SIGTERM)
        said = await asyncio.wait_for(process.stderr.read(), 10)
        await asyncio.wait_for(process.wait(), 10)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if reader_is_there:
            os.close(reader)
    assert said.count(b"the access log cannot be written, its lines are dropped: ") == 1
    assert (process.returncode, b"Traceback" in said) == (0, False)


def test_what_is_left_of_a_log_that_nobody_reads_does_not_change_the_exit_code() -> None:
    program = (
        "from slipway_gateway.accesslog import AccessLog, standard_output\n"
        "log = AccessLog(standard_output()); log.write({}); log.close(5)"
    )
    reader, writer = os.pipe()
    os.close(reader)
    ended = subprocess.run(
        [sys.executable, "-c", program], stdout=writer, env={**os.environ, "PYTHONUNBUFFERED": ""}, check=False
    )
    os.close(writer)
    assert ended.returncode == 0


async def test_a_reader_that_sleeps_costs_the_lines_beyond_a_bound_and_no_request(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness = await start(sweep_seconds=60.0)
    awake, asleep = threading.Event(), threading.Event()

    class Pipe(io.BytesIO):
        def write(self, data: Buffer) -> int:
            asleep.set()
            assert awake.wait(10)
            return super().write(bytes(data)[:100])  # as a pipe may, in the middle of a line

    log = harness.gateway.access_log
    log._stream = pipe = Pipe()
    await harness.ask(get("/first"), "GET")
    log.flush()
    assert asleep.wait(5)
    monkeypatch.setattr(accesslog, "WAITING_BYTES_MAX", 2 * log._waiting_bytes + 50)  # what is being written counts
    for path in ("/second", "/lost", "/lost"):
        await harness.ask(get(path), "GET")
        log.flush()
    assert harness.metric("slipway_gateway_access_log_lines_dropped_total") == 2
    assert not log.written(0.0)
    awake.set()
    assert log.written(5.0)
    await harness.ask(get("/third"), "GET")
    assert log.written(5.0)
    assert [json.loads(line)["path"] for line in pipe.getvalue().splitlines()] == ["/first", "/second", "/third"]
    assert harness.metric("slipway_gateway_access_log_lines_dropped_total") == 2


async def test_lines_that_cannot_be_written_are_counted_and_the_next_are_tried_again(start: Start) -> None:
    harness = await start(sweep_seconds=60.0)
    full = True

    class Disk(io.BytesIO):
        def write(self, data: Buffer) -> int:
            if full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    harness.gateway.access_log._stream = disk = Disk()
    for path in ("/lost", "/lost", "/written"):
        full = path == "/lost"
        await harness.ask(get(path), "GET")
        assert harness.gateway.access_log.written(5.0)
    assert [json.loads(line)["path"] for line in disk.getvalue().splitlines()] == ["/written"]
    assert harness.metric("slipway_gateway_access_log_lines_dropped_total") == 2
