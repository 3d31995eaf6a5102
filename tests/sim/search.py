"""The search for a mistake: where a hint points, then undisturbed runs, then what `make sim` does, in turn."""

import random
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
ROUGH = ("busy", "hostile", "disorder")


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
    """Every scenario undisturbed; then, in turn, random scripts, rough weather and crash points."""
    plain = (Script(name, restart=True) for name in OTHERS)
    mixed = zip_longest(map(script, count(FIRST_SEED)), weather(), points())
    return chain(plain, (each for several in mixed for each in several if each is not None))


def weather() -> Iterator[Script]:
    """Every scenario in rough weather, with one operator and with two, in a mixed order."""
    every = [(name, timing, operators) for name in OTHERS for timing in ROUGH for operators in (1, 2)]
    random.Random("weather").shuffle(every)
    return (Script(name, seed, timing, operators=operators) for seed, (name, timing, operators) in enumerate(every))


def points() -> Iterator[Script]:
    """Crash points of every scenario, in a mixed order: those near each other show the same."""
    every = list(OTHERS)
    random.Random("points").shuffle(every)
    lines = [islice(crashes(name), 0, None, 3) for name in every]
    return (each for several in zip_longest(*lines) for each in several if each is not None)
