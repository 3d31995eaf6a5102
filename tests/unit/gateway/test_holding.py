"""Waiting for a first replica: bounded, counted, first come first served."""

import asyncio
from dataclasses import dataclass, field

import pytest

from slipway_gateway.admission.holding import Holding
from slipway_gateway.errors import Refusal
from slipway_gateway.routes import Service, ServiceKey, ServiceRecord

from .fake_engine import FakeEngine
from .harness import BODY, CHAT, Start, post

OTHER = ServiceKey("lab", "other")
LABELS = {"inference_namespace": CHAT.namespace, "inference_service": CHAT.name}


@dataclass(eq=False)
class Waiter:
    hold_until: float = 100.0
    body_bytes: int = 10
    heard: list[str] = field(default_factory=list)

    def released(self) -> None:
        self.heard.append("released")

    def expired(self) -> None:
        self.heard.append("expired")

    def refused(self, refusal: Refusal) -> None:
        self.heard.append(refusal.code)


def a_service(key: ServiceKey = CHAT, *, startable: bool = True) -> Service:
    return Service(ServiceRecord(key, startable=startable))


def a_holding(maximum: int = 2, maximum_bytes: int = 100) -> Holding:
    return Holding(seconds=5, maximum=maximum, maximum_bytes=maximum_bytes)


def test_bound_is_per_service() -> None:
    holding = a_holding()
    for _ in range(2):
        holding.add(a_service(), Waiter())
    with pytest.raises(Refusal, match="Too many") as refused:
        holding.add(a_service(), Waiter())
    assert (refused.value.status, refused.value.retry_after_seconds) == (429, 10)
    holding.add(a_service(OTHER), Waiter())


def test_bytes_are_bounded_over_all_services_and_given_back() -> None:
    holding = a_holding(maximum=50)
    large = Waiter(body_bytes=95)
    holding.add(a_service(), large)
    with pytest.raises(Refusal):
        holding.add(a_service(OTHER), Waiter(body_bytes=6))
    holding.remove(a_service(), large)
    holding.remove(a_service(), large)  # a second time changes nothing
    for _ in range(10):
        holding.add(a_service(OTHER), Waiter(body_bytes=10))
    holding.release(a_service(OTHER))
    holding.add(a_service(), Waiter(body_bytes=100))
    holding.expire(now=100.0)
    holding.add(a_service(), Waiter(body_bytes=100))


def test_release_is_in_order_and_of_one_service() -> None:
    holding = a_holding()
    order: list[int] = []
    waiters = [Waiter(), Waiter()]
    for number, waiter in enumerate(waiters):
        waiter.released = lambda number=number: order.append(number)  # type: ignore[method-assign,misc]
        holding.add(a_service(), waiter)
    other = Waiter()
    holding.add(a_service(OTHER), other)
    holding.release(a_service())
    holding.release(a_service())
    assert (order, other.heard) == ([0, 1], [])


def test_expire_takes_those_whose_time_is_over() -> None:
    holding = a_holding(maximum=5)
    waiters = [Waiter(hold_until=moment) for moment in (30.0, 10.0, 20.0)]
    for waiter in waiters:
        holding.add(a_service(), waiter)
    holding.expire(now=20.0)
    assert [waiter.heard for waiter in waiters] == [[], ["expired"], ["expired"]]


def test_waiting_for_what_nothing_will_start_is_refused() -> None:
    with pytest.raises(Refusal, match="nothing will start it") as refused:
        a_holding().add(a_service(startable=False), Waiter())
    assert (refused.value.status, refused.value.code) == (503, "model_stopped")


async def test_held_then_released(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.service()
    assert harness.load() == (0, 0)
    clients = [await harness.client() for _ in range(5)]
    for number, client in enumerate(clients):
        await client.send(post(BODY, f"x-request-id: n{number}"))
        await harness.until(lambda count=number + 1: harness.load() == (count, 0))
    harness.ready(engine)
    assert [(await client.reply()).status for client in clients] == [200] * 5
    assert sorted(str(seen.header("x-request-id")) for seen in engine.seen) == [f"n{number}" for number in range(5)]
    assert harness.load() == (0, 0)
    assert all(line["held_seconds"] > 0 for line in harness.logged())


async def test_slice_before_service_is_no_reason_to_wait(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    harness.ready(engine)
    harness.service(engine)
    assert (await harness.ask(post())).status == 200


async def test_hold_times_out_and_says_why(start: Start) -> None:
    harness = await start(hold_seconds=0.05)
    harness.service(state="ModelMissing: no such claim")
    client = await harness.client()
    reply = await client.ask(post())
    assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "model_not_ready", "10")
    assert "ModelMissing: no such claim" in reply.error["message"]
    assert harness.load() == (0, 0)
    assert harness.metric("slipway_gateway_hold_timeouts_total", **LABELS) == 1
    harness.ready(await harness.engine())
    assert (await client.ask(post())).status == 200


async def test_hold_bound(start: Start) -> None:
    harness = await start(hold_max=2)
    harness.service()
    for count in (1, 2):
        await (await harness.client()).send(post())
        await harness.until(lambda count=count: harness.load() == (count, 0))
    reply = await harness.ask(post())
    assert (reply.status, reply.error["type"], reply.header("retry-after")) == (429, "rate_limit_error", "10")
    assert harness.load() == (2, 0)


async def test_held_client_that_leaves_is_forgotten(start: Start) -> None:
    harness = await start(hold_max=1)
    engine = await harness.engine()
    harness.service()
    client = await harness.client()
    await client.send(post())
    await harness.until(lambda: harness.load() == (1, 0))
    client.close()
    await harness.until(lambda: harness.load() == (0, 0))
    second = await harness.client()
    await second.send(post())  # its place is free
    await harness.until(lambda: harness.load() == (1, 0))
    harness.ready(engine)
    assert (await second.reply()).status == 200
    assert len(engine.seen) == 1


async def test_service_deleted_while_requests_wait(start: Start) -> None:
    harness = await start()
    harness.service()
    client = await harness.client()
    await client.send(post())
    await harness.until(lambda: harness.load() == (1, 0))
    harness.table.drop_service(CHAT)
    reply = await client.reply()
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert harness.load() == (None, None)


async def test_service_stopped_while_requests_wait(start: Start) -> None:
    harness = await start()
    harness.service()
    client = await harness.client()
    await client.send(post() + post())  # the second is new by the time the first is answered
    await harness.until(lambda: harness.load() == (1, 0))
    harness.table.put_service(ServiceRecord(CHAT, startable=False))
    for _ in range(2):
        reply = await client.reply()
        assert (reply.status, reply.error["code"], reply.header("retry-after")) == (503, "model_stopped", "60")
    assert harness.load() == (0, 0)


async def test_series_go_with_the_service_and_do_not_come_back(start: Start) -> None:
    harness = await start()
    engine = await harness.engine()
    go_on = asyncio.Event()
    harness.service(engine)
    assert (await harness.ask(post())).status == 200

    async def wait(call: object) -> None:
        await go_on.wait()

    engine.script.append(wait)
    client = await harness.client()
    await client.send(post())
    await harness.until(lambda: len(engine.seen) == 2)
    harness.table.drop_service(CHAT)
    assert harness.load() == (None, None)
    client.close()
    await harness.until(lambda: len(harness.logged()) == 2)
    page = harness.gateway.metrics.page().decode()
    assert 'service="chat"' not in page
    go_on.set()


async def test_released_requests_spread_over_all_that_is_ready(start: Start) -> None:
    harness = await start()
    engines: list[FakeEngine] = [await harness.engine() for _ in range(2)]
    harness.service()
    clients = [await harness.client() for _ in range(4)]
    for client in clients:
        await client.send(post())
    await harness.until(lambda: harness.load() == (4, 0))
    harness.ready(*engines)
    assert [(await client.reply()).status for client in clients] == [200] * 4
    assert [len(engine.seen) for engine in engines] == [2, 2]
