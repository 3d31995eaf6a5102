"""Every crash point: each scenario, crashed before and after each write that its undisturbed run makes."""

from collections.abc import Iterator

from .faults import Crash
from .judge import undisturbed
from .scenarios import SCENARIOS
from .script import Script


def every_crash() -> Iterator[Script]:
    for scenario in sorted(SCENARIOS):
        yield from crashes(scenario)


def crashes(scenario: str) -> Iterator[Script]:
    for write in range(undisturbed(scenario).writes):
        for after in (False, True):
            yield Script(scenario, faults=(Crash(write, after),))
