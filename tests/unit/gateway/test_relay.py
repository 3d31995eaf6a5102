"""What passes through, both ways: bytes, headers, streams, and connections that are used again."""

import asyncio
import json

import pytest

from .fake_engine import SSE_HEAD, Call, chunk, raw, response
from .harness import BODY, CHAT, Start, get, post

EVENTS = [b'data: {"choices":[{"delta":{"content":"%d \xc3\xa9"}}]}\n\n' % number for number in range(20)]


async def test_body_and_target_reach_the_engine_unchanged(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    reply = await harness.ask(post(BODY, path="/v1/chat/completions?api-version=2"))
    assert reply.status == 200
    (seen,) = engine.seen
    assert (seen.method, seen.target, seen.body) == ("POST", "/v1/chat/completions?api-version=2", BODY)
    assert seen.header("host") == f"127.0.0.1:{engine.port}"


async def test_chunked_request_body_arrives_whole_with_a_length(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    head = b"POST /v1/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    tail = b"0\r\nx-trailer: 1\r\n\r\n"
    reply = await harness.ask(head + chunk(BODY[:7]) + chunk(BODY[7:]) + tail)
    assert reply.status == 200
    assert engine.seen[0].body == BODY
    assert engine.seen[0].header("transfer-encoding") is None
    assert engine.seen[0].header("x-trailer") is None


async def test_hop_by_hop_headers_stop_in_both_directions(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    kept = ["connection: close, x-hop", "keep-alive: 5", "x-hop: 1", "x-kept: 2"]
    engine.script.append(raw(response(b"{}", headers=kept), then="close"))
    asked = [
        "connection: keep-alive, x-mine",
        "x-mine: 1",
        "te: trailers",
        "proxy-authorization: x",
        "traceparent: 00-a",
    ]
    reply = await harness.ask(post(BODY, *asked, "authorization: Bearer k"))
    seen = engine.seen[0]
    assert [seen.header(name) for name in ("x-mine", "te", "proxy-authorization", "connection")] == [None] * 4
    assert (seen.header("traceparent"), seen.header("authorization")) == ("00-a", "Bearer k")
    assert [reply.header(name) for name in ("x-hop", "keep-alive", "connection")] == [None] * 3
    assert reply.header("x-kept") == "2"


@pytest.mark.parametrize("given", [None, "abc-1", "x" * 200])
async def test_request_id_is_kept_or_made_and_echoed(start: Start, given: str | None) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(raw(response(b"{}", headers=["x-request-id: the-engines"])))
    reply = await harness.ask(post(BODY, *([] if given is None else [f"x-request-id: {given}"])))
    echoed = reply.header("x-request-id")
    assert echoed == engine.seen[0].header("x-request-id")
    assert echoed == given if given == "abc-1" else echoed is not None and len(echoed) == 32


async def test_stream_is_byte_identical_and_not_gathered(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    go_on = asyncio.Event()

    async def stream(call: Call) -> None:
        await call.send(SSE_HEAD + chunk(EVENTS[0]))
        await go_on.wait()
        for event in [*EVENTS[1:], b"data: [DONE]\n\n"]:
            await call.send(chunk(event[:5]) + chunk(event[5:]))
        await call.send(b"0\r\nx-trailer: 1\r\n\r\n")

    engine.script.append(stream)
    client = await harness.client()
    await client.send(post())
    first = await asyncio.wait_for(client.reader.readuntil(EVENTS[0]), 5)  # before the second event exists
    go_on.set()
    client._rest = first
    reply = await client.reply()
    assert reply.body == b"".join(EVENTS) + b"data: [DONE]\n\n"
    assert reply.header("content-type") == "text/event-stream; charset=utf-8"
    assert reply.header("x-trailer") is None


async def test_interim_responses_are_read_over(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(
        raw(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + response(b'{"a":1}'))
    )
    reply = await harness.ask(post())
    assert (reply.status, reply.body, reply.header("link"), reply.interim) == (200, b'{"a":1}', None, [])


async def test_response_that_ends_with_the_connection_is_chunked_for_the_client(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(raw(b"HTTP/1.1 200 OK\r\n\r\nab", b"cd", then="close"))
    client = await harness.client()
    reply = await client.ask(post())
    assert (reply.body, reply.header("transfer-encoding")) == (b"abcd", "chunked")
    assert (await client.ask(post())).status == 200  # the client's connection goes on


async def test_http_1_0_client_gets_no_chunks(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(raw(SSE_HEAD + chunk(EVENTS[0]) + chunk(EVENTS[1]) + b"0\r\n\r\n"))
    client = await harness.client()
    await client.send(post(version="1.0"))
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert body == EVENTS[0] + EVENTS[1]
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head


async def test_http_1_0_keep_alive_with_a_length(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    client = await harness.client()
    for _ in range(2):
        reply = await client.ask(post(BODY, "connection: keep-alive", version="1.0"))
        assert (reply.status, reply.header("connection")) == (200, "keep-alive")


async def test_a_length_that_connection_names_still_reaches_the_client(start: Start) -> None:
    """Without it nothing would say where the answer ends."""
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(
        raw(b"HTTP/1.1 200 OK\r\nconnection: content-length, x\r\nx: y\r\ncontent-length: 5\r\n\r\nhello")
    )
    client = await harness.client()
    reply = await client.ask(post())
    assert (reply.body, reply.header("content-length"), reply.header("x")) == (b"hello", "5", None)
    assert (await client.ask(post())).status == 200


async def test_204_carries_no_length(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(raw(b"HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n"))
    client = await harness.client()
    reply = await client.ask(post())
    assert (reply.status, reply.header("content-length"), reply.header("transfer-encoding")) == (204, None, None)
    assert (await client.ask(post())).status == 200


async def test_engine_errors_pass_through(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(raw(response(b'{"error":"x"}', status="422 Unprocessable Entity", headers=["retry-after: 7"])))
    reply = await harness.ask(post())
    assert (reply.status, reply.body, reply.header("retry-after")) == (422, b'{"error":"x"}', "7")


async def test_connections_to_the_engine_are_used_again(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    for _ in range(5):
        assert (await client.ask(post())).status == 200
    assert engine.connections == 1


@pytest.mark.parametrize(
    "first",
    [
        response(b"{}", headers=["connection: close"]),
        response(b"{}") + b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged",
        response(b"{}") + b"\x00garbage",
    ],
)
async def test_doubtful_connections_are_not_used_again(start: Start, first: bytes) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    engine.script.append(raw(first))
    client = await harness.client()
    assert (await client.ask(post())).body == b"{}"
    assert (await client.ask(post())).body != b"forged"
    assert engine.connections == 2


async def test_unasked_bytes_on_an_idle_connection_end_it(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)

    async def late_forgery(call: Call) -> None:
        await call.send(response(b"{}"))
        await first_answered.wait()
        await call.send(response(b"forged"))

    first_answered = asyncio.Event()
    engine.script.append(late_forgery)
    client = await harness.client()
    assert (await client.ask(post())).body == b"{}"
    first_answered.set()
    await asyncio.wait_for(engine.closed.wait(), 5)
    assert json.loads((await client.ask(post())).body)["bytes"] == len(BODY)


async def test_idle_upstream_connections_are_closed_in_time(start: Start) -> None:
    harness = await start(upstream_idle_seconds=0.02)
    engine = await harness.engine()
    harness.service(engine)
    assert (await harness.ask(post())).status == 200
    await asyncio.wait_for(engine.closed.wait(), 5)


async def test_replica_that_leaves_has_its_idle_connections_closed(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    assert (await harness.ask(post())).status == 200
    harness.ready()
    await asyncio.wait_for(engine.closed.wait(), 5)


async def test_least_loaded_replica_is_chosen_and_ties_rotate(start: Start) -> None:
    harness = await start()
    engines = [await harness.engine() for _ in range(3)]
    harness.service(*engines)
    for _ in range(6):
        assert (await harness.ask(post())).status == 200
    assert [len(engine.seen) for engine in engines] == [2, 2, 2]


async def test_small_writes_are_not_delayed(start: Start) -> None:
    """40 ms is what Nagle and delayed acknowledgements cost per event; twenty events would take 0.8 s."""
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)

    async def stream(call: Call) -> None:
        await call.send(SSE_HEAD)
        for event in EVENTS:
            await call.send(chunk(event))
            await asyncio.sleep(0.001)
        await call.send(b"0\r\n\r\n")

    engine.script.append(stream)
    began = asyncio.get_running_loop().time()
    assert (await harness.ask(post())).body == b"".join(EVENTS)
    assert asyncio.get_running_loop().time() - began < 0.6


async def test_a_request_as_the_openai_client_writes_it(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    request = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: gateway:8000\r\nAccept-Encoding: gzip, deflate\r\n"
        b"Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        b"User-Agent: OpenAI/Python 2.8.1\r\nX-Stainless-Lang: python\r\nX-Stainless-Async: false\r\n"
        b"Authorization: Bearer sk-x\r\nx-stainless-read-timeout: 600\r\nContent-Length: %d\r\n\r\n%s"
        % (len(BODY), BODY)
    )
    assert (await harness.ask(request)).status == 200
    assert engine.seen[0].header("x-stainless-lang") == "python"
    assert engine.seen[0].header("accept-encoding") == "gzip, deflate"


async def test_log_and_counters_tell_what_happened_and_no_prompt(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    reply = await harness.ask(post(BODY, "authorization: Bearer secret", path="/v1/chat/completions?key=secret"))
    (line,) = harness.logged()
    assert (line["model"], line["status"], line["outcome"], line["method"]) == ("team/chat", 200, "ok", "POST")
    assert (line["request_id"], line["request_bytes"]) == (reply.header("x-request-id"), len(BODY))
    assert 0 < line["first_byte_seconds"] <= line["duration_seconds"]
    assert "Hi" not in json.dumps(line)
    assert "secret" not in json.dumps(line)
    labels = {"inference_namespace": CHAT.namespace, "inference_service": CHAT.name}
    assert harness.metric("slipway_gateway_responses_total", code="200", **labels) == 1
    assert harness.metric("slipway_gateway_request_duration_seconds_count", **labels) == 1
    assert harness.metric("slipway_gateway_time_to_first_byte_seconds_count", **labels) == 1
    assert harness.load() == (0, 0)


async def test_head_of_a_get_route_has_the_length_and_no_body(start: Start) -> None:
    harness = await start()
    client = await harness.client()
    assert (await client.ask(get("/v1/models", method="HEAD"), "HEAD")).body == b""
    assert (await client.ask(get("/v1/models"), "GET")).body == b'{"object":"list","data":[]}'
