"""An emulated Kubernetes API server, in memory, synchronous and deterministic, for simulations in virtual time.

It is held to the real one (1.34) by tests/sim/conformance*.py and random sequences, which run on both: status,
reason, fields of a refusal, resulting object, owner of each field, events of a watch. What it lacks or does otherwise:

- no paging, JSON patch, strategic merge patch, table output, authorization; no watch over `request`;
- quotas count objects and nothing else; policies and webhooks are what policies.py says;
- core kinds are validated in what podrules.py and validation.py say, not in all that Kubernetes checks;
- PyTorchJob and ScaledObject take any spec: their own schemas are not modelled;
- `True` and `1` are equal where data is untyped; an update never keeps an invalid value that it does not touch
  (ratcheting); messages of refusals are near the real ones, and the same where the operator reads them;
- managedFields are not in the objects, unless asked for, and then as sorted paths; they have no times;
- the garbage collector and the namespace controller run when they are called, one look at everything at a time.
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
