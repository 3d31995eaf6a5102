"""`python -m tests.perf [COURSE.yaml]`: run a benchmark, print its figures, fail where a bound does not hold."""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from . import phases
from .bounds import Course, broken, read
from .load import Users
from .phases import Bench
from .world import world

HERE = Path(__file__).parent
MODULES = HERE.parent / "e2e" / "cluster" / "modules" / "training-operator-unthrottled"
CRD = Path("manifests") / "base" / "crds" / "kubeflow.org_pytorchjobs.yaml"


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def pytorchjobs() -> dict[str, Any]:
    """The CRD of the very training-operator that is built, from its module's source."""
    module = "github.com/kubeflow/training-operator"
    environment = {**os.environ, "GOFLAGS": "-mod=readonly"}
    subprocess.run(["go", "mod", "download", module], cwd=MODULES, env=environment, check=True)
    where = subprocess.run(
        ["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=MODULES, env=environment, check=True, capture_output=True
    )
    return dict(yaml.safe_load((Path(where.stdout.decode().strip()) / CRD).read_text()))


async def _phase(bench: Bench, name: str, running: Any) -> None:
    begun, known = time.monotonic(), set(bench.figures)
    await running
    say(f"--- {name}: {time.monotonic() - begun:.0f} s, load {os.getloadavg()[0]:.1f}")
    _table({name: value for name, value in bench.figures.items() if name not in known})


async def _run(bench: Bench) -> None:
    with bench.world.operator() as operator:
        await phases.waiting(operator.leads, "leadership")
        await _phase(bench, "jobs at a steady rate", phases.paced(bench, operator))
        await _phase(bench, "side by side", phases.side_by_side(bench, operator))
        await _phase(bench, "jobs at once", phases.burst(bench, operator))
        await _phase(bench, "services", phases.services(bench, operator))
        await _phase(bench, "changes", phases.event_to_apply(bench, operator))
        await _phase(bench, "rest", phases.rest(bench, operator))
    await _phase(bench, "restart", phases.restart(bench))
    await _phase(bench, "handover after SIGKILL", phases.handover(bench, signal.SIGKILL))
    await _phase(bench, "handover after SIGTERM", phases.handover(bench, signal.SIGTERM))


async def run(course: Course, directory: Path) -> Bench:
    with world(directory, namespaces=course.size("namespaces"), pytorchjobs=pytorchjobs()) as made:
        async with Users.of(made.api) as users:
            bench = Bench(made, users, course)
            await _run(bench)
            return bench


def _table(rows: Mapping[str, float]) -> None:
    for name, value in rows.items():
        say(f"{value:12.2f}  {name}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("course", nargs="?", type=Path, default=HERE / "full.yaml")
    parser.add_argument("--output", type=Path, help="also write the figures as JSON")
    options = parser.parse_args()
    course = read(options.course)
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as directory:
        bench = asyncio.run(run(course, Path(directory)))
    for name, rows in bench.tables.items():
        say(f"--- {name}")
        _table(rows)
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        about = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "sizes": dict(course.sizes)}
        options.output.write_text(json.dumps({**about, "figures": bench.figures}, indent=1))
    problems = broken(bench.figures, course.bounds)
    for problem in problems:
        say(f"bound broken: {problem}")
    say(f"{len(course.bounds) - len(problems)} of {len(course.bounds)} bounds hold")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
