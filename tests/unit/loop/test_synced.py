"""Readiness: every kind that is served has been listed; and what /readyz says until then."""

import asyncio

import pytest
from aiohttp.test_utils import TestClient, TestServer

from slipway.kube.errors import ApiError
from slipway.kube.kinds import (
    ACCELERATOR,
    DEPLOYMENT,
    PYTORCH_JOB,
    SERVICE,
)
from slipway.reconcile.synced import MISSED_PROBES, Synced, WatchMissing
from slipway.telemetry.health import health_application
from slipway.telemetry.metrics import Metrics


async def test_ready_when_every_kind_that_is_served_has_been_listed() -> None:
    synced = Synced([SERVICE, DEPLOYMENT, PYTORCH_JOB], optional=[PYTORCH_JOB], namespaces=())
    served = {"services", "deployments"}

    async def serves(api_version: str, plural: str) -> bool:
        return plural in served

    synced.listed(SERVICE, None)
    probe = asyncio.create_task(synced.probe(serves, seconds=0.01))
    await asyncio.sleep(0.03)
    assert synced.missing() == ["deployments.apps"]
    assert synced.listed(DEPLOYMENT, None) is False
    await asyncio.wait_for(synced.wait(), 5.0)
    assert synced.missing() == []
    assert synced.listed(PYTORCH_JOB, None) is True, "the first listing of a kind that came later"
    assert synced.listed(PYTORCH_JOB, None) is False
    probe.cancel()


async def test_a_required_kind_that_is_not_served_is_waited_for() -> None:
    synced = Synced([SERVICE], optional=[], namespaces=())

    async def serves(api_version: str, plural: str) -> bool:
        return False

    probe = asyncio.create_task(synced.probe(serves, seconds=0.001))
    await asyncio.sleep(0.05)
    assert synced.missing() == ["services"]
    probe.cancel()


async def test_each_namespace_is_listed_for_itself() -> None:
    synced = Synced([SERVICE], optional=[], namespaces=("a", "b"))
    synced.listed(SERVICE, "a")
    assert synced.missing() == ["services"]


async def test_a_kind_in_no_namespace_is_listed_once() -> None:
    synced = Synced([ACCELERATOR, SERVICE], optional=[], namespaces=("a", "b"))
    synced.listed(SERVICE, "a")
    synced.listed(SERVICE, "b")
    assert synced.missing() == ["accelerators.slipway.dev"]
    synced.listed(ACCELERATOR, None)
    assert synced.missing() == []


async def test_a_kind_that_is_served_and_never_watched_ends_the_process() -> None:
    synced, asked = Synced([PYTORCH_JOB], optional=[PYTORCH_JOB], namespaces=()), 0

    async def serves(api_version: str, plural: str) -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise ApiError(500, "Oops", "no answer")
        return asked > 2

    with pytest.raises(WatchMissing, match=r"pytorchjobs.kubeflow.org is served, but is not being watched"):
        await asyncio.wait_for(synced.probe(serves, seconds=0.001), 10.0)
    assert asked == 2 + MISSED_PROBES + 1


async def test_a_listing_that_takes_long_is_waited_for() -> None:
    synced, asked = Synced([SERVICE], optional=[], namespaces=("a", "b")), 0
    enough = asyncio.Event()

    async def serves(api_version: str, plural: str) -> bool:
        nonlocal asked
        asked += 1
        if asked > 10 * MISSED_PROBES:
            enough.set()
        return True

    synced.listed(SERVICE, "a")
    with synced.listing(SERVICE, "b"):
        probe = asyncio.create_task(synced.probe(serves, seconds=0.001))
        await asyncio.wait({asyncio.ensure_future(enough.wait()), probe}, return_when=asyncio.FIRST_COMPLETED)
        assert not probe.done()
    with pytest.raises(WatchMissing):  # it broke off, and nobody begins another
        await asyncio.wait_for(probe, 10.0)


async def test_health_says_what_it_waits_for() -> None:
    waiting = ["pods"]
    metrics = Metrics()
    async with TestClient(TestServer(health_application(metrics, lambda: waiting))) as http:
        assert (await http.get("/healthz")).status == 200
        answer = await http.get("/readyz")
        assert (answer.status, await answer.text()) == (503, "waiting for the first listing of: pods\n")
        waiting.clear()
        assert (await http.get("/readyz")).status == 200
        answer = await http.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "workqueue_depth" in await answer.text()
