"""Engines and clients that fail: before the first byte, after it, too slow, gone."""

import asyncio
import contextlib
import json
import socket

import pytest

from slipway_gateway.routing import Address

from .fake_engine import SSE_HEAD, Call, FakeEngine, chunk, raw, response
from .harness import BODY, CHAT, Harness, Start, post

EVENT = b'data: {"x":1}\n\n'
LABELS = {"inference_namespace": CHAT.namespace, "inference_service": CHAT.name}


async def _scripted(harness: Harness, *pieces: bytes, then: str = "keep") -> FakeEngine:
    engine = await harness.engine()
    engine.default = raw(*pieces, then=then)
    return engine


def retries(harness: Harness, reason: str) -> float:
    return harness.metric("slipway_gateway_upstream_retries_total", reason=reason, **LABELS) or 0


async def test_unreachable_replica_is_replaced_by_another(start: Start) -> None:
    harness = await start()
    good, gone = await harness.engine(), await harness.engine()
    harness.service(good, gone)
    await gone.stop()
    for _ in range(4):
        assert (await harness.ask(post())).status == 200
    assert len(good.seen) == 4
    assert retries(harness, "failed") == 2


@pytest.mark.parametrize("then", ["close", "abort"])
async def test_replica_that_dies_before_the_first_byte_is_replaced(start: Start, then: str) -> None:
    harness = await start()
    good, bad = await harness.engine(), await _scripted(harness, then=then)
    harness.service(good, bad)
    for _ in range(2):
        assert (await harness.ask(post())).status == 200
    assert [seen.body for seen in (*good.seen, *bad.seen)] == [BODY] * 3


async def test_no_more_than_two_further_replicas_are_tried(start: Start) -> None:
    harness = await start()
    engines = [await _scripted(harness, then="close") for _ in range(5)]
    harness.service(*engines)
    reply = await harness.ask(post())
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (502, "upstream_unreachable", "1")
    assert sum(len(engine.seen) for engine in engines) == 3
    assert max(len(engine.seen) for engine in engines) == 1
    assert harness.load() == (0, 0)


async def test_only_replica_is_not_tried_twice(start: Start) -> None:
    harness = await start()
    engine = await _scripted(harness, then="close")
    harness.service(engine)
    reply = await harness.ask(post())
    assert (reply.status, len(engine.seen)) == (502, 1)


@pytest.mark.parametrize("address", ["another", "the same"])
async def test_replica_that_leaves_while_it_fails_leads_into_the_hold(start: Start, address: str) -> None:
    """A restarted container comes back with its pod's address."""
    harness = await start()
    bad = await harness.engine()
    good = await harness.engine() if address == "another" else bad

    async def leave_and_die(call: Call) -> None:
        harness.ready()
        call.abort()

    bad.script.append(leave_and_die)
    harness.service(bad)
    client = await harness.client()
    await client.send(post())
    await harness.until(lambda: harness.load() == (1, 0))
    harness.ready(good)
    assert (await client.reply()).status == 200


async def test_request_that_kills_every_replica_is_not_held_for_ever(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()

    async def leave_and_die(call: Call) -> None:
        harness.ready()
        call.abort()

    engine.default = leave_and_die
    harness.service(engine)
    client = await harness.client()
    await client.send(post())
    for _ in range(2):
        await harness.until(lambda: harness.load() == (1, 0))
        harness.ready(engine)
    reply = await client.reply()
    assert (reply.status, reply.error["code"], len(engine.seen)) == (502, "upstream_unreachable", 3)
    assert harness.logged()[0]["tried"] == 3


async def test_stale_connection_is_replaced_at_the_same_replica(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)

    async def die_at_the_second(call: Call) -> None:
        await call.send(response(b"{}"))
        await call.reader.read(1)  # the second request begins
        call.abort()

    engine.script.append(die_at_the_second)
    client = await harness.client()
    assert [(await client.ask(post())).status for _ in range(2)] == [200, 200]
    assert (engine.connections, retries(harness, "stale"), retries(harness, "failed")) == (2, 1, 0)


async def test_connect_time_out(start: Start) -> None:
    """A listening socket whose backlog is full swallows connects."""
    harness = await start(connect_seconds=0.05)
    good = await harness.engine()
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        harness.service(good)
        addresses = frozenset({Address("127.0.0.1", good.port), Address("127.0.0.1", deaf.getsockname()[1])})
        harness.table.put_slice((CHAT, "slice"), addresses)
        assert {(await harness.ask(post())).status for _ in range(2)} == {200}
        for filler in fillers:
            filler.close()
    assert retries(harness, "failed") == 1


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HTTP/1.1 200 OK\r\ncontent-"],
        [b"HTTP/1.1 100 Continue\r\n\r\n"],
        [b"SSH-2.0-OpenSSH\r\n"],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc"],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"],
        [b"HTTP/1.1 000 No\r\ncontent-length: 2\r\n\r\nhi"],
        [b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nx: " + b"a" * 40_000, b"a" * 60_000],
    ],
)
async def test_unusable_answer_is_502_and_not_repeated(start: Start, pieces: list[bytes]) -> None:
    harness = await start()
    bad, good = await _scripted(harness, *pieces, then="close"), await harness.engine()
    harness.service(bad)
    client = await harness.client()
    reply = await client.ask(post())
    assert (reply.status, reply.error["code"]) == (502, "upstream_failed")
    assert len(bad.seen) == 1
    harness.ready(good)
    assert (await client.ask(post())).status == 200


async def test_stream_that_breaks_between_events_ends_with_an_error_event(start: Start) -> None:
    harness = await start()
    harness.service(await _scripted(harness, SSE_HEAD + chunk(EVENT) + chunk(EVENT), then="abort"))
    client = await harness.client()
    await client.send(post())
    text = await client.rest()
    _, _, body = text.partition(b"\r\n\r\n")
    assert body.startswith((chunk(EVENT + EVENT), chunk(EVENT) + chunk(EVENT)))
    last = body.split(b"data: ")[-1].split(b"\n\n")[0]
    assert json.loads(last)["error"]["code"] == "upstream_failed"
    assert not body.endswith(b"0\r\n\r\n")  # the end that was promised does not come
    assert harness.metric("slipway_gateway_responses_cut_total", **LABELS) == 1
    assert harness.logged()[0]["outcome"] == "cut"


@pytest.mark.parametrize(
    "pieces",
    [
        [SSE_HEAD + chunk(EVENT) + chunk(b'data: {"half')],
        [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunk(b"abc")],
        [b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc"],
    ],
    ids=["inside an event", "chunked", "sized"],
)
async def test_response_that_breaks_otherwise_is_left_unfinished(start: Start, pieces: list[bytes]) -> None:
    harness = await start()
    harness.service(await _scripted(harness, *pieces, then="abort"))
    client = await harness.client()
    await client.send(post())
    text = await client.rest()
    assert b"error" not in text
    assert not text.endswith(b"0\r\n\r\n")
    assert text.endswith((b"abc", b"abc\r\n", b"half\r\n"))


async def test_broken_response_without_framing_resets_the_client(start: Start) -> None:
    """An HTTP/1.0 client takes the end of the connection for the end of the response, unless it is a reset."""
    harness = await start()
    harness.service(await _scripted(harness, SSE_HEAD + chunk(EVENT), then="abort"))
    client = await harness.client()
    await client.send(post(version="1.0"))
    with pytest.raises(ConnectionResetError):
        await client.rest()


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_silent_replica_is_given_up(start: Start, moment: str) -> None:
    harness = await start(response_seconds=0.05)
    engine = await _scripted(harness, *([SSE_HEAD + chunk(EVENT)] if moment == "after" else []))
    harness.service(engine)
    client = await harness.client()
    await client.send(post())
    text = await client.rest() if moment == "after" else (await client.reply()).body
    assert b"silent for 0.05 seconds" in text
    await asyncio.wait_for(engine.closed.wait(), 5)


@pytest.mark.parametrize("moment", ["before", "after"])
async def test_client_that_leaves_stops_the_engine_at_once(start: Start, moment: str) -> None:
    harness = await start(sweep_seconds=60)  # no time-out helps
    engine = await _scripted(harness, *([SSE_HEAD + chunk(EVENT)] if moment == "after" else []))
    harness.service(engine)
    client = await harness.client()
    await client.send(post())
    if moment == "after":
        await client.reader.readuntil(EVENT)
    await asyncio.wait_for(engine.arrived.wait(), 5)
    assert harness.load() == (0, 1)
    client.close()
    await asyncio.wait_for(engine.closed.wait(), 0.1)
    assert harness.load() == (0, 0)
    assert harness.logged()[0]["outcome"] == "client_gone"
    code = "499" if moment == "before" else "200"
    assert harness.metric("slipway_gateway_responses_total", code=code, **LABELS) == 1


async def test_client_that_leaves_while_the_gateway_connects(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    await client.send(post())
    await harness.until(lambda: harness.load() == (0, 1) or engine.seen)
    client.abort()
    await harness.until(lambda: harness.load() == (0, 0))
    assert (await harness.ask(post())).status == 200


async def test_slow_client_holds_back_the_engine_and_memory_stays_bounded(start: Start) -> None:
    harness = await start(response_seconds=0.4)  # a slow client is not a silent engine
    engine = await harness.engine()
    harness.service(engine)
    total, sent = 16 * 1024 * 1024, 0
    piece = b"x" * 65536
    stuck = asyncio.Event()

    async def pour(call: Call) -> None:
        nonlocal sent
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
        while sent < total:
            call.writer.write(piece)
            sent += len(piece)
            try:
                await asyncio.wait_for(call.writer.drain(), 0.5)
            except TimeoutError:
                stuck.set()
                await call.writer.drain()

    engine.script.append(pour)
    client = await harness.client()
    await harness.until(lambda: harness.gateway.connections)
    (connection,) = harness.gateway.connections
    # Else the kernel alone might take all of it
    client.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
    await client.send(post())
    await asyncio.wait_for(stuck.wait(), 10)
    assert connection._transport.get_write_buffer_size() < 1024 * 1024
    assert sent < total
    reply = await client.reply()
    assert len(reply.body) == total
    assert (await client.ask(post())).status == 200


async def test_client_that_takes_nothing_is_cut_off(start: Start) -> None:
    harness = await start(stall_seconds=0.1)
    engine = await harness.engine()
    harness.service(engine)
    engine.default = raw(b"HTTP/1.1 200 OK\r\ncontent-length: 33554432\r\n\r\n", b"x" * 33554432)
    client = await harness.client()
    await client.send(post())
    await asyncio.wait_for(engine.closed.wait(), 10)
    await harness.until(lambda: harness.load() == (0, 0))


async def test_last_response_to_a_slow_client_is_not_cut_short(start: Start) -> None:
    """`Connection: close` and a response that is read long after it was written."""
    harness = await start(linger_seconds=0.02, stall_seconds=5)
    harness.service(await _scripted(harness, response(b"x" * 2_000_000), then="close"))
    client = await harness.client()
    await harness.until(lambda: harness.gateway.connections)
    (connection,) = harness.gateway.connections
    connection._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await client.send(post(BODY, "connection: close"))
    while not harness.logged():  # the engine's part is over, the client's is not
        client._rest += await client.reader.read(65536)
    assert connection._transport.get_write_buffer_size() > 0
    await asyncio.sleep(0.1)
    assert len((await client.reply()).body) == 2_000_000
    assert await client.rest() == b""


async def test_early_answer_to_a_large_body_is_passed_on(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(response(b"{}", status="413 Content Too Large"))
        with contextlib.suppress(ConnectionError):
            await reader.read()
            await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    harness.table.put_slice((CHAT, "slice"), frozenset({Address("127.0.0.1", port)}))
    client = await harness.client()
    assert (await client.ask(post(BODY.ljust(12_000_000)))).status == 413
    harness.ready(engine)
    assert (await client.ask(post())).status == 200
    await asyncio.wait_for(over.wait(), 5)
    server.close()


async def test_a_service_that_is_deleted_under_a_request_leaves_no_series(start: Start) -> None:
    harness = await start()
    engine = await _scripted(harness)
    harness.service(engine)
    client = await harness.client()
    await client.send(post())
    await asyncio.wait_for(engine.arrived.wait(), 5)
    harness.table.drop_service(CHAT)
    await engine.stop()
    reply = await client.reply()
    assert (reply.status, reply.error["message"]) == (404, "team/chat was deleted before it answered the request.")
    assert harness.metric("slipway_gateway_upstream_retries_total", reason="failed", **LABELS) is None
