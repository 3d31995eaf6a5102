"""`python3 -m slipway_train.profile`: where the time and the memory of a recipe's steps go, and what bounds it.

Runs some steps of the recipe in SLIPWAY_RECIPE, alone or as each process of a torchrun, and keeps nothing of the model.
--output gets a trace of each rank, which Perfetto and chrome://tracing read, `profile.json` and, on GPUs, the
allocator's snapshots for docs.pytorch.org/memory_viz; a table goes to stdout.
"""

import argparse
import json
import os
import socket
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from . import logs
from .breakdown import Verdict, verdict
from .config import Recipe, read_recipe
from .errors import EXIT_RECIPE_WRONG, RecipeError
from .gang import Gang
from .profiling import Profile, profiled

_PHASES = ("data", "forward", "backward", "optimizer", "communication", "checkpoint", "other")


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    if "WORLD_SIZE" not in os.environ:
        os.environ |= gang_of_one()
    logs.configure(int(os.environ["RANK"]))
    try:
        _run(read_recipe(os.environ), options.output, options.steps)
    except RecipeError as error:
        sys.stderr.write(f"{error}\n")
        return EXIT_RECIPE_WRONG
    return 0


def table(ranks: Sequence[Profile], found: Verdict) -> str:
    """For a person: rank 0's step, and what all ranks together say."""
    one = ranks[0]
    lines = [f"step of {one.step_seconds * 1000:.1f} ms on {len(ranks)} process(es); of rank 0:"]
    for name in _PHASES:
        share = getattr(one.shares, name)
        lines.append(f"  {name:14}{share:7.1%} {share * one.step_seconds * 1000:9.2f} ms")
    stall, write = one.checkpoint_stall_seconds, one.checkpoint_write_seconds
    return "\n".join(
        [
            *lines,
            f"data stall: {max(each.shares.data for each in ranks):.1%} of a step, on the rank that waits longest",
            f"communication behind computing: {one.shares.overlap:.0%} of all communication",
            f"a checkpoint: holds up the steps for {stall:.3f} s, is written in {write:.3f} s",
            f"memory: {', '.join(one.memory.parts())}",
            f"bound by {found.bound}: {found.why}",
            f"what helps: {found.what_helps}",
        ]
    )


def _run(recipe: Recipe, output: Path, steps: int) -> None:
    gang = Gang(recipe.accelerator)
    output.mkdir(parents=True, exist_ok=True)
    ranks = gang.gather(profiled(recipe, gang, output, steps=steps))
    if gang.rank == 0:
        found = verdict([each.shares for each in ranks])
        content = {"verdict": asdict(found), "ranks": [each.to_json() for each in ranks]}
        (output / "profile.json").write_text(json.dumps(content, indent=2))
        sys.stdout.write(table(ranks, found) + "\n")
    gang.close()


def gang_of_one() -> dict[str, str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="slipway_train.profile", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--output", type=Path, required=True, help="directory for traces and profile.json")
    parser.add_argument("--steps", type=int, default=10, help="how many steps to profile")
    return parser


if __name__ == "__main__":
    sys.exit(main())
