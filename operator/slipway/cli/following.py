"""All of Slipway's resources, and every change to them: one list and one watch of each kind, for as long as asked.

What cannot be read at the beginning ends it; what breaks later is told and tried again, for whoever looks at a table
for hours wants it to outlive a restart of the API server.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes.aio import client

from ..api.common import GROUP, VERSION
from ..api.crd import KINDS
from ..plan.observed import Obj
from . import listing

WATCH_SECONDS = 240  # then the API server ends a watch, and it goes on from where it was; below the client's time-out
AGAIN_SECONDS, AGAIN_MAX_SECONDS = 1.0, 30.0
OK, EXPIRED = 200, 410


@dataclass(frozen=True, slots=True)
class Place:
    """Which resource: there is one of a kind, namespace and name at a time."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Told:
    """To whom it is told: `changed(place, item)`, with None when the resource is gone; `trouble(plural, text)`, with ""
    when that kind can be read (again)."""

    changed: Callable[[Place, Obj | None], None]
    trouble: Callable[[str, str], None]


async def follow(namespace: str | None, told: Told) -> None:
    """Until cancelled. Raises listing.Unreadable, if there is no first list."""
    async with listing.connected() as custom:
        first = [(kind.plural, await listing.read(custom, kind.plural, namespace)) for kind in KINDS]
        kinds = [_Kind(custom, plural, namespace, told) for plural, _ in first]
        await asyncio.gather(*(kind.follow(listed) for kind, (_, listed) in zip(kinds, first, strict=True)))


class _Expired(Exception):
    """The API server has forgotten what came after the version that was asked for: list again."""


@dataclass(slots=True)
class _Kind:
    custom: Any
    plural: str
    namespace: str | None
    told: Told
    known: dict[Place, Obj] = field(default_factory=dict)

    async def follow(self, listed: Obj) -> None:
        while True:
            self._take_all(listed)
            await self._watch(listed["metadata"]["resourceVersion"])
            listed = await self._list_again()

    def _take_all(self, listed: Obj) -> None:
        self.told.trouble(self.plural, "")
        items = {_place(item): item for item in listed["items"]}
        for place in self.known.keys() - items.keys():
            self._take(place, None)
        for place, item in items.items():
            if self.known.get(place) != item:
                self._take(place, item)

    def _take(self, place: Place, item: Obj | None) -> None:
        if item is None:
            self.known.pop(place, None)
        else:
            self.known[place] = item
        self.told.changed(place, item)

    async def _watch(self, version: str) -> None:
        """Changes from `version` on, until the API server does not have them any more, or trouble comes."""
        try:
            while True:
                version = await self._stream(version)
        except _Expired:
            return
        except listing.Unreadable as error:
            self.told.trouble(self.plural, str(error))

    async def _stream(self, version: str) -> str:
        """One watch, until the API server ends it. Returns the version from which to go on."""
        async with aclosing(self._events(version)) as events:
            async for event in events:
                item = event["object"]
                if event["type"] == "ERROR":
                    raise self._refused(item.get("code"), item.get("message"))
                if event["type"] != "BOOKMARK":
                    self._take(_place(item), None if event["type"] == "DELETED" else item)
                version = item["metadata"]["resourceVersion"]
        return version

    async def _events(self, version: str) -> AsyncGenerator[Obj, None]:
        """Raises _Expired, listing.Unreadable. The library's own Watch takes an answer that is not 200 for an event."""
        where = (GROUP, VERSION) if self.namespace is None else (GROUP, VERSION, self.namespace)
        scope = "cluster" if self.namespace is None else "namespaced"
        ask = getattr(self.custom, f"list_{scope}_custom_object_without_preload_content")
        query = {"resource_version": version, "timeout_seconds": WATCH_SECONDS, "allow_watch_bookmarks": True}
        try:
            response = await ask(*where, self.plural, watch=True, **query)
            async with response:
                if response.status != OK:
                    raise self._refused(response.status, response.reason)
                rest = b""
                async for piece in response.content.iter_any():
                    *lines, rest = (rest + piece).split(b"\n")  # an object may be larger than any line buffer
                    for line in filter(None, lines):
                        yield json.loads(line)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            said = error or type(error).__name__
            raise listing.Unreadable(f"the API server does not answer: {said}") from error

    def _refused(self, status: int, reason: str) -> Exception:
        if status == EXPIRED:
            return _Expired()
        return listing.Unreadable(listing.explained(self.plural, client.ApiException(status=status, reason=reason)))

    async def _list_again(self) -> Obj:
        """Once it can be had: the pauses between two tries grow."""
        pause = AGAIN_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                listed = await listing.read(self.custom, self.plural, self.namespace)
            except listing.Unreadable as error:
                self.told.trouble(self.plural, str(error))
                pause = min(2 * pause, AGAIN_MAX_SECONDS)
            else:
                return listed


def _place(item: Obj) -> Place:
    return Place(item["kind"], item["metadata"]["namespace"], item["metadata"]["name"])
