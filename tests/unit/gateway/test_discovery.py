"""Following the cluster: lists, watches, bookmarks, 410, an API server that goes away."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio.client import Configuration

from slipway_gateway import discovery
from slipway_gateway.cluster import Cluster, configuration, decode
from slipway_gateway.discovery import Backoff
from slipway_gateway.metrics import Metrics
from slipway_gateway.routes import ServiceKey, Table

from .fake_apiserver import FakeApiServer, Obj

SERVICES = "/apis/slipway.dev/v1alpha1/inferenceservices"
SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
CHAT = ServiceKey("team", "chat")


def a_service(name: str = "chat", **spec: Any) -> Obj:
    return {"metadata": {"namespace": "team", "name": name}, "spec": spec}


def a_slice(*hosts: str, service: str = "chat", name: str = "chat-1") -> Obj:
    labels = {"app.kubernetes.io/managed-by": "slipway", "slipway.dev/inference-service": service}
    return {
        "metadata": {"namespace": "team", "name": name, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": 8000}],
        "endpoints": [{"addresses": [host], "conditions": {"ready": True}} for host in hosts],
    }


class Following:
    def __init__(self, api: FakeApiServer) -> None:
        configuration = Configuration(host=api.url)
        configuration.api_key["BearerToken"] = "bearer t1"
        self.configuration = configuration
        self.api = api
        self.table = Table()
        self.metrics = Metrics(self.table)
        self.cluster = Cluster(configuration)
        self.task: asyncio.Task[None]

    async def start(self, *, watches: int = 2) -> None:
        self.task = asyncio.get_running_loop().create_task(discovery.follow(self.cluster, self.table, self.metrics))
        if watches:
            await self.until(lambda: self.api.watching() == watches)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.cluster.close()

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    def hosts(self, key: ServiceKey = CHAT) -> list[str]:
        service = self.table.services.get(key)
        return [] if service is None else [replica.address.host for replica in service.ready]

    def events(self, kind: str, event: str) -> float:
        found = self.metrics.registry.get_sample_value(
            "slipway_gateway_discovery_events_total", {"kind": kind, "event": event}
        )
        return found or 0


@pytest.fixture(autouse=True)
def _quick_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "BACKOFF_FIRST_SECONDS", 0.005)
    monkeypatch.setattr(discovery, "BACKOFF_LAST_SECONDS", 0.02)


@pytest_asyncio.fixture
async def following() -> AsyncIterator[Following]:
    found = Following(await FakeApiServer().start())
    yield found
    await found.stop()
    await found.api.stop()


async def test_lists_then_watches_from_that_version(following: Following) -> None:
    api = following.api
    await api.change(SERVICES, a_service())
    await api.change(SLICES, a_slice("10.0.0.1"))
    await following.start()
    assert following.hosts() == ["10.0.0.1"]
    assert following.table.synced
    queries = {(path, "watch" in query): query for path, query in api.asked}
    assert queries[(SLICES, True)]["labelSelector"] == "app.kubernetes.io/managed-by=slipway"
    assert "labelSelector" not in queries[(SERVICES, True)]
    assert queries[(SERVICES, True)]["resourceVersion"] == "102"
    assert queries[(SERVICES, True)]["allowWatchBookmarks"] == "true"
    assert 240 <= int(queries[(SERVICES, True)]["timeoutSeconds"]) <= 300


async def test_events_change_the_table(following: Following) -> None:
    api = following.api
    await following.start()
    await api.change(SERVICES, a_service())
    await api.change(SLICES, a_slice("10.0.0.1", "10.0.0.2"))
    await following.until(lambda: following.hosts() == ["10.0.0.1", "10.0.0.2"])
    await api.change(SLICES, a_slice("10.0.0.2"))
    await following.until(lambda: following.hosts() == ["10.0.0.2"])
    await api.change(SLICES, a_slice("10.0.0.3", name="chat-2"))
    await following.until(lambda: following.hosts() == ["10.0.0.2", "10.0.0.3"])
    await api.delete(SLICES, a_slice("10.0.0.2"))
    await following.until(lambda: following.hosts() == ["10.0.0.3"])
    await api.delete(SERVICES, a_service())
    await following.until(lambda: following.table.services == {})


async def test_not_synced_before_both_kinds_are_listed(following: Following) -> None:
    following.api.down = True
    await following.start(watches=0)
    await following.until(lambda: following.events("EndpointSlice", "failed") > 1)
    assert not following.table.synced
    following.api.down = False
    await following.until(lambda: following.table.synced)


async def test_lists_in_pages(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "PAGE", 2)
    for number in range(5):
        await following.api.change(SERVICES, a_service(f"m{number}"))
    await following.start()
    assert len(following.table.services) == 5
    assert following.api.count(SERVICES, watch=False) == 3


async def test_a_watch_that_ends_resumes_after_the_last_event(following: Following) -> None:
    api = following.api
    await following.start()
    await api.change(SERVICES, a_service())
    await following.until(lambda: following.table.services)
    seen = str(api.version)
    api.disconnect()
    await following.until(lambda: api.count(SERVICES, watch=True) == 2)
    assert [query["resourceVersion"] for path, query in api.asked if path == SERVICES and "watch" in query][-1] == seen
    assert api.count(SERVICES, watch=False) == 1
    assert following.events("InferenceService", "failed") == 0


async def test_a_watch_that_ends_at_once_and_tells_nothing_is_a_failure(following: Following) -> None:
    """A proxy before the API server may do so for as long as it is misconfigured."""
    api = following.api
    api.brief = True
    await following.start(watches=0)
    await api.until(lambda: api.count(SERVICES, watch=True) > 3)
    assert following.events("InferenceService", "failed") >= 3  # and each failure pauses
    assert following.events("InferenceService", "listed") == 1
    api.brief = False
    await following.until(lambda: api.watching() == 2)
    await api.change(SERVICES, a_service())
    await following.until(lambda: following.table.services)


async def test_a_watch_that_lasts_and_tells_nothing_is_none(
    following: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovery, "BRIEF_SECONDS", 0.0)
    api = following.api
    await following.start()
    api.disconnect()
    await following.until(lambda: api.watching() == 2 and api.count(SERVICES, watch=True) == 2)
    assert following.events("InferenceService", "failed") == 0


async def test_a_bookmark_moves_the_version_on(following: Following) -> None:
    api = following.api
    await following.start()
    await api.bookmark()
    await following.until(lambda: following.events("EndpointSlice", "bookmark") == 1)
    api.oldest = api.version
    api.disconnect()
    await following.until(lambda: api.watching() == 2 and api.count(SLICES, watch=True) == 2)
    assert following.events("EndpointSlice", "expired") == 0


@pytest.mark.parametrize("how", ["status", "event"])
async def test_410_lists_again_and_drops_what_is_gone(following: Following, how: str) -> None:
    api = following.api
    await api.change(SERVICES, a_service())
    await api.change(SERVICES, a_service("other"))
    await following.start()
    del api.objects[SERVICES]["team/other"]  # deleted while nobody watched
    api.version += 1
    if how == "status":
        api.oldest = api.version
        api.disconnect()
    else:
        await api.send(SERVICES, {"type": "ERROR", "object": {"code": 410, "reason": "Expired"}})
    await following.until(lambda: list(following.table.services) == [CHAT])
    assert following.events("InferenceService", "expired") >= 1


async def test_pauses_grow_while_every_watch_is_too_old(following: Following, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list that succeeds is no success of the watch: the lists came ten times a second."""
    pauses: dict[int, list[float]] = {}

    def noted(backoff: Backoff) -> float:
        seconds = next_seconds(backoff)
        pauses.setdefault(id(backoff), []).append(seconds)
        return seconds

    next_seconds = Backoff.next_seconds
    monkeypatch.setattr(Backoff.__init__, "__defaults__", (lambda: 1.0,))
    monkeypatch.setattr(Backoff, "next_seconds", noted)
    following.api.oldest = 10**9
    await following.start(watches=0)
    await following.until(lambda: following.events("InferenceService", "expired") >= 4)
    assert max(pauses.values(), key=len)[:4] == [0.005, 0.01, 0.02, 0.02]


async def test_table_stays_while_the_api_server_is_away(following: Following) -> None:
    api = following.api
    await api.change(SERVICES, a_service())
    await api.change(SLICES, a_slice("10.0.0.1"))
    await following.start()
    api.down = True
    api.disconnect()
    await following.until(lambda: following.events("EndpointSlice", "failed") >= 3)
    assert following.hosts() == ["10.0.0.1"]
    assert following.table.synced
    api.down = False
    await following.until(lambda: api.watching() == 2)
    await api.change(SLICES, a_slice("10.0.0.9"))
    await following.until(lambda: following.hosts() == ["10.0.0.9"])


async def test_objects_that_cannot_be_read_are_passed_over(
    following: Following, caplog: pytest.LogCaptureFixture
) -> None:
    api = following.api
    await following.start()
    with caplog.at_level(logging.WARNING):
        await api.send(SERVICES, {"type": "ADDED", "object": {"metadata": {"name": "x", "resourceVersion": "7"}}})
        await api.change(SERVICES, a_service())
        await following.until(lambda: following.table.services)
    assert "passed over" in caplog.text


async def test_events_larger_than_a_line_buffer(following: Following) -> None:
    api = following.api
    await following.start()
    large = a_service()
    large["metadata"]["annotations"] = {"large": "x" * 1_000_000}
    await api.change(SERVICES, large)
    await following.until(lambda: following.table.services)


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


async def test_one_service_that_is_nested_as_deep_as_the_api_server_takes_hides_no_other(following: Following) -> None:
    """It would have been enough to stop the gateway from following anything. The fake's own JSON is not so deep."""
    api = following.api
    text = b'{"a":' * 9_990 + b"1" + b"}" * 9_990
    assert len(decode(text)) == 1
    with pytest.raises(ValueError, match="Expecting"):
        decode(text[:-1])
    await api.change(SERVICES, a_service("deep", podTemplate=nested(900)))
    await api.change(SERVICES, a_service())
    await following.start()
    assert {key.name for key in following.table.services} == {"deep", "chat"}


async def test_the_token_is_read_for_each_request(following: Following) -> None:
    await following.start()
    following.configuration.api_key["BearerToken"] = "bearer t2"
    before = len(following.api.tokens)
    following.api.disconnect()
    await following.until(lambda: len(following.api.tokens) >= before + 2)
    assert set(following.api.tokens[:before]) == {"bearer t1"}
    assert set(following.api.tokens[before:]) == {"bearer t2"}


async def test_events_without_a_shape_lead_to_another_list(following: Following) -> None:
    api = following.api
    await following.start()
    api.objects[SERVICES] = {"team/chat": a_service()}  # not told by any event
    await api.send(SERVICES, {"type": "ADDED", "object": {}})
    await following.until(lambda: following.table.services)
    assert following.events("InferenceService", "unreadable") == 1


async def test_no_way_to_an_api_server_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--kubeconfig, or --routes"):
        await configuration(tmp_path / "none")


def test_backoff_doubles_up_to_a_bound_and_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "BACKOFF_FIRST_SECONDS", 1.0)
    monkeypatch.setattr(discovery, "BACKOFF_LAST_SECONDS", 5.0)
    backoff = Backoff(draw=lambda: 0.5)
    assert [backoff.next_seconds() for _ in range(5)] == [0.5, 1.0, 2.0, 2.5, 2.5]
    backoff.reset()
    assert backoff.next_seconds() == 0.5
