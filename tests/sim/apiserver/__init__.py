"""An emulated Kubernetes API server, in memory, synchronous and deterministic, for simulations in virtual time.

It is held to the real one by tests/sim/conformance.py, which runs on both.
"""

from .answers import Answer, Expired, Obj, Refusal, Request, WatchEvent
from .garbage import Collected
from .kinds import Kind, bare_definition, default_kinds, definitions, from_definition
from .server import Emulator

__all__ = [
    "Answer",
    "Collected",
    "Emulator",
    "Expired",
    "Kind",
    "Obj",
    "Refusal",
    "Request",
    "WatchEvent",
    "bare_definition",
    "default_kinds",
    "definitions",
    "from_definition",
]
