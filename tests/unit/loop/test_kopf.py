"""kopf behind our handlers, against the fake API server over HTTP: what it asks for, and what a listing tells us.

These fail when a new kopf lists, watches or filters in another way than handlers.py and listings.py rely on.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext, suppress

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kopf._cogs.clients import fetching, watching
from kopf._core.reactor import inventory

from slipway import handlers, listings
from slipway.kube.kinds import CHILDREN, OWNERS, POD, TRAINING_JOB, WATCHED, Resource
from slipway.plan.observed import Obj

from .build import body, child_labels, job

EXPIRED: Obj = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}


class FakeWatchApi:
    """Discovery, lists and watches: just what kopf asks for."""

    def __init__(self) -> None:
        self.objects: dict[str, list[Obj]] = {}
        self.queries: dict[str, list[dict[str, str]]] = {}
        self.asked: list[str] = []
        self.answers = asyncio.Event()  # to listings
        self.answers.set()
        self.forgotten = 0  # how many of the next pages, no first ones, are gone
        self.streams: dict[str, asyncio.Queue[Obj]] = {}
        self.watched = asyncio.Event()  # something was asked for, or a page was gone

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.path}")
        if request.path in ("/api", "/apis") or (request.path.count("/") in (2, 3) and not self._plural(request.path)):
            return web.json_response(self._discovery(request.path))
        plural = self._plural(request.path) or request.path.rpartition("/")[2]
        self.queries.setdefault(plural, []).append(dict(request.query))
        self.watched.set()
        if request.query.get("watch"):
            return await self._watch(request, plural)
        await self.answers.wait()
        return self._page(plural, int(request.query.get("limit", 10**6)), int(request.query.get("continue", 0)))

    def _page(self, plural: str, limit: int, begin: int) -> web.Response:
        if begin and self.forgotten:
            self.forgotten -= 1
            self.watched.set()
            return web.json_response({"kind": "Status", "code": 410, "reason": "Expired"}, status=410)
        items, end = self.objects.get(plural, []), begin + limit
        metadata = {"resourceVersion": "500", "continue": str(end) if end < len(items) else ""}
        return web.json_response({"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": items[begin:end]})

    async def _watch(self, request: web.Request, plural: str) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        queue = self.streams.setdefault(plural, asyncio.Queue())
        self.watched.set()
        while True:
            event = await queue.get()
            if event["type"] == "END":  # as when the API server closes a watch
                return response
            await response.write(json.dumps(event).encode() + b"\n")
            if event["type"] == "ERROR":
                return response

    def _plural(self, path: str) -> str | None:
        last = path.rpartition("/")[2]
        return last if last in {r.plural for r in WATCHED} else None

    def _discovery(self, path: str) -> Obj:
        groups = {r.group: r.version for r in WATCHED if r.group} | {"apiextensions.k8s.io": "v1"}
        if path == "/api":
            return {"versions": ["v1"]}
        if path == "/apis":
            versions = {g: {"groupVersion": f"{g}/{v}", "version": v} for g, v in groups.items()}
            return {"groups": [{"name": g, "versions": [v], "preferredVersion": v} for g, v in versions.items()]}
        parts = path.strip("/").split("/")
        group = "" if parts[0] == "api" else parts[1]
        named = [(r.plural, r.kind) for r in WATCHED if r.group == group]
        named += [("customresourcedefinitions", "CustomResourceDefinition")] if group == "apiextensions.k8s.io" else []
        named += [("namespaces", "Namespace"), ("events", "Event")] if not group else []
        verbs = ["get", "list", "watch"]
        return {
            "resources": [
                {"name": p, "kind": k, "singularName": k.lower(), "namespaced": True, "verbs": verbs} for p, k in named
            ]
        }


class Watching:
    """kopf running behind our handlers."""

    def __init__(self, fake: FakeWatchApi) -> None:
        self.fake = fake
        self.recorded: list[tuple[str, str | None, str]] = []
        self.listed: dict[str, list[set[str]]] = {}
        self.under_way: set[str] = set()
        self.changed = fake.watched
        self.unloved = ""  # the name of an object that `record` cannot take

    def record(self, resource: Resource, event: str | None, body: Obj) -> None:
        if body["metadata"]["name"] == self.unloved:
            raise RuntimeError("by order of the test")
        self.recorded.append((resource.full, event, body["metadata"]["name"]))
        self.changed.set()

    @contextmanager
    def listing(self, resource: Resource, namespace: str | None) -> Iterator[None]:
        self.under_way.add(resource.full)
        try:
            yield
        finally:
            self.under_way.discard(resource.full)

    def note(self, resource: Resource, namespace: str | None, uids: Collection[str], version: str) -> None:
        assert (namespace, version) == (None, "500")
        self.listed.setdefault(resource.full, []).append(set(uids))
        self.changed.set()

    async def until(self, look: object) -> None:
        async with asyncio.timeout(30):
            while not look():  # type: ignore[operator]
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def operator() -> AsyncIterator[Watching]:
    """No fixture: kopf, when it ends, waits 5 s for tasks that are younger, so for a fixture's finalizer."""
    fake = FakeWatchApi()
    fake.objects["trainingjobs"] = [job(10)]
    fake.objects["pods"] = [body(POD, "pod", uid="pod-uid", version=11, labels=child_labels())]
    application = web.Application()
    application.router.add_route("*", "/{any:.*}", fake.handle)
    made, stop = Watching(fake), asyncio.Event()
    async with TestServer(application) as server:
        url = str(server.make_url("")).rstrip("/")

        async def login() -> kopf.ConnectionInfo:
            return kopf.ConnectionInfo(server=url)

        with listings.taken(made.record, made.listing, made.note):
            task = asyncio.create_task(
                kopf.operator(
                    registry=handlers.registry(made.record, login),
                    settings=handlers.settings(),
                    standalone=True,
                    clusterwide=True,
                    stop_flag=stop,
                )
            )
            try:
                yield made
            finally:
                stop.set()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait_for(task, 30)


async def test_every_kind_is_listed_and_watched_with_the_right_selector() -> None:
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        assert running.listed["trainingjobs.slipway.dev"] == [{"job-uid"}]
        assert running.listed["pods"] == [{"pod-uid"}]
        assert running.listed["services"] == [set()], "an empty listing is complete, too"
        await running.until(lambda: len(running.fake.streams) >= len(WATCHED))  # it watches right after listing
        for resource in CHILDREN:
            selectors = {q.get("labelSelector") for q in running.fake.queries[resource.plural]}
            assert selectors == {"app.kubernetes.io/managed-by=slipway"}, resource.full
        for resource in OWNERS:
            assert {q.get("labelSelector") for q in running.fake.queries[resource.plural]} == {None}


async def test_events_arrive_and_nothing_is_written() -> None:
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        for kind in ("ADDED", "MODIFIED", "DELETED"):
            running.fake.streams.setdefault("trainingjobs", asyncio.Queue()).put_nowait(
                {"type": kind, "object": job(600, name=kind.lower(), uid=kind)}
            )
        full = TRAINING_JOB.full
        await running.until(
            lambda: {(full, k, k.lower()) for k in ("ADDED", "MODIFIED", "DELETED")} <= set(running.recorded)
        )
        assert [a for a in running.fake.asked if not a.startswith("GET ")] == []


async def test_an_expired_watch_lists_again_and_the_deletion_in_between_is_found() -> None:
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        running.fake.objects["pods"] = []
        running.fake.streams.setdefault("pods", asyncio.Queue()).put_nowait(EXPIRED)
        await running.until(lambda: len(running.listed["pods"]) == 2)
        assert running.listed["pods"] == [{"pod-uid"}, set()]


def pods(count: int) -> list[Obj]:
    return [body(POD, f"pod-{n}", uid=f"uid-{n}", version=11, labels=child_labels()) for n in range(count)]


async def test_a_listing_comes_in_pages_and_is_complete_after_the_last() -> None:
    """Else a restart at scale holds all objects of a kind at once, and is killed for it."""
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        running.fake.objects["pods"] = kept = pods(2 * handlers.PAGE_OBJECTS + 1)
        running.fake.streams.setdefault("pods", asyncio.Queue()).put_nowait(EXPIRED)
        await running.until(lambda: len(running.listed["pods"]) == 2)
        assert running.listed["pods"][1] == {each["metadata"]["uid"] for each in kept}
        asked = [q for q in running.fake.queries["pods"] if not q.get("watch")]
        assert [q.get("limit") for q in asked] == [str(handlers.PAGE_OBJECTS)] * 4
        assert [q.get("continue") for q in asked[1:]] == [None, "50", "100"]
        del kept[0], kept[-1]  # one of the first page, and the last page's only one
        running.fake.streams["pods"].put_nowait(EXPIRED)
        await running.until(lambda: len(running.listed["pods"]) == 3)
        assert running.listed["pods"][2] == {each["metadata"]["uid"] for each in kept}


async def test_a_listing_that_takes_long_is_known_to_be_under_way() -> None:
    """Else the process would end for a watch that never came up, and end again."""
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        assert running.under_way == set()
        running.fake.answers.clear()
        running.fake.streams.setdefault("pods", asyncio.Queue()).put_nowait(EXPIRED)
        await running.until(lambda: len([q for q in running.fake.queries["pods"] if not q.get("watch")]) == 2)
        assert running.under_way == {"pods"}
        running.fake.answers.set()
        await running.until(lambda: len(running.listed["pods"]) == 2)
        assert running.under_way == set()


async def test_a_listing_whose_next_page_is_gone_begins_anew() -> None:
    """What was deleted meanwhile is not taken for named because the first try named it."""
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        running.fake.objects["pods"], running.fake.forgotten = pods(handlers.PAGE_OBJECTS + 1), 2
        running.fake.streams.setdefault("pods", asyncio.Queue()).put_nowait(EXPIRED)
        await running.until(lambda: running.fake.forgotten < 2)
        del running.fake.objects["pods"][0]
        running.fake.objects["pods"].append(body(POD, "late", uid="late", version=499, labels=child_labels()))
        await running.until(lambda: len(running.listed["pods"]) == 2)
        assert running.fake.forgotten == 0
        assert "uid-0" not in running.listed["pods"][1]
        assert "late" in running.listed["pods"][1]


async def test_kopf_makes_nothing_of_an_object(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a worker nor a memory: what is listed and watched is taken before."""
    async with operator() as running:
        made: list[str] = []
        monkeypatch.setattr(inventory.ResourceMemories, "recall", lambda *_, **__: made.append("memory"))
        await running.until(lambda: len(running.listed) == len(WATCHED))
        await running.until(lambda: "trainingjobs" in running.fake.streams)
        running.fake.streams["trainingjobs"].put_nowait({"type": "ADDED", "object": job(600, name="new", uid="new")})
        await running.until(lambda: (TRAINING_JOB.full, "ADDED", "new") in running.recorded)
        assert (TRAINING_JOB.full, None, "job") in running.recorded
        assert [task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("worker")] == []
        assert made == []


async def test_an_object_that_cannot_be_taken_in_does_not_end_the_watch(caplog: pytest.LogCaptureFixture) -> None:
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        running.unloved = "odd"
        stream = running.fake.streams.setdefault("trainingjobs", asyncio.Queue())
        for name in ("odd", "even"):
            stream.put_nowait({"type": "ADDED", "object": job(600, name=name, uid=name)})
        await running.until(lambda: (TRAINING_JOB.full, "ADDED", "even") in running.recorded)
        assert "could not be taken in: trainingjobs.slipway.dev odd" in caplog.text


async def test_a_watch_goes_on_from_the_last_object_that_was_taken() -> None:
    async with operator() as running:
        await running.until(lambda: len(running.listed) == len(WATCHED))
        await running.until(lambda: "pods" in running.fake.streams)
        running.fake.streams["pods"].put_nowait(
            {"type": "MODIFIED", "object": body(POD, "pod", uid="pod-uid", version=612)}
        )
        running.fake.streams["pods"].put_nowait({"type": "END", "object": {}})
        await running.until(lambda: any(q.get("resourceVersion") == "612" for q in running.fake.queries["pods"]))


def test_the_shim_is_where_kopf_lists_and_watches_and_is_taken_back() -> None:
    before = fetching.fetch_objs, watching.watch_objs
    with listings.taken(lambda *_: None, lambda *_: nullcontext(), lambda *_: None):
        assert fetching.fetch_objs is not before[0]
        assert watching.watch_objs is not before[1]
        assert vars(watching)["fetching"].fetch_objs is fetching.fetch_objs, "continuous_watch looks it up there"
    assert (fetching.fetch_objs, watching.watch_objs) == before


def test_kopf_is_told_to_write_nothing() -> None:
    settings = handlers.settings()
    assert not settings.posting.enabled
    assert settings.peering.standalone
    assert not settings.watching.initial_streaming, "listings.py sees nothing otherwise"
    registry = handlers.registry(lambda *_: None, None)  # type: ignore[arg-type]
    assert len(registry._watching.get_all_handlers()) == len(WATCHED)
    for other in (registry._changing, registry._spawning, registry._indexing, registry._webhooks):
        assert list(other.get_all_handlers()) == [], "these would write annotations or finalizers, or be quadratic"
