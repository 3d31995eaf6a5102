"""Discovery: list and watch InferenceServices and EndpointSlices, and keep the table of routes as they say.

Each kind is listed, then watched from the list's resource version; bookmarks move that version on, so that a watch
which ends resumes where it was. 410 means list again. While the API server is away the table stays as it is: routing
to what was there is right more often than to nothing. Errors are retried with backoff and full jitter, for ever. A
watch that ends at once and tells nothing is an error too, though it looks like a good end: nothing else would pause.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .cluster import Cluster, Expired, Unavailable
from .metrics import Metrics
from .records import GROUP, PLURAL, SELECTOR, VERSION, service_key, service_record, slice_addresses, slice_key
from .routes import ServiceRecord, SliceKey, Table
from .routing import Address

logger = logging.getLogger(__name__)

PAGE = 500
WATCH_SECONDS = (240, 300)  # drawn anew each time, so that gateways do not all return at once
BRIEF_SECONDS = 1.0  # as client-go's reflector has it
BACKOFF_FIRST_SECONDS = 0.2
BACKOFF_LAST_SECONDS = 30.0

Obj = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """What to watch and what to do with it: `replaced` after a list, `put` and `dropped` after an event."""

    name: str
    path: str
    selector: str
    replaced: Callable[[list[Obj]], None]
    put: Callable[[Obj], None]
    dropped: Callable[[Obj], None]


def inference_services(table: Table) -> Kind:
    def replaced(items: list[Obj]) -> None:
        table.replace_services(record for record in map(_service, items) if record is not None)

    def put(item: Obj) -> None:
        record = _service(item)
        if record is not None:
            table.put_service(record)

    return Kind(
        "InferenceService",
        f"/apis/{GROUP}/{VERSION}/{PLURAL}",
        "",
        replaced,
        put,
        lambda item: table.drop_service(service_key(item)),
    )


def endpoint_slices(table: Table) -> Kind:
    def replaced(items: list[Obj]) -> None:
        table.replace_slices(dict(found for found in map(_slice, items) if found is not None))

    def put(item: Obj) -> None:
        found = _slice(item)
        if found is not None:
            table.put_slice(*found)

    def dropped(item: Obj) -> None:
        key = slice_key(item)
        if key is not None:
            table.drop_slice(key)

    path = "/apis/discovery.k8s.io/v1/endpointslices"
    return Kind("EndpointSlice", path, SELECTOR, replaced, put, dropped)


def _service(item: Obj) -> ServiceRecord | None:
    try:
        return service_record(item)
    except (KeyError, TypeError, ValueError) as problem:
        _unreadable(item, problem)
        return None


def _slice(item: Obj) -> tuple[SliceKey, frozenset[Address]] | None:
    try:
        key = slice_key(item)
        return None if key is None else (key, slice_addresses(item))
    except (KeyError, TypeError, ValueError) as problem:
        _unreadable(item, problem)
        return None


def _unreadable(item: Obj, problem: Exception) -> None:
    logger.warning("passed over an object that cannot be read (%r): %.500s", problem, item)


class Backoff:
    """Full jitter: anything from 0 to a bound that doubles. `reset` after a success."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._bound = BACKOFF_FIRST_SECONDS

    def reset(self) -> None:
        self._bound = BACKOFF_FIRST_SECONDS

    def next_seconds(self) -> float:
        bound, self._bound = self._bound, min(self._bound * 2, BACKOFF_LAST_SECONDS)
        return self._draw() * bound


class Follower:
    """Follows one kind for ever. `synced` is set after the first list."""

    def __init__(self, cluster: Cluster, kind: Kind, metrics: Metrics, backoff: Backoff | None = None) -> None:
        self._cluster = cluster
        self._kind = kind
        self._metrics = metrics
        self._backoff = backoff or Backoff()
        self._version = ""  # the resource version to watch from; "" to list first
        self.synced = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                if not self._version:
                    await self._list()
                await self._watch()
            except Expired:
                self._count("expired")
                self._version = ""
                await self._wait("the resource version is too old: listing again")
            except Unavailable as problem:
                self._count("failed")
                await self._wait(str(problem))
            except (KeyError, TypeError, ValueError) as problem:
                self._count("unreadable")
                self._version = ""
                await self._wait(f"an event that cannot be read ({problem!r}): listing again")

    async def _wait(self, why: str) -> None:
        seconds = self._backoff.next_seconds()
        logger.warning("%s: %s; again in %.1f s, with the routes as they were", self._kind.name, why, seconds)
        await asyncio.sleep(seconds)

    def _parameters(self) -> dict[str, str]:
        return {"labelSelector": self._kind.selector} if self._kind.selector else {}

    async def _list(self) -> None:
        items: list[Obj] = []
        parameters = {**self._parameters(), "limit": str(PAGE)}
        while True:
            page = await self._cluster.list(self._kind.path, parameters)
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            if not metadata.get("continue"):
                break
            parameters["continue"] = metadata["continue"]
        self._kind.replaced(items)
        self._version = metadata.get("resourceVersion", "")
        self._count("listed")  # no success yet: its version may be too old for a watch, again and again
        self.synced.set()

    async def _watch(self) -> None:
        parameters = {**self._parameters(), "resourceVersion": self._version, "allowWatchBookmarks": "true"}
        seconds = random.randint(*WATCH_SECONDS)  # noqa: S311
        began, silent = time.monotonic(), True
        async for event in self._cluster.watch(self._kind.path, parameters, seconds):
            self._apply(event["type"], event["object"])
            self._backoff.reset()
            silent = False
        if silent and time.monotonic() < began + BRIEF_SECONDS:
            raise Unavailable("the watch ended at once and told nothing")
        self._backoff.reset()

    def _apply(self, event: str, item: Obj) -> None:
        self._count(event.lower())
        if event in ("ADDED", "MODIFIED"):
            self._kind.put(item)
        elif event == "DELETED":
            self._kind.dropped(item)
        self._version = item["metadata"]["resourceVersion"]

    def _count(self, event: str) -> None:
        self._metrics.discovery.labels(self._kind.name, event).inc()


async def follow(cluster: Cluster, table: Table, metrics: Metrics) -> None:
    """Keep `table` as the cluster says, until cancelled. It is `synced` once both kinds were listed."""
    followers = [Follower(cluster, kind(table), metrics) for kind in (inference_services, endpoint_slices)]
    async with asyncio.TaskGroup() as group:
        for follower in followers:
            group.create_task(follower.run())
        for follower in followers:
            await follower.synced.wait()
        table.synced = True
