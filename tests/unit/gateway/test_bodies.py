"""Bodies in memory: counted from their first byte until their request is over, and bounded in all."""

import asyncio

import pytest

from slipway_gateway.admission.bodies import Bodies
from slipway_gateway.errors import Refusal

from .fake_engine import Call
from .harness import BODY, Harness, Start, post


def large(count: int) -> bytes:
    return b'{"model": "chat", "x": "' + b"x" * (count - 26) + b'"}'


def taken(harness: Harness, count: int) -> bool:
    return harness.gateway.bodies.taken == count


def test_what_does_not_fit_is_refused_and_takes_nothing() -> None:
    bodies = Bodies(100)
    bodies.take(100)
    with pytest.raises(Refusal, match="try again later") as refused:
        bodies.take(1)
    assert (refused.value.status, refused.value.retry_after_seconds, refused.value.close) == (503, 1, True)
    bodies.give_back(1)
    bodies.take(1)


async def test_bodies_that_are_being_read_count(start: Start) -> None:
    harness = await start(bodies_max_bytes=1000)
    harness.service(await harness.engine())
    slow = await harness.client()
    whole = post(large(900))
    await slow.send(whole[:-100])
    await harness.until(lambda: taken(harness, 800))
    reply = await harness.ask(post(large(300)))
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "overloaded", "1")
    assert (await slow.ask(whole[-100:])).status == 200
    assert taken(harness, 0)
    assert (await harness.ask(post(large(1000)))).status == 200


async def test_a_body_counts_until_its_answer_is_over(start: Start) -> None:
    harness = await start(bodies_max_bytes=1000)
    engine = await harness.engine()
    go_on = asyncio.Event()

    async def wait(call: Call) -> None:
        await go_on.wait()
        await call.send(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    engine.script.append(wait)
    harness.service(engine)
    client = await harness.client()
    await client.send(post(large(600)) + post(large(300)))  # the second waits for the first
    await harness.until(lambda: len(engine.seen) == 1)
    assert harness.gateway.bodies.taken >= 600
    assert (await harness.ask(post(large(500)))).status == 503
    go_on.set()
    assert [(await client.reply()).status for _ in range(2)] == [200, 200]
    assert taken(harness, 0)


@pytest.mark.parametrize("ready", [True, False], ids=["in flight", "held"])
async def test_a_client_that_leaves_gives_back_all_that_it_sent(start: Start, ready: bool) -> None:
    harness = await start()
    engine = await harness.engine()
    go_on = asyncio.Event()

    async def wait(_call: Call) -> None:
        await go_on.wait()

    engine.script.append(wait)
    harness.service(*([engine] if ready else []))
    client = await harness.client()
    await client.send(post(large(600)) + post(large(300))[:-10])
    await harness.until(lambda: harness.load() == ((0, 1) if ready else (1, 0)))
    assert harness.gateway.bodies.taken >= 600
    client.abort()
    await harness.until(lambda: taken(harness, 0))
    go_on.set()


async def test_an_unfinished_body_is_given_back(start: Start) -> None:
    """When its client leaves, when it is too slow, when it is too large."""
    harness = await start(body_limit_bytes=500, body_seconds=0.2)
    harness.service(await harness.engine())
    leaving, slow, chunked = [await harness.client() for _ in range(3)]
    await leaving.send(post(large(400))[:-100])
    await harness.until(lambda: taken(harness, 300))
    leaving.abort()
    await harness.until(lambda: taken(harness, 0))
    await slow.send(post(large(400))[:-100])
    assert (await slow.reply()).status == 408
    assert taken(harness, 0)
    head = post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    assert (await chunked.ask(head + b"190\r\n" + b"x" * 400 + b"\r\n190\r\n" + b"x" * 400)).status == 413
    assert taken(harness, 0)
    assert (await harness.ask(post(BODY))).status == 200


async def test_a_body_in_the_smallest_chunks_arrives_whole(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service(engine)
    head = post(b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY)
    assert (await harness.ask(head + chunks + b"0\r\n\r\n")).status == 200
    assert engine.seen[0].body == BODY
