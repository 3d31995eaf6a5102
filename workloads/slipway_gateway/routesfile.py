"""Routes from a file, where there is no Kubernetes: read at start, and again whenever it changes.

    services:
      - name: chat                       # namespace: default
        endpoints: ["127.0.0.1:8001", "127.0.0.1:8002"]

A file that cannot be read at start ends the program; later, the last good routes stay and the log says what is wrong.
"""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from .metrics import Metrics
from .routes import ServiceKey, ServiceRecord, Table
from .routing import Address

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
SLICE = "file"


def _address(text: str) -> str:
    parse_address(text)
    return text


def parse_address(text: str) -> Address:
    """Raises ValueError for what is not `host:port`."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not host:port")
    return Address(host.strip("[]"), int(port))


Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", max_length=253)]


class RoutedService(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    namespace: Name = "default"
    endpoints: list[Annotated[str, AfterValidator(_address)]] = []

    @property
    def key(self) -> ServiceKey:
        return ServiceKey(self.namespace, self.name)


class RoutesFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    services: list[RoutedService]

    @model_validator(mode="after")
    def _once(self) -> Self:
        """Of a service that is there twice, one entry's endpoints would be lost without a word."""
        times = Counter(service.key for service in self.services)
        if twice := [str(key) for key, count in times.items() if count > 1]:
            raise ValueError(f"services: {', '.join(twice)} twice or more: put all endpoints into one entry")
        return self


def read(path: Path) -> RoutesFile:
    """Raises OSError, yaml.YAMLError or ValueError, whose text says where the mistake is."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("nested too deeply to be read: services is a list of name, namespace, endpoints") from None
    return RoutesFile.model_validate(found)


def apply(found: RoutesFile, table: Table) -> None:
    table.replace_services(ServiceRecord(service.key) for service in found.services)
    table.replace_slices(
        {(service.key, SLICE): frozenset(map(parse_address, service.endpoints)) for service in found.services}
    )
    table.synced = True


def _stamp(path: Path) -> tuple[int, int, int]:
    """Changes whenever the file does, also when a mounted ConfigMap is swapped under the same name."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


class Reloading:
    """`load` at start raises; `run` keeps the routes as the file says."""

    def __init__(self, path: Path, table: Table, metrics: Metrics) -> None:
        self._path = path
        self._table = table
        self._metrics = metrics
        self._seen: tuple[int, int, int] | None = None

    def load(self) -> None:
        self._seen = _stamp(self._path)
        apply(read(self._path), self._table)
        self._count("listed")

    async def run(self, poll_seconds: float = POLL_SECONDS) -> None:
        while True:
            await asyncio.sleep(poll_seconds)
            self.poll()

    def poll(self) -> None:
        """Load the file again if it has changed."""
        try:
            if _stamp(self._path) != self._seen:
                self.load()
                logger.info("read %s again: %d services", self._path, len(self._table.services))
        except (OSError, ValueError, yaml.YAMLError) as problem:
            self._count("failed")
            logger.error("%s cannot be read, the routes stay as they were: %s", self._path, problem)

    def _count(self, event: str) -> None:
        self._metrics.discovery.labels("RoutesFile", event).inc()
