"""A stand-in for the API server: list with pages, watch with bookmarks, 410, failures. Objects are JSON, versions
count up.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

Obj = dict[str, Any]


@dataclass
class FakeApiServer:
    """`objects` per path; `change` and `delete` tell the watches. `ask` remembers every request's query."""

    version: int = 100
    oldest: int = 0  # watches from before are answered 410
    down: bool = False  # every request is answered 503
    brief: bool = False  # watches are answered, tell nothing, and end at once
    objects: dict[str, dict[str, Obj]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _history: list[tuple[int, str, Obj]] = field(default_factory=list)
    _watches: list[tuple[str, web.StreamResponse, asyncio.Event]] = field(default_factory=list)

    async def start(self) -> "FakeApiServer":
        app = web.Application()
        app.router.add_get("/{path:.*}", self._get)
        self.server = TestServer(app)
        await self.server.start_server()
        return self

    async def stop(self) -> None:
        self.disconnect()
        await self.server.close()

    @property
    def url(self) -> str:
        return str(self.server.make_url("")).rstrip("/")

    async def change(self, path: str, item: Obj) -> None:
        name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        known = name in self.objects.setdefault(path, {})
        self.objects[path][name] = self._stamp(item)
        await self._tell(path, "MODIFIED" if known else "ADDED", item)

    async def delete(self, path: str, item: Obj) -> None:
        del self.objects[path][f"{item['metadata']['namespace']}/{item['metadata']['name']}"]
        await self._tell(path, "DELETED", self._stamp(item))

    async def bookmark(self) -> None:
        self.version += 1
        for path, _, _ in tuple(self._watches):
            await self._send(path, {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": str(self.version)}}})

    async def send(self, path: str, event: Obj) -> None:
        await self._send(path, event)

    def disconnect(self) -> None:
        """End all watches, in the middle if need be."""
        for _, _, over in self._watches:
            over.set()

    def watching(self) -> int:
        return len(self._watches)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for requests that make it so."""
        async with asyncio.timeout(10):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def count(self, path: str, *, watch: bool) -> int:
        return sum(1 for asked, query in self.asked if asked == path and ("watch" in query) == watch)

    def _stamp(self, item: Obj) -> Obj:
        self.version += 1
        item["metadata"]["resourceVersion"] = str(self.version)
        return item

    async def _tell(self, path: str, event: str, item: Obj) -> None:
        body = {"type": event, "object": json.loads(json.dumps(item))}
        self._history.append((self.version, path, body))
        await self._send(path, body)

    async def _send(self, path: str, event: Obj) -> None:
        line = json.dumps(event).encode() + b"\n"
        for watched, response, _ in tuple(self._watches):
            if watched == path:
                await response.write(line[:10])  # events need not come in whole pieces
                await response.write(line[10:])

    async def _get(self, request: web.Request) -> web.StreamResponse:
        query = dict(request.query)
        self.asked.append((request.path, query))
        self.tokens.append(request.headers.get("authorization"))
        self._news.set()
        if self.down:
            return web.json_response({"message": "down"}, status=503)
        return await self._watch(request, query) if "watch" in query else self._list(request.path, query)

    def _list(self, path: str, query: dict[str, str]) -> web.Response:
        items = sorted(self.objects.get(path, {}).items())
        begin, limit = int(query.get("continue", "0")), int(query.get("limit", "500"))
        metadata = {"resourceVersion": str(self.version)}
        if begin + limit < len(items):
            metadata["continue"] = str(begin + limit)
        return web.json_response({"metadata": metadata, "items": [item for _, item in items[begin : begin + limit]]})

    async def _watch(self, request: web.Request, query: dict[str, str]) -> web.StreamResponse:
        since = int(query["resourceVersion"])
        if since < self.oldest:
            return web.json_response({"message": "too old"}, status=410)
        response = web.StreamResponse()
        await response.prepare(request)
        if self.brief:
            return response
        for version, path, event in self._history:
            if path == request.path and version > since:
                await response.write(json.dumps(event).encode() + b"\n")
        entry = (request.path, response, asyncio.Event())
        self._watches.append(entry)
        self._news.set()
        try:
            await entry[2].wait()
        finally:
            self._watches.remove(entry)
        return response
