"""What goes wrong in a run, as data: so that a run can be written down, repeated, and made smaller.

Times are virtual seconds from the start. Writes and requests are counted over all operators of the run from 0, in the
order in which they begin; renewals of the Lease are not counted, so that a slow election shifts no number.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crash:
    """The operator that begins write number `write` ends there, before or after it takes effect; another starts
    `down_seconds` later. `late_seconds`: the request was on its way and arrives that much later all the same."""

    write: int
    after: bool
    down_seconds: float = 1.0
    late_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Kill:
    """Every operator ends at a time, as by kill -9 of the node."""

    at: float
    down_seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Answer:
    """Request number `request` is answered with `status` (0: with nothing), `after` taking effect or instead of it."""

    request: int
    status: int
    after: bool


@dataclass(frozen=True, slots=True)
class Late:
    """Request number `request` takes effect `seconds` late; who sent it never hears of it."""

    request: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Storm:
    """For a while `percent` of all requests are answered with `status` (0: with nothing), some after taking effect.

    `kind`: only of requests for objects of this plural, "" is all.
    """

    at: float
    seconds: float
    status: int
    percent: int
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Slow:
    """For a while every request takes up to `latency` seconds each way."""

    at: float
    seconds: float
    latency: float


@dataclass(frozen=True, slots=True)
class Silence:
    """The watch of a kind ("" is all) tells nothing for a while. Then it goes on where it was or, `expired`, lists.

    `operator` None: to none of them.
    """

    resource: str
    at: float
    seconds: float
    expired: bool
    operator: int | None = None


@dataclass(frozen=True, slots=True)
class Overlook:
    """kopf does not notice that a kind has come, in the operators that run at first."""

    resource: str


@dataclass(frozen=True, slots=True)
class Partition:
    """One operator, by its number, reaches nothing and hears nothing for a while. Its process goes on."""

    operator: int
    at: float
    seconds: float
    delivered: bool = False  # what it sends still arrives: only the answers are lost


@dataclass(frozen=True, slots=True)
class WallJump:
    """One operator's wall clock jumps by `seconds`, forwards or backwards."""

    operator: int
    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Meddling:
    """A user's hand in what is Slipway's: `act` (see meddling.py) on the `choice`-th object of a kind.

    `at` is counted from the start or, with `write`, from when that write begins.
    """

    at: float
    act: str
    resource: str
    choice: int = 0
    write: int | None = None


BACK_MOST_SECONDS = 300.0  # by more, and nothing that waits comes while a run lasts

Fault = Crash | Kill | Answer | Late | Storm | Slow | Silence | Overlook | Partition | WallJump | Meddling


def over(fault: Fault) -> float:
    """When the fault is over by itself; 0 for those that are counted instead of timed."""
    match fault:
        case Kill():
            return fault.at + fault.down_seconds
        case Storm() | Slow() | Silence() | Partition():
            return fault.at + fault.seconds
        case WallJump():  # what waits for a time waits for longer, when the clock goes back by seconds
            return fault.at + (-fault.seconds if -BACK_MOST_SECONDS <= fault.seconds < 0 else 0.0)
        case Meddling():
            return fault.at
        case _:
            return 0.0
