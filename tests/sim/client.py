"""The operator's own client on a network that delays, loses and lies.

All of KubeClient runs but the socket: its time-out, its metrics, its reading of errors. Every request that begins is
noted in the world's history, where the oracles find it.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slipway.kube.client import KubeClient
from slipway.plan.observed import Obj
from slipway.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from .process import Process
    from .world import World

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
Answered = tuple[int, bytes, Mapping[str, str]]


@dataclass(slots=True)
class Sent:
    """One request of an operator: when it began and what came of it (None while nothing has been heard)."""

    at: float
    operator: int
    method: str
    path: str
    query: Mapping[str, str]
    body: Obj | None
    content_type: str
    write: bool  # would change something: no dry run, no review
    lease: bool
    status: int | None = None

    @property
    def event(self) -> bool:
        return "/events" in self.path


class NoConnection:
    """Stands where kubernetes.aio's Configuration is; nothing connects."""

    host = "http://simulated"
    ssl_ca_cert: str | None = None
    ca_cert_data: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify_ssl = False

    async def get_api_key_with_prefix(self, identifier: str, alias: str | None = None) -> str | None:
        return None


class SimClient(KubeClient):
    def __init__(self, world: "World", process: "Process", metrics: Metrics) -> None:
        super().__init__(NoConnection(), metrics)
        self._world, self._process = world, process

    async def _exchange(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Obj | None, content_type: str
    ) -> Answered:
        data = None if body is None else json.dumps(body)  # what is sent is what was meant at this moment
        sent = self._sent(method, path, dict(query or {}), body, content_type)
        network, process = self._world.network, self._process
        verdict = network.begins(process, sent)
        await process.alive()
        await asyncio.sleep(network.latency(process))
        await process.alive()

        def effect() -> Answered:
            return self._effect(sent, data)

        answer = await network.carry(process, sent, verdict, effect)
        await asyncio.sleep(network.latency(process))
        await process.alive()
        sent.status = answer[0]
        return answer

    def _sent(self, method: str, path: str, query: dict[str, str], body: Obj | None, content_type: str) -> Sent:
        harmless = "dryRun" in query or path.endswith("/tokenreviews")
        write = method in WRITES and not harmless
        now, number = asyncio.get_running_loop().time(), self._process.number
        return Sent(now, number, method, path, query, body, content_type, write, "/leases" in path)

    def _effect(self, sent: Sent, data: str | None) -> Answered:
        body = None if data is None else json.loads(data)
        answer = self._world.api.request(
            sent.method, sent.path, query=dict(sent.query), body=body, content_type=sent.content_type
        )
        return answer.status, json.dumps(answer.body).encode(), {k.title(): v for k, v in answer.headers.items()}
