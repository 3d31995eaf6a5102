"""Every oracle can complain: for each a mistake that is planted in the operator, and that this oracle finds.

All in one process that forks (mutants/__main__.py), since a mutant must be imported afresh. `make sim-mutants` tries
every one.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from ..mutants.__main__ import plant
from ..mutants.table import MUTANTS, Mutant
from ..oracles import ORACLES

ROOT = Path(__file__).resolve().parents[3]

PLANTED = {
    "attempts": "attempts go up by two",
    "events": "events go out before the status is written",
    "foreign": "names that are taken are not respected",
    "invalid": "a refused spec is carried out",
    "leader": "the lease is not looked at before a write",
    "orphans": "a gang has no owner",
    "rest": "the status is written though nothing changed",
    "serving": "old replicas go before new ones answer",
    "status": "one pod that runs is a gang that runs",
    "progress": "a failed visit is not repeated",
    "same end": "an object goes back to an older state",
}


def test_every_oracle_has_its_mistake() -> None:
    assert {oracle.name for oracle in ORACLES} <= set(PLANTED)


@pytest.mark.parametrize("oracle", PLANTED)
def test_the_oracle_finds_it(oracle: str) -> None:
    assert _killers()[PLANTED[oracle]] == oracle


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_source(mutant: Mutant, tmp_path: Path) -> None:
    plant(mutant, tmp_path)


@cache
def _killers() -> dict[str, str]:
    command = [sys.executable, "-m", "tests.sim.mutants", *PLANTED.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:] if line.startswith("|")]
    assert len(rows) == len(PLANTED), done.stdout + done.stderr
    return {row[0].removeprefix("| "): row[1] for row in rows}
