"""`python -m tests.sim.mutants [NAME...]`: which oracle kills which mutant, and by which script.

Each mutant is a copy of operator/slipway with one mistake, imported by a process of its own. The processes are forked
from one that has the libraries loaded and nothing of Slipway, so that a mutant costs its runs and little else.
Exits 1 when less than MINIMUM percent are killed.
"""

import importlib
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from .table import MUTANTS, Mutant

LIBRARIES = ("aiohttp", "kopf", "kubernetes.aio.client", "pydantic", "prometheus_client", "opentelemetry.sdk.trace")
MINIMUM = 95
RUNS = int(os.environ.get("MUTANT_RUNS", "150"))  # for each mutant, at most
ROOT = Path(__file__).resolve().parents[3]
TABLE = "| mutant | killed by | runs | script |\n| --- | --- | ---: | --- |"


def main(names: list[str]) -> int:
    for library in LIBRARIES:
        importlib.import_module(library)
    assert not any(module.split(".")[0] == "slipway" for module in sys.modules), "fork before Slipway is imported"
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    sys.stdout.write(f"{TABLE}\n")
    killed = 0
    for mutant in chosen:
        verdict = hunt(mutant)
        killed += verdict["oracle"] is not None
        oracle, script = verdict["oracle"] or "**survives**", verdict["script"] or ""
        sys.stdout.write(f"| {mutant.name} | {oracle} | {verdict['runs']} | {script} |\n")
        sys.stdout.flush()
    share = 100 * killed / len(chosen)
    sys.stdout.write(f"\n{killed} of {len(chosen)} mutants killed: {share:.0f} %, at least {MINIMUM} % wanted\n")
    return 0 if share >= MINIMUM else 1


def hunt(mutant: Mutant, runs: int = RUNS) -> dict[str, Any]:
    """Search for a script that shows the mistake, in a process of its own."""
    tree = Path(tempfile.mkdtemp(prefix="slipway-mutant-"))
    try:
        plant(mutant, tree)
        return forked(tree, mutant.hints, runs)
    finally:
        shutil.rmtree(tree)


def plant(mutant: Mutant, tree: Path) -> None:
    """A copy of the operator in `tree`, with the mistake in it. Raises ValueError when the text is not there once."""
    shutil.copytree(ROOT / "operator" / "slipway", tree / "slipway", ignore=shutil.ignore_patterns("__pycache__"))
    for file, text, instead in mutant.changes:
        path = tree / "slipway" / file
        source = path.read_text()
        if source.count(text) != 1:
            raise ValueError(f"{mutant.name}: {text!r} is {source.count(text)} times in {file}, not once")
        path.write_text(source.replace(text, instead))


def forked(tree: Path, hints: str, runs: int) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            answer = json.dumps(_hunt(tree, hints, runs))
        except BaseException as error:
            answer = json.dumps({"oracle": "import", "runs": 0, "script": repr(error)[:200]})
        os.write(writing, answer.encode()[:60000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    found: dict[str, Any] = json.loads(answer)
    return found


def _hunt(tree: Path, hints: str, runs: int) -> dict[str, Any]:
    """In the child: the mutant is what `import slipway` finds."""
    sys.path.insert(0, str(tree))
    import slipway

    from ..search import search

    assert slipway.__file__ is not None
    assert slipway.__file__.startswith(str(tree)), slipway.__file__
    return search(hints, runs)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
