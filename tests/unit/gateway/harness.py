"""A gateway that listens on a real port, and clients for it: raw bytes, and h11 as the judge of what comes back."""

import asyncio
import io
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, cast

import h11
from prometheus_client.parser import text_string_to_metric_families

from slipway_gateway.accesslog import AccessLog
from slipway_gateway.app import listen
from slipway_gateway.gateway import Gateway
from slipway_gateway.routes import ServiceKey, ServiceRecord, Table
from slipway_gateway.routing import Address
from slipway_gateway.settings import Listen, Settings
from tests.connections import accepted

from .fake_engine import FakeEngine

QUICK: dict[str, Any] = {"listen": Listen("127.0.0.1", 0), "sweep_seconds": 0.01, "drain_delay_seconds": 0.0}
CHAT = ServiceKey("team", "chat")
BODY = json.dumps({"model": "chat", "messages": [{"role": "user", "content": "Hi"}], "x_unknown": 1.50}).encode()


def post(body: bytes = BODY, *headers: str, path: str = "/v1/chat/completions", version: str = "1.1") -> bytes:
    lines = [f"POST {path} HTTP/{version}", "host: gateway", "content-type: application/json", *headers]
    return "\r\n".join([*lines, f"content-length: {len(body)}"]).encode() + b"\r\n\r\n" + body


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "host: gateway", *headers]).encode() + b"\r\n\r\n"


@dataclass
class Reply:
    """A response as h11 understood it."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    interim: list[int] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None

    @property
    def error(self) -> dict[str, Any]:
        found = json.loads(self.body)["error"]
        assert found.keys() == {"message", "type", "param", "code"}
        return dict(found)


class Client:
    """A connection to the gateway. Responses are read by h11, which raises at anything that is not HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self._rest = b""

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def reply(self, method: str = "POST") -> Reply:
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("host", "gateway")]))
        parser.send(h11.EndOfMessage())
        if self._rest:
            parser.receive_data(self._rest)
        found: Reply | None = None
        interim: list[int] = []
        pieces: list[bytes] = []
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(await asyncio.wait_for(self.reader.read(65536), 10))
            elif isinstance(event, h11.InformationalResponse):
                interim.append(event.status_code)
            elif isinstance(event, h11.Response):
                headers = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
                found = Reply(event.status_code, headers, b"", interim)
            elif isinstance(event, h11.Data):
                pieces.append(bytes(event.data))
            else:
                assert isinstance(event, h11.EndOfMessage), event
                assert found is not None
                self._rest = bytes(parser.trailing_data[0])
                found.body = b"".join(pieces)
                return found

    async def ask(self, data: bytes, method: str = "POST") -> Reply:
        await self.send(data)
        return await self.reply(method)

    async def rest(self) -> bytes:
        """Everything until the gateway closes."""
        return self._rest + await asyncio.wait_for(self.reader.read(), 10)

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        cast(asyncio.Transport, self.writer.transport).abort()


class Harness:
    """A running gateway, its engines and clients. `service` declares one with the given engines ready."""

    def __init__(self, settings: Settings) -> None:
        self.log = io.BytesIO()
        self.table = Table()
        self.gateway = Gateway(settings, self.table, AccessLog(self.log))
        self.engines: list[FakeEngine] = []
        self.clients: list[Client] = []
        self.listener: asyncio.Server
        self._sweeping: asyncio.Task[None]

    async def start(self) -> "Harness":
        self.listener = await listen(self.gateway)
        self._sweeping = self.gateway.loop.create_task(self.gateway.sweeping())
        self.table.synced = True
        return self

    @property
    def port(self) -> int:
        return int(self.listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self._sweeping.cancel()
        for client in self.clients:
            client.abort()
        self.listener.close()
        await accepted()
        self.gateway.abort()
        self.gateway.access_log.close(5.0)
        for engine in self.engines:
            await engine.stop()
        await asyncio.sleep(0)

    async def engine(self) -> FakeEngine:
        self.engines.append(await FakeEngine().start())
        return self.engines[-1]

    def service(self, *engines: FakeEngine, key: ServiceKey = CHAT, **fields: Any) -> None:
        self.table.put_service(ServiceRecord(key, **fields))
        self.ready(*engines, key=key)

    def ready(self, *engines: FakeEngine, key: ServiceKey = CHAT) -> None:
        self.table.put_slice((key, "slice"), frozenset(Address("127.0.0.1", engine.port) for engine in engines))

    async def client(self) -> Client:
        self.clients.append(Client(*await asyncio.open_connection("127.0.0.1", self.port)))
        return self.clients[-1]

    async def ask(self, data: bytes, method: str = "POST") -> Reply:
        return await (await self.client()).ask(data, method)

    def metric(self, name: str, **labels: str) -> float | None:
        """A sample's value as Prometheus would read it, or None when there is no such series."""
        page = self.gateway.metrics.page().decode()
        for family in text_string_to_metric_families(page):
            for sample in family.samples:
                if sample.name == name and labels.items() <= sample.labels.items():
                    return float(sample.value)
        return None

    def load(self, key: ServiceKey = CHAT) -> tuple[float | None, float | None]:
        """(held, in flight) as scraped."""
        labels = {"inference_namespace": key.namespace, "inference_service": key.name}
        name = "slipway_gateway_requests"
        return self.metric(name, state="held", **labels), self.metric(name, state="in_flight", **labels)

    def logged(self) -> list[dict[str, Any]]:
        assert self.gateway.access_log.written(5.0)
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    async def until(self, condition: Any, seconds: float = 5.0) -> None:
        """Returns as soon as `condition()` holds; fails after `seconds`."""
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.001)


Start = Callable[..., Awaitable[Harness]]
