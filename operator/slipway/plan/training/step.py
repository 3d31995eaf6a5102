"""What one look at a job decided; plan.py makes the plan of it."""

from dataclasses import dataclass

from .. import conditions
from ..conditions import Condition, Finding, true
from ..observed import Obj
from ..outcome import Delete
from .ended import End
from .history import History
from .size import Size

ACCEPTED = true(conditions.ACCEPTED, "Accepted", "the spec can be carried out")


@dataclass(frozen=True, slots=True)
class Step:
    """`running`, `accepted` and `end` are what the status says; the rest is done."""

    running: Condition
    accepted: Condition = ACCEPTED
    end: End | None = None
    attempt: int | None = None  # the one that should run from now on; None: the same
    failed: Finding | None = None  # the failure, or the change of size, that leads to the next attempt
    size: Size | None = None  # of the next attempt; None: all that the job would like
    history: History | None = None  # of failures from now on; None: the same
    apply: tuple[Obj, ...] = ()
    create: tuple[Obj, ...] = ()
    delete: tuple[Delete, ...] = ()
    wait_seconds: float | None = None  # until the clock alone has something to tell
    look_again: bool = False  # as in Plan
