"""kopf, and nothing but kopf: watch streams and their retries. Record in the index, enqueue the owners' keys, return.

Only `on.event`: change-detecting handlers, timers and daemons would write annotations or finalizers. Selectors are the
API server's work (kopf's `labels=` filters after the fact). One thing kopf does not tell is that a listing is complete,
by which alone a deletion is found that happened while no watch ran; `listings()` takes it from where kopf lists.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import kopf
from kopf._cogs.clients import fetching
from kopf._cogs.helpers.typedefs import Logger
from kopf._cogs.structs.references import NamespaceName

from .kube.kinds import CHILDREN, WATCHED, Resource
from .plan.labels import SELECTOR
from .plan.observed import Obj

Recorded = Callable[[Resource, str | None, Obj], None]
Login = Callable[[], Awaitable[kopf.ConnectionInfo]]


class Listed(Protocol):
    def __call__(self, resource: Resource, namespace: str | None, uids: Collection[str], version: str) -> None: ...


def registry(recorded: Recorded, login: Login) -> kopf.OperatorRegistry:
    """Handlers for every watched kind, on a registry of their own."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def _login(**_: object) -> kopf.ConnectionInfo:
        return await login()

    for resource in WATCHED:
        _watch(made, resource, recorded)
    return made


def _watch(made: kopf.OperatorRegistry, resource: Resource, recorded: Recorded) -> None:
    @kopf.on.event(resource.group, resource.version, resource.plural, id=resource.full, registry=made)
    async def _event(event: kopf.RawEvent, **_: object) -> None:
        recorded(resource, event["type"], cast(Obj, event["object"]))


def settings() -> kopf.OperatorSettings:
    """kopf writes nothing: no events, no peering, no finalizers. It retries for a minute, then the process ends."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.peering.standalone = True
    made.queueing.worker_limit = None
    made.queueing.idle_timeout = 0.1  # a worker per object is a task per object: let go of it
    made.networking.request_timeout = 60.0
    made.networking.connect_timeout = 5.0
    made.watching.connect_timeout = 5.0
    made.watching.reconnect_backoff = 0.1
    made.watching.initial_streaming = False  # listings() needs the listing to be one
    made.process.ultimate_exiting_timeout = None
    for resource in CHILDREN:
        selected = (resource.group, resource.version, resource.plural)
        made.watching.label_selectors[selected] = SELECTOR
    return made


def watched_as(resource: kopf.Resource) -> Resource | None:
    """Our name for a kind of kopf's, None for what kopf reads for itself (CRDs, namespaces)."""
    for known in WATCHED:
        if (known.group, known.version, known.plural) == (resource.group, resource.version, resource.plural):
            return known
    return None


@contextmanager
def listings(recorded: Recorded, listed: Listed) -> Iterator[None]:
    """While active, each complete listing of a watched kind is reported to `listed`, after its objects to `recorded`.

    The narrowest way in: kopf (1.45) has no hook here, so its `fetch_objs`, through which every listing goes, is
    wrapped. tests/unit/loop/test_kopf.py fails when that is no longer so.
    """
    original = fetching.fetch_objs

    async def reporting(
        *, settings: kopf.OperatorSettings, resource: kopf.Resource, namespace: NamespaceName | None, logger: Logger
    ) -> AsyncIterator[tuple[Collection[Any], str]]:
        known, version = watched_as(resource), ""
        uids: set[str] = set()
        chunks = original(settings=settings, resource=resource, namespace=namespace, logger=logger)
        async for objects, version in chunks:
            if known is not None:
                for body in objects:
                    uids.add(body["metadata"].get("uid", ""))
                    recorded(known, None, cast(Obj, body))
            yield objects, version
        if known is not None:
            listed(known, namespace, uids, version)

    fetching.fetch_objs = reporting
    try:
        yield
    finally:
        fetching.fetch_objs = original
