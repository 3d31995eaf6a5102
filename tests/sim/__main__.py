"""`python -m tests.sim`: random seeds, crash points, deletions; each failure is made smaller and printed."""

import argparse
import multiprocessing
import sys
import time
from collections.abc import Iterable

from .script import Script

Failure = tuple[str, list[str]]


def main() -> int:
    arguments = parser().parse_args()
    if arguments.what == "count":
        return count()
    begun, done, failures = time.perf_counter(), 0, []
    scripts = list(_scripts(arguments))
    with multiprocessing.Pool(arguments.jobs) as pool:
        mapped: Iterable[Failure | None] = pool.imap_unordered(_one, scripts, chunksize=4)
        for result in mapped:
            done += 1
            if result is not None:
                failures.append(result)
                say(f"FAILED {result[0]}", *(f"    {line}" for line in result[1]))
            if done % 500 == 0:
                say(f"{done} of {len(scripts)}, {len(failures)} failed, {rate(begun, done)}")
    say(f"{done} runs, {len(failures)} failed, {rate(begun, done)}")
    if failures and not arguments.quick:
        _shrink([script for script in scripts if repr(script) in {name for name, _ in failures}][:3])
    return 1 if failures else 0


def count() -> int:
    """The figures of docs/reliability.md. Each scenario is run once, undisturbed."""
    from .crashes import every_crash, every_deletion
    from .scenarios.leaves import JOB_LEAVES, SERVICE_LEAVES
    from .seeds import LEAVES, OTHERS

    say(f"{len(OTHERS)} scenarios, and {len(LEAVES)} of {len(JOB_LEAVES) + len(SERVICE_LEAVES)} leaves")
    say(f"{sum(1 for _ in every_crash()):,} crash points, {sum(1 for _ in every_deletion()):,} deletions")
    return 0


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.sim")
    top.add_argument(
        "what",
        choices=("seeds", "crashes", "deletions", "count"),
        help="random scripts; every crash point; every time to delete; how many there are of each",
    )
    top.add_argument("--first", type=int, default=0)
    top.add_argument("--seeds", type=int, default=1000)
    top.add_argument("--jobs", type=int, default=1)
    top.add_argument("--quick", action="store_true", help="do not make failures smaller")
    return top


def say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def rate(begun: float, done: int) -> str:
    seconds = time.perf_counter() - begun
    return f"{seconds:.0f} s, {done / seconds:.1f} runs a second"


def _scripts(arguments: argparse.Namespace) -> Iterable[Script]:
    from .crashes import every_crash, every_deletion
    from .seeds import script

    if arguments.what != "seeds":
        return every_crash() if arguments.what == "crashes" else every_deletion()
    return map(script, range(arguments.first, arguments.first + arguments.seeds))


def _one(script: Script) -> Failure | None:
    from .judge import judge

    try:
        found = [str(violation) for violation in judge(script).violations]
    except Exception as error:  # of the simulation itself: as good a finding
        found = [f"the simulation broke: {error!r}"]
    return (repr(script), found) if found else None


def _shrink(scripts: list[Script]) -> None:
    from .judge import judge
    from .shrink import as_test, shrink

    for script in scripts:
        small = shrink(script)
        violations = judge(small).violations
        say(f"\n# {script!r}\n" + as_test(small, violations[0].oracle if violations else "unstable"))
        say(*(f"# {violation}" for violation in violations))


if __name__ == "__main__":
    sys.exit(main())
