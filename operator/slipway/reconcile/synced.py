"""Whether the index is complete enough to act on: every kind that the cluster serves has been listed once.

Nobody leads before that: a plan made from half an index would still be safe (once-only steps are confirmed live), but
its status would claim that things are missing. Kinds of optional parts may be absent; the cluster is asked which.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import contextmanager

from ..kube.errors import ApiError
from ..kube.kinds import Resource

PROBE_SECONDS = 30.0
FIRST_PROBE_SECONDS = 1.0
MISSED_PROBES = 4

log = logging.getLogger(__name__)

Serves = Callable[[str, str], Awaitable[bool]]  # (apiVersion, plural)


class WatchMissing(RuntimeError):
    """A kind is served, but nobody begins to list it: only a restart mends that."""


class Synced:
    """`namespaces` are those watched; empty: all at once. A kind that is in none is watched at once anyway."""

    def __init__(
        self, kinds: Collection[Resource], *, optional: Collection[Resource], namespaces: tuple[str, ...]
    ) -> None:
        self._kinds, self._optional = tuple(kinds), frozenset(optional)
        self._scopes: tuple[str | None, ...] = namespaces or (None,)
        self._listed: set[tuple[str, str | None]] = set()
        self._listing: set[tuple[str, str | None]] = set()
        self._absent: set[str] = set()
        self._ready = asyncio.Event()

    @contextmanager
    def listing(self, resource: Resource, namespace: str | None) -> Iterator[None]:
        """While a listing is under way, however long it takes, and whether or not it will be complete."""
        scope = (resource.full, namespace)
        self._listing.add(scope)
        try:
            yield
        finally:
            self._listing.discard(scope)

    def listed(self, resource: Resource, namespace: str | None) -> bool:
        """Note a complete listing; returns whether it is the first one of a kind that came after readiness."""
        first = (resource.full, namespace) not in self._listed
        self._listed.add((resource.full, namespace))
        late = first and self._ready.is_set()
        self._update()
        return late

    def missing(self) -> list[str]:
        """What readiness still waits for, by plural.group; empty once ready, and for ever after."""
        if self._ready.is_set():
            return []
        return [r.full for r in self._unlisted() if r.full not in self._absent]

    async def wait(self) -> None:
        await self._ready.wait()

    async def probe(self, serves: Serves, *, seconds: float = PROBE_SECONDS) -> None:
        """Ask the cluster for the kinds not listed yet, for ever. Raises WatchMissing when one is served but nobody
        lists it: the watch library missed its arrival. A listing that only takes long is waited for."""
        overdue: dict[str, int] = {}
        while True:
            for resource in self._unlisted():
                missed = await self._served(serves, resource) and not self._is_being_listed(resource)
                overdue[resource.full] = overdue.get(resource.full, 0) + 1 if missed else 0
                if overdue[resource.full] > MISSED_PROBES:
                    raise WatchMissing(f"{resource.full} is served, but is not being watched")
            self._update()
            await asyncio.sleep(seconds if self._ready.is_set() else min(seconds, FIRST_PROBE_SECONDS * 5))

    async def _served(self, serves: Serves, resource: Resource) -> bool:
        try:
            served = await serves(resource.api_version, resource.plural)
        except ApiError as error:
            log.warning("could not ask whether %s is served: %s", resource.full, error)
            return False
        if not served and resource in self._optional:
            self._absent.add(resource.full)
        else:
            self._absent.discard(resource.full)
        return served

    def _unlisted(self) -> list[Resource]:
        return [r for r in self._kinds if any(scope not in self._listed for scope in self._scopes_of(r))]

    def _is_being_listed(self, resource: Resource) -> bool:
        """In each scope where it has not been listed yet."""
        return all(scope in self._listed | self._listing for scope in self._scopes_of(resource))

    def _scopes_of(self, resource: Resource) -> list[tuple[str, str | None]]:
        return [(resource.full, scope) for scope in ((None,) if resource.clustered else self._scopes)]

    def _update(self) -> None:
        if all(r.full in self._absent for r in self._unlisted()):
            self._ready.set()
