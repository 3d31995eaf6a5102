"""What users do: TrainingJobs and InferenceServices, made and changed, as fast as they are taken or at a given rate."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from tests.controlplane.apiserver import ApiServer

from .world import MODEL_CLAIM

Obj = dict[str, Any]

ROOT = "/apis/slipway.dev/v1alpha1"
SAMPLE = Path(__file__).parents[2] / "workloads" / "samples" / "trainingjob-pretrain.yaml"
CONNECTIONS = 16
MERGE = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object that is to be made."""

    plural: str
    namespace: str
    name: str
    body: Obj

    @property
    def path(self) -> str:
        return f"{ROOT}/namespaces/{self.namespace}/{self.plural}"


def training_jobs(namespaces: Sequence[str], numbers: Iterable[int]) -> list[Wanted]:
    """The committed sample, podTemplate and all, as gangs of one; in turn over the namespaces."""
    sample = yaml.safe_load(SAMPLE.read_text())
    spec = {**sample["spec"], "nodes": 1}
    return [_wanted("trainingjobs", "TrainingJob", namespaces, number, f"job-{number:05}", spec) for number in numbers]


def inference_services(namespaces: Sequence[str], numbers: Iterable[int]) -> list[Wanted]:
    spec = {"model": {"uri": f"pvc://{MODEL_CLAIM}/llama"}, "replicas": 1}
    return [
        _wanted("inferenceservices", "InferenceService", namespaces, number, f"model-{number:05}", spec)
        for number in numbers
    ]


def _wanted(plural: str, kind: str, namespaces: Sequence[str], number: int, name: str, spec: Obj) -> Wanted:
    body = {"apiVersion": "slipway.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return Wanted(plural, namespaces[number % len(namespaces)], name, body)


class Users:
    """A connection pool of the benchmark's own."""

    def __init__(self, api: ApiServer, session: aiohttp.ClientSession) -> None:
        self._api, self.session = api, session

    @classmethod
    @asynccontextmanager
    async def of(cls, api: ApiServer) -> AsyncIterator["Users"]:
        tls = ssl.create_default_context(cafile=str(api.ca_file))
        connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        headers = {"Authorization": f"Bearer {api.token}", "User-Agent": "benchmark"}
        async with aiohttp.ClientSession(
            api.url, connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None), read_bufsize=2**20
        ) as session:
            yield cls(api, session)

    async def send(self, method: str, path: str, body: Obj, content_type: str = "application/json") -> None:
        """Raises RuntimeError with the API server's answer when it refuses."""
        data, headers = orjson.dumps(body), {"Content-Type": content_type}
        async with self.session.request(method, path, data=data, headers=headers) as response:
            text = await response.read()
            if response.status >= 400:
                raise RuntimeError(f"{method} {path}: {response.status} {text[:500]!r}")

    async def create(self, wanted: Sequence[Wanted], *, per_second: float | None = None) -> dict[str, float]:
        """Make all of them; returns when each request was sent, by `namespace/name`, on the monotonic clock."""
        sent: dict[str, float] = {}

        async def one(each: Wanted) -> None:
            sent[f"{each.namespace}/{each.name}"] = time.monotonic()
            await self.send("POST", each.path, each.body)

        await self._spread(wanted, one, per_second)
        return sent

    async def scale(self, wanted: Sequence[Wanted], replicas: int, *, per_second: float) -> dict[str, float]:
        """Change `spec.replicas` of services, one after the other; returns when each request was sent."""
        sent: dict[str, float] = {}

        async def one(each: Wanted) -> None:
            sent[f"{each.namespace}/{each.name}"] = time.monotonic()
            await self.send("PATCH", f"{each.path}/{each.name}", {"spec": {"replicas": replicas}}, MERGE)

        await self._spread(wanted, one, per_second)
        return sent

    async def _spread(self, items: Sequence[Any], one: Callable[[Any], Any], per_second: float | None) -> None:
        """`one` for each item: at a fixed rate whatever the answers take, or with a fixed number at once."""
        if per_second is not None:
            await _paced(items, one, per_second)
            return
        waiting = iter(items)

        async def worker() -> None:
            for item in waiting:
                await one(item)

        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(worker())


async def _paced(items: Sequence[Any], one: Callable[[Any], Any], per_second: float) -> None:
    begun = asyncio.get_running_loop().time()
    async with asyncio.TaskGroup() as group:
        for number, item in enumerate(items):
            due = begun + number / per_second
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            group.create_task(one(item))
