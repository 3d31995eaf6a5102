"""Killed anywhere, a run goes on as if it had not been: the curve bit for bit, and the same weights.

Real processes and real SIGKILLs. Where they strike is drawn from a seed: at file operations of a checkpoint, some right
before and right after its rename, in the step before and after its collectives, and from outside at any moment.
"""

import random
import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.trainbed import Bed
from tests.integration.trainrank import Fault
from tests.unit.train.support import recipe_json, write_dataset

STEPS = 500  # more than the attempts together can reach before they are killed
KILLS = 20
SEED = 5
NUMBERS = {"file": 60, "rename": 5, "renamed": 5}  # on rank 0, which has the files; 20 or so are one checkpoint
KINDS = ["rename"] * 3 + ["renamed"] * 3 + ["file"] * 5 + ["batch"] * 2 + ["loss"] * 2 + ["summed"] * 2 + ["moment"] * 3


@pytest.fixture
def recipe(tmp_path: Path) -> dict[str, Any]:
    root = tmp_path / "dataset"
    root.mkdir()
    write_dataset(root)
    return recipe_json(
        root,
        training={"steps": STEPS, "batchSize": 4, "optimizer": {"warmupSteps": 5}},
        checkpoint={"everySteps": 10, "keep": 2},
    )


def bed(tmp_path: Path, name: str, recipe: dict[str, Any]) -> Bed:
    (tmp_path / name).mkdir()
    return Bed(tmp_path / name, recipe)


def kill_at_a_moment(one: Bed, draw: random.Random, victim: int, **checkpoint: Any) -> list[int | None]:
    """From outside, some time after the first new line of the curve."""
    before = len(one.curve()) if (one.output / "metrics.jsonl").exists() else 0
    ranks = one.start(2, **checkpoint)
    end = time.monotonic() + 60
    while not (one.output / "metrics.jsonl").exists() or len(one.curve()) == before:
        assert time.monotonic() < end, one.log(0)
        time.sleep(0.002)
    time.sleep(draw.random() * 0.15)
    ranks[victim].kill()
    return one.wait(ranks)


def test_twenty_kills_leave_the_curve_as_it_is(tmp_path: Path, recipe: dict[str, Any]) -> None:
    undisturbed = bed(tmp_path, "undisturbed", recipe)
    assert undisturbed.run(2) == [0, 0], undisturbed.log(0)
    expected = undisturbed.curve()
    assert [step for step, _ in expected] == list(range(1, STEPS + 1))

    draw = random.Random(SEED)
    disturbed = bed(tmp_path, "disturbed", recipe)
    struck = [kill(disturbed, draw, kind, expected) for kind in draw.sample(KINDS, KILLS)]
    assert disturbed.run(2) == [0, 0], disturbed.log(0)

    assert disturbed.curve() == expected
    assert disturbed.weights() == undisturbed.weights()
    assert sum("rename" in where for where in struck) >= 3, struck
    assert sum(where.startswith("checkpoint:") for where in struck) >= 3, f"not while a thread wrote: {struck}"


def kill(one: Bed, draw: random.Random, kind: str, expected: list[tuple[int, float]]) -> str:
    """One attempt that ends by SIGKILL of a rank: what that rank was doing. Its curve is right as far as it goes."""
    checkpoint: dict[str, Any] = {"everySteps": draw.choice([3, 4, 7]), "mode": draw.choice(["Async", "Async", "Sync"])}
    if draw.random() < 0.4:
        checkpoint |= {"everySteps": 8, "memoryEvery": draw.choice([1, 2])}
    victim = 0 if kind in NUMBERS else draw.randrange(2)
    if kind == "moment":
        codes = kill_at_a_moment(one, draw, victim, **checkpoint)
    else:
        codes = one.run(2, {victim: Fault(kind, draw.randrange(1, NUMBERS.get(kind, 20)))}, **checkpoint)
    assert codes[victim] == -9, (kind, codes, one.log(victim))
    assert codes[1 - victim] == 1, one.log(1 - victim)
    one.rescue()
    curve = one.curve()
    assert curve == expected[: len(curve)]
    return one.fault(victim)
