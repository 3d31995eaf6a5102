"""Objects, taken where kopf gets them from the API server; they go no further. All we use of kopf's insides is here.

kopf would make a task, a queue and a memory of each object, which is what handlers need that may wait, and ours never
do: 0.4 ms and 4 kB an object, a third of the operator's CPU at full load (docs/performance.md). Workers of kopf's may
also swap two events. And only here it shows that a listing is complete, by which alone a deletion is found that
happened while no watch ran.
"""

import logging
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol, cast

import kopf
from kopf._cogs.clients import errors, fetching, watching
from kopf._cogs.helpers.typedefs import Logger
from kopf._cogs.structs.references import NamespaceName

from .kube.kinds import WATCHED, Resource
from .plan.observed import Obj

log = logging.getLogger(__name__)

CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})
GONE = 410  # a listing took longer than the API server remembers: some five minutes

Recorded = Callable[[Resource, str | None, Obj], None]
Listing = Callable[[Resource, str | None], AbstractContextManager[None]]  # entered while a listing is under way
Fetch = Callable[..., AsyncIterator[tuple[Collection[Any], str]]]
Watch = Callable[..., AsyncIterator[Any]]


class Listed(Protocol):
    def __call__(self, resource: Resource, namespace: str | None, uids: Collection[str], version: str) -> None: ...


def watched_as(resource: kopf.Resource) -> Resource | None:
    """Our name for a kind of kopf's, None for what kopf reads for itself (CRDs, namespaces)."""
    for known in WATCHED:
        if (known.group, known.version, known.plural) == (resource.group, resource.version, resource.plural):
            return known
    return None


@contextmanager
def taken(recorded: Recorded, listing: Listing, listed: Listed) -> Iterator[None]:
    """While active, what kopf lists and watches of our kinds goes to `recorded`, and each complete listing to `listed`;
    `listing` knows of those that are under way.

    The narrowest way in: kopf (1.45) has no hook here, so its `fetch_objs` and `watch_objs`, through which all objects
    come, are wrapped. tests/unit/loop/test_kopf.py fails when that is no longer so.
    """
    fetch, watch = fetching.fetch_objs, watching.watch_objs
    fetching.fetch_objs = _fetching(fetch, recorded, listing, listed)
    watching.watch_objs = _watching(watch, recorded)
    try:
        yield
    finally:
        fetching.fetch_objs, watching.watch_objs = fetch, watch


def _take(recorded: Recorded, resource: Resource, event_type: str | None, body: Obj) -> None:
    """An object that cannot be taken in must not end the watch of all others."""
    try:
        recorded(resource, event_type, body)
    except Exception:
        log.exception("an object could not be taken in: %s %s", resource.full, body["metadata"].get("name"))


def _fetching(fetch: Fetch, recorded: Recorded, listing: Listing, listed: Listed) -> Fetch:
    async def taking(
        *, settings: kopf.OperatorSettings, resource: kopf.Resource, namespace: NamespaceName | None, logger: Logger
    ) -> AsyncIterator[tuple[Collection[Any], str]]:
        pages = _whole(fetch(settings=settings, resource=resource, namespace=namespace, logger=logger))
        known, version = watched_as(resource), ""
        if known is None:
            async for page in pages:
                yield page
            return
        uids: set[str] = set()
        with listing(known, namespace):
            async for objects, version in pages:
                for body in objects:
                    uids.add(body["metadata"].get("uid", ""))
                    _take(recorded, known, None, cast(Obj, body))
                yield (), version
            listed(known, namespace, uids, version)

    return taking


async def _whole(pages: AsyncIterator[tuple[Collection[Any], str]]) -> AsyncIterator[tuple[Collection[Any], str]]:
    """The pages of one listing. Where the next one is gone, kopf would end; a time-out makes it list from the first."""
    try:
        async for page in pages:
            yield page
    except errors.APIError as error:
        if error.status != GONE:
            raise
        raise TimeoutError("the API server has forgotten where this listing was: from the beginning") from error


def _watching(watch: Watch, recorded: Recorded) -> Watch:
    async def taking(*, resource: kopf.Resource, **rest: Any) -> AsyncIterator[Any]:  # noqa: ANN401 - kopf's own
        known = watched_as(resource)
        async for event in watch(resource=resource, **rest):
            if known is None or event["type"] not in CHANGES:
                yield event
                continue
            _take(recorded, known, event["type"], event["object"])
            # kopf goes on from here when the stream breaks, and does nothing else with a bookmark.
            version = event["object"]["metadata"].get("resourceVersion")
            yield {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}

    return taking
