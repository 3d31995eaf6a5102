"""When a listing of kopf's is complete: by that alone a deletion is found that happened while no watch ran.

kopf has no hook for it, so the one private function through which every listing goes is wrapped. All that we use of
kopf's insides is in this file.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, cast

import kopf
from kopf._cogs.clients import fetching
from kopf._cogs.helpers.typedefs import Logger
from kopf._cogs.structs.references import NamespaceName

from .kube.kinds import WATCHED, Resource
from .plan.observed import Obj

Recorded = Callable[[Resource, str | None, Obj], None]


class Listed(Protocol):
    def __call__(self, resource: Resource, namespace: str | None, uids: Collection[str], version: str) -> None: ...


def watched_as(resource: kopf.Resource) -> Resource | None:
    """Our name for a kind of kopf's, None for what kopf reads for itself (CRDs, namespaces)."""
    for known in WATCHED:
        if (known.group, known.version, known.plural) == (resource.group, resource.version, resource.plural):
            return known
    return None


@contextmanager
def reported(recorded: Recorded, listed: Listed) -> Iterator[None]:
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
