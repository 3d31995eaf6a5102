"""When objects were first seen to be as they should: watches of the benchmark's own, which see what any client sees."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import orjson

from .load import Users

Obj = dict[str, Any]
Name = Callable[[Obj], str | None]


class Sightings:
    """One watch over all namespaces. `name` says by which name to note an object, None while it is not there yet.

    The first sighting of a name counts, on the monotonic clock.
    """

    def __init__(self, users: Users, path: str, name: Name) -> None:
        self._users, self._path, self._name = users, path, name
        self.seen: dict[str, float] = {}
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def of(cls, users: Users, path: str, name: Name) -> AsyncIterator["Sightings"]:
        """Watching, from what there is at entry."""
        made = cls(users, path, name)
        version = await made._version()
        task = asyncio.create_task(made._follow(version))
        try:
            yield made
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError, aiohttp.ClientError):
                await task

    async def all_of(self, count: int, what: str, *, seconds: float) -> float:
        """Wait until `count` names were seen; returns when the last one was. Raises TimeoutError."""
        try:
            async with asyncio.timeout(seconds):
                while len(self.seen) < count:
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise TimeoutError(f"{len(self.seen)} of {count} within {seconds:.0f} s: {what}") from None
        return max(self.seen.values(), default=time.monotonic())

    async def _version(self) -> str:
        async with self._users.session.get(self._path, params={"limit": "1"}) as response:
            return str(orjson.loads(await response.read())["metadata"]["resourceVersion"])

    async def _follow(self, version: str) -> None:
        """Until cancelled; a watch that the server ends is begun again where it ended."""
        while True:
            query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true"}
            async with self._users.session.get(self._path, params=query) as response:
                response.raise_for_status()
                async for line in response.content:
                    version = self._note(orjson.loads(line)) or version

    def _note(self, event: Obj) -> str | None:
        if event["type"] == "ERROR":
            raise RuntimeError(f"the watch of {self._path} broke: {event['object']}")
        body = event["object"]
        name = self._name(body) if event["type"] in ("ADDED", "MODIFIED") else None
        if name is not None and name not in self.seen:
            self.seen[name] = time.monotonic()
            self._news.set()
        return str(body["metadata"]["resourceVersion"])


def full_name(body: Obj) -> str:
    return f"{body['metadata']['namespace']}/{body['metadata']['name']}"


def gang_of(body: Obj) -> str | None:
    """A PyTorchJob, by the name of its TrainingJob."""
    job = (body["metadata"].get("labels") or {}).get("slipway.dev/training-job")
    return f"{body['metadata']['namespace']}/{job}" if job else None


def told(kind: str, *, status: str = "True") -> Name:
    """An object once its condition `kind` has this status."""

    def name(body: Obj) -> str | None:
        conditions = (body.get("status") or {}).get("conditions") or []
        said = any(c["type"] == kind and c["status"] == status for c in conditions)
        return full_name(body) if said else None

    return name


def replicas_of(number: int) -> Name:
    """An object once its spec asks for so many replicas."""
    return lambda body: full_name(body) if (body.get("spec") or {}).get("replicas") == number else None
