"""The table of routes: which services there are, which replicas are ready, which names mean which service.

Two sources feed it piece by piece (InferenceServices and EndpointSlices; or a file), in any order: a slice may come
before its service. Readers see a whole table at any moment, since everything runs in one event loop. What the sources
last said stays until they say otherwise: losing the API server loses no route.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import Refusal
from .routing import Address, Snapshot

if TYPE_CHECKING:
    from .upstream import UpstreamConnection

NAMED_IN_MESSAGE_MAX = 20  # model names listed in a 404


@dataclass(frozen=True, slots=True, order=True)
class ServiceKey:
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


SliceKey = tuple[ServiceKey, str]  # the service, and the name of the EndpointSlice


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    """An InferenceService as far as routing cares. `created` is in seconds since the epoch.

    `startable` is False when nothing will add a replica (replicas 0, no scaling); `state` is why it is not Ready, or
    "".
    """

    key: ServiceKey
    created: int = 0
    startable: bool = True
    state: str = ""


class Replica:
    """One engine: its load and its kept-alive connections, last used last."""

    __slots__ = ("address", "idle", "in_flight", "ready")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.in_flight = 0
        self.ready = True
        self.idle: list[UpstreamConnection] = []

    def leave(self) -> None:
        """No new requests; those in flight go on."""
        self.ready = False
        for connection in tuple(self.idle):
            connection.discard()


class Service:
    """A service's replicas and counts. `held` and `in_flight` are what the autoscaler sees."""

    __slots__ = ("_replicas", "gone", "held", "in_flight", "ready", "record", "turn")

    def __init__(self, record: ServiceRecord) -> None:
        self.record = record
        self.gone = False  # deleted: what still has requests here finishes them, and starts none
        self.held = 0
        self.in_flight = 0
        self.turn = 0
        self.ready: tuple[Replica, ...] = ()
        self._replicas: dict[Address, Replica] = {}

    @property
    def key(self) -> ServiceKey:
        return self.record.key

    def snapshot(self, *, first: bool = True) -> Snapshot[Replica]:
        """What to choose from. Only a request's first choice moves the turn on, else retries would skip replicas."""
        self.turn += first
        return Snapshot(self.ready, self.turn)

    def set_ready(self, addresses: Iterable[Address]) -> None:
        """Exactly these are ready. One that left with requests in flight keeps its count should it come back."""
        wanted = sorted(set(addresses))
        for address, replica in tuple(self._replicas.items()):
            if replica.ready and address not in wanted:
                replica.leave()
            if not replica.ready and replica.in_flight == 0:
                del self._replicas[address]
        self.ready = tuple(self._join(address) for address in wanted)

    def _join(self, address: Address) -> Replica:
        replica = self._replicas.setdefault(address, Replica(address))
        replica.ready = True
        return replica


def _ignore(_service: Service) -> None:
    return None


class Table:
    """`synced` is set by the source once it has told everything it knows. `on_ready` is called for a service that has
    ready replicas after a change, `on_stopped` for one that nothing will start, `on_gone` for one that was removed."""

    def __init__(self) -> None:
        self.services: dict[ServiceKey, Service] = {}
        self.synced = False
        self.on_ready: Callable[[Service], None] = _ignore
        self.on_stopped: Callable[[Service], None] = _ignore
        self.on_gone: Callable[[Service], None] = _ignore
        self._slices: dict[ServiceKey, dict[str, frozenset[Address]]] = {}
        self._bare: dict[str, list[ServiceKey]] = {}

    # What the sources say

    def put_service(self, record: ServiceRecord) -> None:
        service = self.services.get(record.key)
        if service is not None:
            service.record = record
            if not record.startable:
                self.on_stopped(service)
            return
        self.services[record.key] = Service(record)
        self._bare.setdefault(record.key.name, []).append(record.key)
        self._bare[record.key.name].sort()
        self._refresh(record.key)

    def drop_service(self, key: ServiceKey) -> None:
        service = self.services.pop(key, None)
        if service is None:
            return
        self._bare[key.name].remove(key)
        if not self._bare[key.name]:
            del self._bare[key.name]
        service.gone = True
        service.set_ready(())
        self.on_gone(service)

    def replace_services(self, records: Iterable[ServiceRecord]) -> None:
        """After a list: exactly these exist."""
        found = {record.key: record for record in records}
        for key in self.services.keys() - found.keys():
            self.drop_service(key)
        for record in found.values():
            self.put_service(record)

    def put_slice(self, key: SliceKey, addresses: frozenset[Address]) -> None:
        owner, name = key
        slices = self._slices.setdefault(owner, {})
        if slices.get(name) != addresses:
            slices[name] = addresses
            self._refresh(owner)

    def drop_slice(self, key: SliceKey) -> None:
        owner, name = key
        slices = self._slices.get(owner, {})
        if slices.pop(name, None) is None:
            return
        if not slices:
            del self._slices[owner]
        self._refresh(owner)

    def replace_slices(self, slices: Mapping[SliceKey, frozenset[Address]]) -> None:
        """After a list: exactly these exist. Each service changes once, so that no route blinks."""
        before, self._slices = self._slices, {}
        for (owner, name), addresses in slices.items():
            self._slices.setdefault(owner, {})[name] = addresses
        for owner in before.keys() | self._slices.keys():
            if before.get(owner) != self._slices.get(owner):
                self._refresh(owner)

    def _refresh(self, key: ServiceKey) -> None:
        service = self.services.get(key)
        if service is None:
            return
        service.set_ready(frozenset().union(*self._slices.get(key, {}).values()))
        if service.ready:
            self.on_ready(service)

    # What requests ask

    def names(self) -> list[tuple[str, Service]]:
        """Every name that `model` may have: the qualified one of each service, and before it the bare one where
        unique.
        """
        found: list[tuple[str, Service]] = []
        for key in sorted(self.services):
            if len(self._bare[key.name]) == 1:
                found.append((key.name, self.services[key]))
            found.append((str(key), self.services[key]))
        return found

    def resolve(self, model: str) -> Service:
        """The service that `model` names. Raises Refusal: 404 unknown or ambiguous, 503 before the first sync."""
        namespace, slash, name = model.rpartition("/")
        keys = [ServiceKey(namespace, name)] if slash else self._bare.get(name, [])
        if len(keys) == 1 and keys[0] in self.services:
            return self.services[keys[0]]
        if not self.synced:
            raise Refusal(503, "starting", "The gateway has not read its routes yet: try again.", retry_after_seconds=1)
        if len(keys) > 1:
            raise _ambiguous(model, keys)
        raise self._unknown(model)

    def _unknown(self, model: str) -> Refusal:
        """Names what was asked for in the wrong namespace, and nobody else's: a mistyped name gets no list, which
        would also cost more the more services there are.
        """
        keys = self._bare.get(model.rpartition("/")[2], [])
        elsewhere = f" Did you mean {', '.join(map(str, keys[:NAMED_IN_MESSAGE_MAX]))}?" if keys else ""
        message = f"The model {shortened(model)} does not exist.{elsewhere} GET /v1/models lists those that do."
        return Refusal(404, "model_not_found", message, param="model")


def _ambiguous(model: str, keys: list[ServiceKey]) -> Refusal:
    listed = ", ".join(str(key) for key in keys[:NAMED_IN_MESSAGE_MAX])
    message = f"The model {shortened(model)} exists in {len(keys)} namespaces. Ask for one of: {listed}."
    return Refusal(404, "model_ambiguous", message, param="model")


def shortened(text: str, limit: int = 200) -> str:
    """A client's text, quoted and bounded, fit to be said back."""
    return repr(text if len(text) <= limit else text[:limit] + "...")
