"""Which ready replica gets a request. Pure: what is chosen follows from the arguments alone.

The rule: fewest requests in flight; among equals, the one whose turn it is, so that an idle service spreads its load.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """Where a replica listens. `host` is an IP address in a cluster."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Candidate(Protocol):
    @property
    def address(self) -> Address: ...
    @property
    def in_flight(self) -> int: ...


C = TypeVar("C", bound=Candidate)


class Wanted(NamedTuple):
    """What routing knows of a request: the model as asked for, and the replicas that have failed it already."""

    model: str
    tried: frozenset[Address] = frozenset()


class Snapshot(NamedTuple, Generic[C]):
    """The ready replicas of a service at one moment; `turn` counts the choices made for it."""

    ready: Sequence[C]
    turn: int = 0


def choose(request: Wanted, snapshot: Snapshot[C]) -> C | None:
    """The replica to send to, or None when every ready one was tried."""
    ready = snapshot.ready
    count = len(ready)
    best: C | None = None
    for offset in range(count):
        replica = ready[(snapshot.turn + offset) % count]
        if replica.address not in request.tried and (best is None or replica.in_flight < best.in_flight):
            best = replica
    return best
