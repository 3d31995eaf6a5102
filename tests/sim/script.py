"""A run, written down: its repr is Python that repeats it."""

from dataclasses import dataclass

from .faults import Fault


@dataclass(frozen=True, slots=True)
class Script:
    """`without` are numbers of the scenario's steps that are left out (when a failure is made smaller).

    `operators` run at once. `restart`: at the end, when all is at rest, the operator is restarted and must change
    nothing. `addressed`: they have addresses, and the leader publishes its own.
    """

    scenario: str
    seed: int = 0
    timing: str = "calm"
    faults: tuple[Fault, ...] = ()
    operators: int = 1
    restart: bool = False
    without: tuple[int, ...] = ()
    addressed: bool = False
