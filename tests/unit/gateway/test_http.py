"""HTTP itself: framings that are refused, requests in a row, limits and time-outs of what a client sends."""

import asyncio
import json

import pytest

from .fake_engine import chunk
from .harness import BODY, Start, get, post

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n"
HIDDEN = b"GET /v1/models HTTP/1.1\r\nhost: a\r\n\r\n"  # what a smuggler hopes to have answered

REFUSED = {
    "both lengths": HEAD + b"content-length: 4\r\n" + CHUNKED + b"0\r\n\r\n" + HIDDEN,
    "both lengths, other order": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 4\r\n\r\n0\r\n\r\n" + HIDDEN,
    "length twice": HEAD + b"content-length: 4\r\ncontent-length: 4\r\n\r\nabcd" + HIDDEN,
    "lengths differ": HEAD + b"content-length: 0\r\ncontent-length: 40\r\n\r\n" + HIDDEN,
    "length list": HEAD + b"content-length: 4, 4\r\n\r\nabcd" + HIDDEN,
    "length signed": HEAD + b"content-length: +4\r\n\r\nabcd" + HIDDEN,
    "length negative": HEAD + b"content-length: -1\r\n\r\n" + HIDDEN,
    "length hexadecimal": HEAD + b"content-length: 0x4\r\n\r\nabcd" + HIDDEN,
    "length empty": HEAD + b"content-length:\r\n\r\n" + HIDDEN,
    "length beyond 64 bits": HEAD + b"content-length: 99999999999999999999999\r\n\r\n" + HIDDEN,
    "identity": HEAD + b"transfer-encoding: identity\r\n\r\n" + HIDDEN,
    "gzip, chunked": HEAD + b"transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\n" + CHUNKED + b"0\r\n\r\n" + HIDDEN,
    "chunked, identity": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n" + HIDDEN,
    "xchunked": HEAD + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "vertical tab before chunked": HEAD + b"transfer-encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "space before colon": HEAD + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n" + HIDDEN,
    "space before first header": b"POST / HTTP/1.1\r\n host: a\r\n\r\n" + HIDDEN,
    "folded header": HEAD + b"x: a\r\n b\r\n\r\n" + HIDDEN,
    "bare LF after the request line": b"POST / HTTP/1.1\nhost: a\r\n\r\n" + HIDDEN,
    "bare LF after a header": HEAD + b"x: a\ny: b\r\n\r\n" + HIDDEN,
    "bare LF at the end": HEAD + b"x: a\r\n\n" + HIDDEN,
    "bare CR in a header": HEAD + b"x: a\ry: b\r\n\r\n" + HIDDEN,
    "NUL in a header": HEAD + b"x: a\0b\r\n\r\n" + HIDDEN,
    "no name": HEAD + b": a\r\n\r\n" + HIDDEN,
    "no colon": HEAD + b"abc\r\n\r\n" + HIDDEN,
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n" + HIDDEN,
    "two hosts": b"GET /v1/models HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n" + HIDDEN,
    "chunked in HTTP/1.0": b"POST /v1/models HTTP/1.0\r\n" + CHUNKED + b"0\r\n\r\n" + HIDDEN,
    "chunk size with LF": HEAD + CHUNKED + b"3\nabc\r\n0\r\n\r\n" + HIDDEN,
    "chunk size with space": HEAD + CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "chunk size 0x3": HEAD + CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "chunk size negative": HEAD + CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "chunk size beyond 64 bits": HEAD + CHUNKED + b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n" + HIDDEN,
    "chunk longer than said": HEAD + CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n" + HIDDEN,
    "length in a trailer": HEAD + CHUNKED + b"3\r\nabc\r\n0\r\ncontent-length: 3\r\n\r\n" + HIDDEN,
    "space in the target": b"GET /v1/models x HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "no path": b"GET v1/models HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "other scheme": b"GET ftp://a/v1/models HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "control in the target": b"GET /v1/\x01 HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "small letters": b"get /v1/models HTTP/1.1\r\nhost: a\r\n\r\n" + HIDDEN,
    "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
}


@pytest.mark.parametrize("request_bytes", REFUSED.values(), ids=REFUSED.keys())
async def test_doubtful_framing_is_refused_and_the_connection_closed(start: Start, request_bytes: bytes) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    await client.send(request_bytes)
    reply = await client.reply()
    assert reply.status == 400
    assert reply.error["code"] == "malformed_request"
    assert reply.header("connection") == "close"
    assert await client.rest() == b""  # nothing that was hidden is answered
    assert engine.seen == []


@pytest.mark.parametrize("version", ["2.0", "0.9"])
async def test_versions_that_are_not_spoken(start: Start, version: str) -> None:
    harness = await start()
    client = await harness.client()
    reply = await client.ask(f"GET /v1/models HTTP/{version}\r\nhost: a\r\n\r\n".encode())
    assert (reply.status, await client.rest()) == (505, b"")


async def test_request_split_at_every_byte_gives_the_same_answer(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    request = post(BODY, "x-request-id: same", "expect: 100-continue")
    whole = await harness.ask(request)
    for position in range(1, len(request)):
        client = await harness.client()
        await client.send(request[:position])
        await asyncio.sleep(0)
        await client.send(request[position:])
        reply = await client.reply()
        assert (reply.status, reply.headers, reply.body) == (whole.status, whole.headers, whole.body)
        client.close()
    assert {(seen.body, tuple(seen.headers)) for seen in engine.seen} == {(BODY, tuple(engine.seen[0].headers))}


async def test_chunked_request_byte_by_byte(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    for byte in HEAD + CHUNKED + chunk(BODY[:5]) + chunk(BODY[5:]) + b"0\r\nx: y\r\n\r\n":
        await client.send(bytes([byte]))
    assert (await client.reply()).status == 200
    assert engine.seen[0].body == BODY


async def test_pipelined_requests_are_answered_in_order(start: Start) -> None:
    """One at the engine, one answered here, one refused: all in one write, and again byte by byte."""
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    row = post(BODY, path="/v1/completions") + get("/v1/models") + get("/nowhere") + post(BODY, path="/v1/embeddings")
    client = await harness.client()
    for pieces in ([row], [bytes([byte]) for byte in row]):
        for piece in pieces:
            await client.send(piece)
        replies = [await client.reply() for _ in range(4)]
        assert [reply.status for reply in replies] == [200, 200, 404, 200]
        targets = [json.loads(reply.body).get("target") for reply in replies]
        assert targets == ["/v1/completions", None, None, "/v1/embeddings"]
    assert max(len(engine.seen), engine.connections) == 4


async def test_many_pipelined_local_answers_need_no_depth(start: Start) -> None:
    harness = await start()
    client = await harness.client()
    await client.send(get("/v1/models") * 60)
    assert [(await client.reply("GET")).status for _ in range(60)] == [200] * 60


async def test_too_many_pipelined_are_answered_up_to_the_bound(start: Start) -> None:
    harness = await start()
    client = await harness.client()
    await client.send(get("/v1/models") * 70)
    statuses = [(await client.reply("GET")).status for _ in range(65)]
    assert statuses == [200] * 64 + [429]
    assert await client.rest() == b""


async def test_a_bad_request_waits_for_the_answers_before_it(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    client = await harness.client()
    await client.send(post() + REFUSED["both lengths"])
    assert [(await client.reply()).status for _ in range(2)] == [200, 400]
    assert await client.rest() == b""


async def test_nothing_is_served_after_connection_close(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    client = await harness.client()
    await client.send(post(BODY, "connection: close") + HIDDEN)
    reply = await client.reply()
    assert (reply.status, reply.header("connection")) == (200, "close")
    assert await client.rest() == b""


async def test_what_comes_while_busy_is_bounded_and_served_later(start: Start) -> None:
    """1 MiB of pipelined requests: the gateway stops reading from the client, and loses nothing."""
    harness = await start()
    engine = await harness.engine()
    harness.service()  # no replica yet: the first request is held
    client = await harness.client()
    await client.send(post())
    await harness.until(lambda: harness.load() == (1, 0))
    count = 64
    client.writer.write(post(BODY + b" " * 16_000) * count)
    (connection,) = harness.gateway.connections
    await harness.until(lambda: len(connection._ahead) > 64 * 1024)
    assert len(connection._ahead) <= (64 + 256) * 1024  # the bound, and one read
    harness.ready(engine)
    assert {(await client.reply()).status for _ in range(count + 1)} == {200}
    assert len(engine.seen) == count + 1


async def test_expect_continue_is_answered_before_the_body(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    request = post(BODY, "expect: 100-continue")
    await client.send(request[: -len(BODY)])
    assert await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    reply = await client.ask(BODY)
    assert (reply.status, engine.seen[0].header("expect")) == (200, None)


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post(b"x" * 40, "expect: 100-continue", path="/v1/nothing"), 404),
        (post(b"x" * 4000, "expect: 100-continue"), 413),
        (post(BODY, "expect: 200-ok"), 417),
    ],
)
async def test_expect_continue_is_refused_without_the_body(start: Start, request_bytes: bytes, status: int) -> None:
    harness = await start(body_limit_bytes=1000)
    client = await harness.client()
    await client.send(request_bytes.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    reply = await client.reply()
    assert (reply.status, reply.interim, reply.header("connection")) == (status, [], "close")
    assert await client.rest() == b""


async def test_continue_does_not_overtake_an_earlier_answer(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    client = await harness.client()
    second = post(BODY, "expect: 100-continue")
    await client.send(post() + second[: -len(BODY)])
    first = await client.reply()
    assert (first.status, first.interim) == (200, [])
    await client.send(BODY)
    assert (await client.reply()).interim == [100]


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_above_the_limit_is_413_and_readable(start: Start, chunked: bool) -> None:
    harness = await start(body_limit_bytes=1000)
    client = await harness.client()
    body = b"x" * 500_000
    client.writer.write(HEAD + CHUNKED + chunk(body) if chunked else post(body))
    reply = await client.reply()
    assert (reply.status, reply.error["code"]) == (413, "request_too_large")
    assert "1000 bytes" in reply.error["message"]


@pytest.mark.parametrize("size", [999, 1000])
async def test_body_within_the_limit_passes(start: Start, size: int) -> None:
    harness = await start(body_limit_bytes=1000)
    harness.service(await harness.engine())
    assert (await harness.ask(post(BODY.ljust(size)))).status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"x-large: " + b"a" * 5000 + b"\r\n",
        b"x: y\r\n" * 257,
        b"x-endless: " + b"a" * 5000,
        b"x-" + b"a" * 5000,
    ],
    ids=["one large", "many", "value without end", "name without end"],
)
@pytest.mark.parametrize("step", [1 << 20, 7])
async def test_headers_above_the_limit_are_431(start: Start, head: bytes, step: int) -> None:
    harness = await start(head_limit_bytes=4000)
    client = await harness.client()
    data = HEAD + head
    for position in range(0, len(data), step):
        client.writer.write(data[position : position + step])
        await asyncio.sleep(0)
    reply = await client.reply()
    assert (reply.status, reply.error["code"]) == (431, "headers_too_large")


async def test_long_target_is_431(start: Start) -> None:
    harness = await start(head_limit_bytes=4000)
    assert (await harness.ask(get("/v1/models?" + "a" * 5000))).status == 431


async def test_trailers_are_bounded_too(start: Start) -> None:
    harness = await start(head_limit_bytes=4000)
    client = await harness.client()
    await client.send(HEAD + CHUNKED + chunk(BODY) + b"0\r\n")
    reply = asyncio.ensure_future(client.reply())
    while not reply.done():  # never a whole trailer
        client.writer.write(b"x" * 100)
        await asyncio.sleep(0)
    assert reply.result().status == 431


async def test_slow_headers_are_408(start: Start) -> None:
    harness = await start(head_seconds=0.05)
    client = await harness.client()
    await client.send(HEAD[:10])
    reply = await client.reply()
    assert (reply.status, reply.error["code"]) == (408, "request_timeout")
    assert await client.rest() == b""


async def test_dripping_does_not_renew_the_time(start: Start) -> None:
    harness = await start(head_seconds=0.1)
    client = await harness.client()

    async def drip() -> None:
        await client.send(HEAD)
        while True:
            await client.send(b"x: y\r\n")
            await asyncio.sleep(0.01)

    dripping = asyncio.get_running_loop().create_task(drip())
    assert (await client.reply()).status == 408
    dripping.cancel()


async def test_slow_body_is_408(start: Start) -> None:
    harness = await start(body_seconds=0.05)
    client = await harness.client()
    await client.send(post()[:-1])
    reply = await client.reply()
    assert (reply.status, "body" in reply.error["message"]) == (408, True)


async def test_half_a_request_after_a_whole_one_is_408_too(start: Start) -> None:
    """What is left over in the same read gets its time when the first is answered."""
    harness = await start(head_seconds=0.05)
    harness.service(await harness.engine())
    client = await harness.client()
    await client.send(post() + HEAD)
    assert [(await client.reply()).status for _ in range(2)] == [200, 408]


async def test_idle_connection_is_closed_without_a_word(start: Start) -> None:
    harness = await start(idle_seconds=0.05)
    client = await harness.client()
    assert (await client.ask(get("/v1/models"), "GET")).status == 200
    assert await client.rest() == b""


async def test_connections_above_the_bound_are_503(start: Start) -> None:
    harness = await start(connections_max=1)
    assert (await harness.ask(get("/v1/models"), "GET")).status == 200
    reply = await (await harness.client()).reply()
    assert (reply.status, reply.header("retry-after")) == (503, "1")


# As JDK 17's java.net.http writes every request, unless it is told to speak HTTP/1.1
JAVA_HEAD = (
    b"POST /v1/chat/completions HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 30\r\n"
    b"Host: 127.0.0.1:28990\r\nHTTP2-Settings: AAEAAEAAAAIAAAAAAAMAAAAAAAQBAAAAAAUAAEAAAAYABgAA\r\nUpgrade: h2c\r\n"
    b"User-Agent: Java-http-client/17.0.15\r\ncontent-type: application/json\r\n\r\n"
)
JAVA_BODY = b'{"model":"chat","messages":[]}'
OFFER = ("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQCAAAA")


@pytest.mark.parametrize("step", [1 << 20, len(JAVA_HEAD), 1])
async def test_an_offer_of_http_2_is_ignored(start: Start, step: int) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    row = (JAVA_HEAD + JAVA_BODY) * 2
    for position in range(0, len(row), step):
        await client.send(row[position : position + step])
        await asyncio.sleep(0)
    replies = [await client.reply() for _ in range(2)]
    assert [(reply.status, reply.header("connection")) for reply in replies] == [(200, None)] * 2
    assert [seen.body for seen in engine.seen] == [JAVA_BODY] * 2
    for name in ("connection", "upgrade", "http2-settings"):
        assert engine.seen[0].header(name) is None
    assert engine.seen[0].header("user-agent") == "Java-http-client/17.0.15"


async def test_an_offer_is_ignored_whatever_the_body(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    pieces = HEAD + "\r\n".join(OFFER).encode() + b"\r\n" + CHUNKED + chunk(BODY[:5]) + chunk(BODY[5:]) + b"0\r\n\r\n"
    await client.send(get("/v1/models", *OFFER) + pieces + post(BODY, *OFFER, version="1.0"))
    assert (await client.reply("GET")).status == 200
    assert [(await client.reply()).status for _ in range(2)] == [200, 200]
    assert await client.rest() == b""  # HTTP/1.0 does not ask to be kept
    assert [seen.body for seen in engine.seen] == [BODY, BODY]


async def test_an_offer_waits_for_its_100_continue(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    client = await harness.client()
    await client.send(post(BODY, *OFFER, "expect: 100-continue")[: -len(BODY)])
    assert await asyncio.wait_for(client.reader.readuntil(b"\r\n\r\n"), 5) == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert (await client.ask(BODY)).status == 200


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (post(b"x" * 4000, *OFFER), 413),
        (post(BODY, *OFFER, "content-length: 4"), 400),
        (post(BODY, *OFFER, "transfer-encoding: chunked"), 400),
        (post(BODY, *OFFER, "host: b"), 400),
        (post(BODY, *OFFER).replace(b"HTTP/1.1", b"HTTP/2.0"), 505),
        (HEAD + b"connection: upgrade\r\nupgrade: x\r\n" + CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n", 400),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", 501),
    ],
)
async def test_an_offer_lets_nothing_through(start: Start, request_bytes: bytes, status: int) -> None:
    harness = await start(body_limit_bytes=1000)
    engine = await harness.engine()
    harness.service(engine)
    client = await harness.client()
    reply = await client.ask(request_bytes + HIDDEN)
    assert (reply.status, reply.header("connection")) == (status, "close")
    assert await client.rest() == b""
    assert engine.seen == []


async def test_nothing_is_served_after_an_offer_that_closes(start: Start) -> None:
    harness = await start()
    harness.service(await harness.engine())
    client = await harness.client()
    await client.send(post(BODY, "connection: close, upgrade", "upgrade: websocket") + HIDDEN)
    reply = await client.reply()
    assert (reply.status, reply.header("connection")) == (200, "close")
    assert await client.rest() == b""


async def test_absolute_form_and_empty_lines_before_a_request(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    request = post().replace(b"/v1/", b"http://other:1/v1/", 1)
    assert (await harness.ask(b"\r\n\r\n" + request)).status == 200
    assert engine.seen[0].target == "/v1/chat/completions"
