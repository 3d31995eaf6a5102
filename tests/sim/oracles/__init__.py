"""The promises of the operator, one in each file; test_oracles.py shows of each that it can be broken."""

from .attempts import Attempts
from .base import Oracle
from .events import Events
from .foreign import Foreign
from .invalid import Invalid
from .leader import Leader
from .orphans import Orphans
from .rest import Rest
from .serving import Serving
from .status import Status

ORACLES: tuple[type[Oracle], ...] = (Attempts, Events, Foreign, Invalid, Leader, Orphans, Rest, Serving, Status)

__all__ = ["ORACLES", "Oracle"]
