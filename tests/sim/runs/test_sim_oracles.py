"""Every oracle can complain: for each a mistake that is planted in the operator, and that this oracle finds.

All in one process that forks (mutants/__main__.py), since a mutant must be imported afresh. `make sim-mutants` tries
every one.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import cast

import pytest

from slipway.plan.labels import INFERENCE_SERVICE

from ..acts import NAMESPACE, SERVICES, service
from ..apiserver import Emulator, WatchEvent, default_kinds
from ..client import Sent
from ..hand import Hand, path
from ..mutants.__main__ import plant
from ..mutants.score import score
from ..mutants.table import MUTANTS, Mutant
from ..oracles import ORACLES
from ..oracles.invalid import Invalid
from ..process import Process
from ..world import World

ROOT = Path(__file__).resolve().parents[3]

PLANTED = {
    "attempts": "attempts go up by two",
    "bounded": "a failure is repeated ever as fast",
    "events": "events go out before the status is written",
    "foreign": "names that are taken are not respected",
    "leader": "the lease is not looked at before a write",
    "operator": "a pod's last words must be JSON",
    "orphans": "children have no owner",
    "progress": "no answer makes it Ready",
    "rest": "the status is written though nothing changed",
    "serving": "old replicas go before new ones answer",
    "status": "one pod that runs is a gang that runs",
    "same end": "a listing buries nothing",
}
OF_A_WHOLE_RUN = {"bounded", "operator", "progress", "same end"}  # world.py and judge.py see to these


def test_every_oracle_has_its_mistake() -> None:
    assert {oracle.name for oracle in ORACLES} == set(PLANTED) - OF_A_WHOLE_RUN | {"invalid"}


class Stage:
    """What an oracle needs of a world."""

    def __init__(self) -> None:
        self.api = Emulator(default_kinds(), wall=lambda: 1_790_000_000.0)
        self.author, self.complaints = "slipway", list[str]()
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        self.api.request("POST", "/api/v1/namespaces", body=body, user="user")

    def time(self) -> float:
        return 5.0

    def violation(self, oracle: str, message: str) -> None:
        self.complaints.append(oracle)


@pytest.mark.parametrize(
    ("accepted", "reason", "author", "sent_at", "complaints"),
    [
        ("False", "InvalidPodTemplate", "slipway", 6.0, ["invalid"]),
        ("False", "InvalidPodTemplate", "slipway", 4.0, []),
        ("True", "Accepted", "slipway", 6.0, []),
        ("False", "NameConflict", "slipway", 6.0, []),
        ("False", "InvalidPodTemplate", "user", 6.0, []),
    ],
)
def test_a_child_that_changes_under_a_refused_spec(
    accepted: str, reason: str, author: str, sent_at: float, complaints: list[str]
) -> None:
    """No planted mistake shows this one first: what a visit deletes comes before the status that tells why."""
    stage = Stage()
    hand, oracle = Hand(stage.api, "user"), Invalid(cast(World, stage))
    hand.create(service())
    now = "2026-01-01T00:00:00Z"
    said = {"type": "Accepted", "status": accepted, "reason": reason, "message": "", "lastTransitionTime": now}
    status = {"conditions": [{**said, "observedGeneration": 1}]}
    told = hand.merge(SERVICES, NAMESPACE, "serve", {"status": status}, "status")
    oracle.changed(SERVICES, WatchEvent("MODIFIED", told, 1))
    where = path("deployments.apps", NAMESPACE, "serve")
    oracle.begins(cast(Process, None), Sent(sent_at, 0, "PATCH", where, {}, None, "", write=True, lease=False))
    stage.author = author
    for generation in (1, 2):
        labels = {INFERENCE_SERVICE: "serve"}
        child = {"metadata": {"name": "serve", "uid": "u", "generation": generation, "labels": labels}}
        oracle.changed("deployments.apps", WatchEvent("MODIFIED", child, generation))
    assert stage.complaints == complaints


@pytest.mark.parametrize("oracle", PLANTED)
def test_the_oracle_finds_it(oracle: str) -> None:
    assert _killers()[PLANTED[oracle]] == oracle


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_fits_the_source(mutant: Mutant, tmp_path: Path) -> None:
    plant(mutant, tmp_path)


def test_what_is_no_oracle_is_counted_apart() -> None:
    finders = [*["rest"] * 17, "expectation", "simulation (KeyError)", None]
    told = "17 by oracles, 1 by what a scenario says of its end, 1 by a run that it breaks, 1 by nothing"
    assert score(finders) == (f"20 mutants: {told}. Found are 95 %, at least 95 % wanted; 85 % by oracles", True)
    assert not score([*finders, None])[1]


def test_a_mutant_that_cannot_be_run_is_not_found() -> None:
    line, will_do = score([*["rest"] * 30, "not run"])
    assert (line.split(".")[0], will_do) == ("31 mutants: 30 by oracles, 1 could not be run", False)


@cache
def _killers() -> dict[str, str]:
    command = [sys.executable, "-m", "tests.sim.mutants", *PLANTED.values()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:] if line.startswith("|")]
    assert len(rows) == len(PLANTED), done.stdout + done.stderr
    return {row[0].removeprefix("| "): row[1] for row in rows}
