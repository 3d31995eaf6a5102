"""The search for a mistake: where a hint points, then undisturbed runs, then crash points and seeds in turn."""

from collections.abc import Iterator
from itertools import chain, count, islice, zip_longest
from typing import Any

from . import faults
from .crashes import crashes
from .judge import expectations, judge
from .scenarios import SCENARIOS
from .script import Script
from .seeds import OTHERS, script

FIRST_SEED = 5000


def search(hints: str, runs: int) -> dict[str, Any]:
    """The first complaint in so many runs: {oracle, runs, script}; oracle None when there was none."""
    hinted: list[Script] = eval(hints, {**vars(faults), "Script": Script})  # of our own table
    for number, candidate in enumerate(islice(chain(hinted, candidates()), runs), 1):
        if complaint := complaint_about(candidate):
            return {"oracle": complaint, "runs": number, "script": repr(candidate)}
    return {"oracle": None, "runs": runs, "script": ""}


def complaint_about(script: Script) -> str:
    """The oracle that complains first, "" for none."""
    try:
        violations = judge(script).violations
    except Exception as error:  # a mutant may break what the simulation relies on
        return f"simulation ({type(error).__name__})"
    if violations:
        return violations[0].oracle
    undisturbed = not script.faults and script.timing == "calm"
    return "expectation" if undisturbed and SCENARIOS[script.scenario].settled and _fails(script) else ""


def _fails(script: Script) -> bool:
    return bool(expectations(script.scenario, judge(script)))


def candidates() -> Iterator[Script]:
    plain = (Script(name, restart=True) for name in OTHERS)
    points = chain.from_iterable(islice(crashes(name), 0, None, 3) for name in OTHERS)
    mixed = zip_longest(map(script, count(FIRST_SEED)), points)
    return chain(plain, (each for pair in mixed for each in pair if each is not None))
