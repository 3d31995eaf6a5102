"""The leader's address: through the gate, read before it is written."""

from collections.abc import Callable

import pytest

from slipway.kube.client import KubeClient
from slipway.kube.leader_slice import leader_slice, shows
from slipway.plan.observed import Obj
from slipway.reconcile.address import LeaderAddress
from slipway.reconcile.gate import Gate
from slipway.telemetry.metrics import Metrics

from .fakeapi import FakeApi

PATH = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices/leader"
WANTED = leader_slice(service="leader", namespace="ns", address="10.1.2.3", port=8090)


def kept(client: KubeClient, remaining: Callable[[], float]) -> LeaderAddress:
    gate = Gate(remaining, rate=1000.0, burst=1000, metrics=Metrics())
    return LeaderAddress(client, gate, WANTED, leading=lambda: True)


async def test_it_is_written_once_and_then_read(client: KubeClient, fake: FakeApi) -> None:
    made = kept(client, lambda: 10.0)
    assert await made._look() == await made._look() == 30.0
    assert fake.writes == [f"PATCH {PATH}"]
    assert fake.objects[PATH]["endpoints"] == WANTED["endpoints"]


async def test_without_the_lease_it_is_left_to_the_next_leader(client: KubeClient, fake: FakeApi) -> None:
    """The lease may end between the look at it and the write."""
    assert await kept(client, lambda: 0.0)._look() == 30.0
    assert fake.writes == []


async def test_its_time_ends_with_the_lease(client: KubeClient, fake: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds: list[object] = []

    async def apply(*_: object, **more: object) -> None:
        seconds.append(more["timeout_seconds"])

    monkeypatch.setattr(client, "apply", apply)
    for remaining in (1.5, 9.0):
        await kept(client, lambda remaining=remaining: remaining)._look()  # type: ignore[misc]
    assert seconds == [1.5, 5.0]


@pytest.mark.parametrize(("status", "pause"), [(503, 1.0), (409, 1.0), (422, 30.0)])
async def test_what_fails_is_tried_again_soon_and_what_is_refused_with_the_next_look(
    client: KubeClient, fake: FakeApi, status: int, pause: float
) -> None:
    fake.fail("PATCH", status)
    made = kept(client, lambda: 10.0)
    assert await made._look() == pause
    assert await made._look() == 30.0
    assert PATH in fake.objects


def test_what_shows_the_address() -> None:
    theirs = {**WANTED, "metadata": {**WANTED["metadata"], "labels": {**WANTED["metadata"]["labels"], "a": "b"}}}
    assert shows(theirs, WANTED)
    others: tuple[Obj, ...] = (
        {"endpoints": []},
        {"ports": []},
        {"addressType": "IPv6"},
        {"metadata": {"name": "leader"}},
    )
    for change in others:
        assert not shows({**WANTED, **change}, WANTED), change
