"""Every crash point: each scenario, crashed before and after each write that its undisturbed run makes; and every
moment to delete or recreate the owner: as each of these writes begins.

What is written at rest, which is what was refused and is sent again, is left out: nobody disturbs the cluster once its
end is judged.
"""

from collections.abc import Iterator

from .acts import JOBS, SERVICES
from .faults import Crash, Meddling
from .judge import undisturbed
from .scenarios import SCENARIOS
from .script import Script


def every_crash() -> Iterator[Script]:
    for scenario in sorted(SCENARIOS):
        yield from crashes(scenario)


def crashes(scenario: str) -> Iterator[Script]:
    for write in range(undisturbed(scenario).busy_writes):
        for after in (False, True):
            yield Script(scenario, faults=(Crash(write, after),))


def every_deletion() -> Iterator[Script]:
    for scenario in sorted(SCENARIOS):
        if not scenario.startswith("leaf "):
            yield from deletions(scenario)


def deletions(scenario: str) -> Iterator[Script]:
    for write in range(undisturbed(scenario).busy_writes):
        for resource in (JOBS, SERVICES):
            for act in ("delete", "recreate"):
                yield Script(scenario, timing="busy", faults=(Meddling(0.01, act, resource, 0, write),))
