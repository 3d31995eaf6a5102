"""A scenario: what a user does, what becomes of the pods, and what the load is, as data."""

from dataclasses import dataclass

from .acts import Step
from .fates import Fate


@dataclass(frozen=True, slots=True)
class Scenario:
    """`load`: (from this second on, requests) for every service.

    `strict`: however the operator is disturbed, the cluster ends up as in the undisturbed run, attempts included. Not
    so where the order of the user's steps and the operator's decides.

    `absent`: kinds that the cluster does not have in the beginning.
    """

    name: str
    steps: tuple[Step, ...]
    fates: tuple[Fate, ...] = ()
    load: tuple[tuple[float, int], ...] = ()
    strict: bool = True
    settled: tuple[str, ...] = ()  # expected end, as `kind/name condition=status[:reason]`; checked undisturbed
    absent: tuple[str, ...] = ()
    like: str = ""  # another scenario, whose end this one has too: what came in between leaves no trace
