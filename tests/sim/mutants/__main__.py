"""`python -m tests.sim.mutants [NAME...]`: what finds which mutant (score.py), and by which script.

Each mutant is a copy of operator/slipway with one mistake, imported by a process of its own. The processes are forked
from one that has the libraries loaded and nothing of Slipway, so that a mutant costs its runs and little else; JOBS of
them run at once. Exits 1 when too few are found, or one cannot be run.
"""

import importlib
import json
import os
import select
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .score import NOT_RUN, score
from .table import MUTANTS, Mutant

LIBRARIES = ("aiohttp", "kopf", "kubernetes.aio.client", "pydantic", "prometheus_client", "opentelemetry.sdk.trace")
RUNS = int(os.environ.get("MUTANT_RUNS", "150"))  # for each mutant, at most
JOBS = int(os.environ.get("JOBS", "1"))
ROOT = Path(__file__).resolve().parents[3]
TABLE = "| mutant | found by | runs | time | script |\n| --- | --- | ---: | ---: | --- |"


def main(names: list[str]) -> int:
    for library in LIBRARIES:
        importlib.import_module(library)
    assert not any(module.split(".")[0] == "slipway" for module in sys.modules), "fork before Slipway is imported"
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    sys.stdout.write(f"{TABLE}\n")
    finders: list[str | None] = []
    for mutant, verdict, seconds in hunted(chosen):
        finders.append(verdict["oracle"])
        oracle, script = verdict["oracle"] or "**survives**", verdict["script"] or ""
        sys.stdout.write(f"| {mutant.name} | {oracle} | {verdict['runs']} | {seconds:.0f} s | {script} |\n")
        sys.stdout.flush()
    line, will_do = score(finders)
    sys.stdout.write(f"\n{line}\n")
    return 0 if will_do else 1


@dataclass(frozen=True)
class Hunt:
    """One mutant and the process that searches for a script which shows it."""

    mutant: Mutant
    tree: Path
    process: int
    begun: float


def hunted(mutants: list[Mutant]) -> Iterator[tuple[Mutant, dict[str, Any], float]]:
    """Every mutant with its verdict and the seconds that it took, as they come."""
    waiting, running = list(reversed(mutants)), dict[int, Hunt]()
    while waiting or running:
        while waiting and len(running) < JOBS:
            reading, hunt = begin(waiting.pop())
            running[reading] = hunt
        for reading in select.select(list(running), [], [])[0]:
            hunt = running.pop(reading)
            yield hunt.mutant, end(reading, hunt), time.monotonic() - hunt.begun


def begin(mutant: Mutant) -> tuple[int, Hunt]:
    """Plant a mistake and search for it in a process of its own; returns where its answer can be read."""
    tree = Path(tempfile.mkdtemp(prefix="slipway-mutant-"))
    plant(mutant, tree)
    reading, process = forked(tree, mutant.hints)
    return reading, Hunt(mutant, tree, process, time.monotonic())


def end(reading: int, hunt: Hunt) -> dict[str, Any]:
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(hunt.process, 0)
    shutil.rmtree(hunt.tree)
    found: dict[str, Any] = json.loads(answer)
    return found


def plant(mutant: Mutant, tree: Path) -> None:
    """A copy of the operator in `tree`, with the mistake in it. Raises ValueError when the text is not there once."""
    shutil.copytree(ROOT / "operator" / "slipway", tree / "slipway", ignore=shutil.ignore_patterns("__pycache__"))
    for file, text, instead in mutant.changes:
        path = tree / "slipway" / file
        source = path.read_text()
        if source.count(text) != 1:
            raise ValueError(f"{mutant.name}: {text!r} is {source.count(text)} times in {file}, not once")
        path.write_text(source.replace(text, instead))


def forked(tree: Path, hints: str) -> tuple[int, int]:
    """(where to read, process)"""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            answer = json.dumps(_hunt(tree, hints))
        except BaseException as error:
            answer = json.dumps({"oracle": NOT_RUN, "runs": 0, "script": repr(error)[:200]})
        os.write(writing, answer.encode()[:60000])
        os._exit(0)
    os.close(writing)
    return reading, child


def _hunt(tree: Path, hints: str) -> dict[str, Any]:
    """In the child: the mutant is what `import slipway` finds."""
    sys.path.insert(0, str(tree))
    import slipway

    from ..search import search

    assert slipway.__file__ is not None
    assert slipway.__file__.startswith(str(tree)), slipway.__file__
    return search(hints, RUNS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
