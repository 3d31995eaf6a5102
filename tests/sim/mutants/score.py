"""What finds a mutant: an oracle; or only what a scenario says of its end; or a run that the mutant breaks; or nothing.

They are counted apart: a scenario's own expectation, and a simulation that stumbles, are no promise that is watched in
every run. A mutant that cannot be run (it does not import) says nothing of anybody, and counts as not found.
"""

from collections import Counter
from collections.abc import Iterable

MINIMUM = 95  # percent of the mutants that must be found, by whatever it is
NOT_RUN, EXPECTATION, BROKEN = "not run", "expectation", "simulation"
SURVIVES = ""
KINDS = {
    "oracle": "by oracles",
    EXPECTATION: "by what a scenario says of its end",
    BROKEN: "by a run that it breaks",
    SURVIVES: "by nothing",
    NOT_RUN: "could not be run",
}
FOUND = ("oracle", EXPECTATION, BROKEN)


def kind(finder: str | None) -> str:
    """Of what `search` names: one of KINDS."""
    if finder is None:
        return SURVIVES
    first = finder.partition(" (")[0]
    return first if first in KINDS else "oracle"


def score(finders: Iterable[str | None]) -> tuple[str, bool]:
    """All verdicts in one line, and whether they will do."""
    counts = Counter(map(kind, finders))
    total, found = counts.total(), sum(counts[each] for each in FOUND)
    told = ", ".join(f"{counts[each]} {words}" for each, words in KINDS.items() if counts[each])
    share = 100 * found / total
    oracles = f"{100 * counts['oracle'] / total:.0f} % by oracles"
    line = f"{total} mutants: {told}. Found are {share:.0f} %, at least {MINIMUM} % wanted; {oracles}"
    return line, share >= MINIMUM and not counts[NOT_RUN]
