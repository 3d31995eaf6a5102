"""A FAKE API server for the loop's small parts: in memory, over real HTTP, with only what those parts rely on.

It keeps resourceVersions, uids, optimistic locking, delete preconditions and the outline of server-side apply (spec and
labels replaced, status as a subresource). What the real one does beyond that is tested in tests/integration.
"""

import copy
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from slipway.kube.client import KubeClient
from slipway.telemetry.metrics import Metrics
from tests.connections import all_ended

Obj = dict[str, Any]


@dataclass
class Connection:
    """kubernetes.aio's Configuration, as far as it is used."""

    host: str
    ssl_ca_cert: str | None = None
    ca_cert_data: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify_ssl: bool = True
    token: str = "bearer of-the-test"

    async def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None:
        return self.token


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]
    text: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Fault:
    """The next `times` requests that match are answered with this instead; `after` lets them take effect first."""

    matches: str
    status: int
    times: int = 1
    message: str = "by order of the test"
    headers: dict[str, str] = field(default_factory=dict)
    after: bool = False


class FakeApi:
    def __init__(self) -> None:
        self.objects: dict[str, Obj] = {}
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.reviews: dict[str, Obj] = {}  # token -> TokenReview status
        self.die_after: int | None = None  # requests that are answered before all others fail
        self._versions = itertools.count(100)
        self._uids = itertools.count(1)

    # ------------------------------------------------------------------ for tests

    def put(self, path: str, body: Obj) -> Obj:
        """Store an object as it is, under a new resourceVersion."""
        stored = copy.deepcopy(body)
        metadata = stored.setdefault("metadata", {})
        metadata.setdefault("uid", f"uid-{next(self._uids)}")
        metadata["resourceVersion"] = str(next(self._versions))
        self.objects[path] = stored
        return stored

    def fail(self, matches: str, status: int, **more: Any) -> None:
        self.faults.append(Fault(matches, status, **more))

    @property
    def writes(self) -> list[str]:
        return [str(r) for r in self.requests if r.method != "GET"]

    def clear(self) -> None:
        self.requests.clear()

    # ------------------------------------------------------------------ HTTP

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        seen = Request(
            request.method,
            request.path,
            dict(request.query),
            json.loads(text) if text else None,
            dict(request.headers),
            text,
        )
        self.requests.append(seen)
        if self.die_after is not None and len(self.requests) > self.die_after:
            return self._status(503, "the process that asked is dead", {})
        fault = next((f for f in self.faults if f.times > 0 and re.search(f.matches, str(seen))), None)
        if fault is not None:
            fault.times -= 1
            if fault.after:
                self._answer(seen)
            return self._status(fault.status, fault.message, fault.headers)
        return self._answer(seen)

    def _answer(self, request: Request) -> web.Response:
        return {
            "GET": self._get,
            "POST": self._post,
            "PATCH": self._patch,
            "PUT": self._replace,
            "DELETE": self._delete,
        }[request.method](request)

    def _get(self, request: Request) -> web.Response:
        if request.path in self.objects:
            return web.json_response(self.objects[request.path])
        if request.path.endswith("/pods"):
            found = [o for p, o in self.objects.items() if p.startswith(request.path + "/") and _selected(o, request)]
            return web.json_response({"kind": "PodList", "items": found})
        return self._status(404, f"{request.path} not found")

    def _post(self, request: Request) -> web.Response:
        if request.path.endswith("/tokenreviews"):
            status = self.reviews.get(request.body["spec"]["token"], {"authenticated": False})
            return web.json_response({"kind": "TokenReview", "status": status}, status=201)
        path = f"{request.path}/{request.body['metadata']['name']}"
        if path in self.objects:
            return self._status(409, f"{path} already exists")
        if request.query.get("dryRun"):
            return web.json_response(request.body, status=201)
        return web.json_response(self.put(path, request.body), status=201)

    def _patch(self, request: Request) -> web.Response:
        path = request.path.removesuffix("/status")
        before, asked = self.objects.get(path), request.body.get("metadata", {})
        if before is None:
            if request.path != path or request.headers["Content-Type"] != "application/apply-patch+yaml":
                return self._status(404, f"{path} not found")
            return web.json_response(self.put(path, request.body), status=201)
        for name in ("uid", "resourceVersion"):
            if asked.get(name) not in (None, before["metadata"][name]):
                return self._status(409, f"{name} is another")
        after = copy.deepcopy(before)
        if request.path != path:
            after["status"] = request.body["status"]
        else:
            _merge(after, {k: v for k, v in request.body.items() if k != "status"})
        return web.json_response(before if after == before else self.put(path, after))

    def _replace(self, request: Request) -> web.Response:
        before = self.objects.get(request.path)
        if before is None:
            return self._status(404, "not found")
        if request.body["metadata"].get("resourceVersion") != before["metadata"]["resourceVersion"]:
            return self._status(409, "the object has been modified")
        return web.json_response(self.put(request.path, request.body))

    def _delete(self, request: Request) -> web.Response:
        before = self.objects.get(request.path)
        if before is None:
            return self._status(404, "not found")
        if request.body["preconditions"]["uid"] != before["metadata"]["uid"]:
            return self._status(409, "the uid is another")
        del self.objects[request.path]
        return web.json_response({"kind": "Status", "status": "Success"})

    def _status(self, code: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
        body = {"kind": "Status", "status": "Failure", "code": code, "reason": "Failed", "message": message}
        return web.json_response(body, status=code, headers=headers)


def _merge(into: Obj, change: Obj) -> None:
    for key, value in change.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value


def _selected(body: Obj, request: Request) -> bool:
    labels = body["metadata"].get("labels", {})
    for term in request.query.get("labelSelector", "").split(","):
        name, _, value = term.partition("=")
        negated = name.endswith("!")
        if term and (labels.get(name.rstrip("!")) == value) == negated:
            return False
    return True


@asynccontextmanager
async def serving(fake: FakeApi, metrics: Metrics | None = None) -> AsyncIterator[KubeClient]:
    """A client of the fake, over a real connection."""
    application = web.Application()
    application.router.add_route("*", "/{any:.*}", fake.handle)
    async with TestServer(application) as server:
        client = KubeClient(Connection(str(server.make_url("")).rstrip("/")), metrics or Metrics())
        try:
            yield client
        finally:
            await client.close()
    await all_ended()  # the loop may not live to see it
