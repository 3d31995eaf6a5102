"""How long things take: in a healthy cluster, and in one that does its worst.

Hostile timing lets others be slow by seconds, and lets the watches swap the events of different objects. With
`disorder` even those of one object, which Kubernetes does not do; the operator must stand it all the same.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Ranges in seconds."""

    request: tuple[float, float]  # each way
    watch: tuple[float, float]  # from a change to its event
    controller: tuple[float, float]  # from a change to what another controller makes of it
    grace: tuple[float, float]  # from a pod's deletion to its end
    duplicates: int = 0  # percent of events told twice
    disorder: bool = False

    def latency(self, chance: random.Random) -> float:
        return chance.uniform(*self.request)


TIMINGS = {
    "calm": Timing((0.001, 0.005), (0.002, 0.02), (0.01, 0.1), (0.5, 2.0)),
    "busy": Timing((0.005, 0.5), (0.01, 2.0), (0.05, 1.5), (0.1, 10.0)),
    "hostile": Timing((0.001, 1.0), (0.001, 12.0), (0.001, 8.0), (0.0, 30.0), duplicates=20),
    "disorder": Timing((0.001, 1.0), (0.001, 6.0), (0.001, 4.0), (0.0, 10.0), duplicates=20, disorder=True),
}
