"""Every strategy, through every fault that ends a gang: what a restart repeats, and that the curve stays bit for bit.

A run in attempts: told to stop; a rank killed; another killed, and the newest checkpoint damaged; a rank that stands
still; one killed as its checkpoint is about to appear. The table in docs/training.md has the figures that this prints
(`-s`): seconds from the fault to the end of the next attempt's first step. Processes are forked with torch imported, so
no pod's start is in them.
"""

import re
import signal
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.unit.train.support import recipe_json, write_dataset

from .trainbed import Bed
from .trainrank import Fault

STEPS = 48
EVERY = 4
STALL_FLOOR_SECONDS = 4
MODEL = {"vocabSize": 512, "contextLength": 32, "hiddenSize": 32, "layers": 2, "heads": 2, "kvHeads": 1}
TRAINING = {"steps": STEPS, "batchSize": 4, "accumulationSteps": 2, "seed": 3, "optimizer": {"warmupSteps": 2}}
STRATEGIES: dict[str, dict[str, Any]] = {
    "ddp": {},
    "fsdp": {"fsdp": {"shard": "full"}},
    "deepspeed": {"deepspeed": {"stage": 3}},
    "parallel": {"parallel": {"pipeline": 2}},
}
DEAR = ("deepspeed", "parallel")  # minutes on two cores
STEPPED = re.compile(r"^(\S+ \S+) .* event=step step=", re.MULTILINE)
RESUMED = re.compile(r"event=resume step=(\d+)")


@dataclass(frozen=True)
class Strike:
    """What happens to a rank in an attempt, how the ranks then end, and at most how many steps are made again.

    Each is some steps after the attempt's beginning, and not right after a checkpoint is there.
    """

    name: str
    fault: Fault
    codes: list[int]
    lost_most: int
    damages: bool = False
    victim: int = 1


STRIKES = (
    Strike("told to stop", Fault("batch", 7, signal.SIGTERM), [143, 143], 0),
    Strike("killed", Fault("batch", 8), [1, -9], EVERY),
    Strike("killed, newest checkpoint damaged", Fault("batch", 10), [1, -9], 2 * EVERY, damages=True),
    Strike("stands still", Fault("batch", 8, signal.SIGSTOP), [75, -9], EVERY),
    # its first rename: the thread that writes is behind the steps
    Strike("killed at a checkpoint's rename", Fault("rename", 1), [-9, 1], 2 * EVERY, victim=0),
)


def recipe(dataset: Path, strategy: str) -> dict[str, Any]:
    checkpoint = {"everySteps": EVERY, "keep": 2}
    stall = {"factor": 10, "floorSeconds": STALL_FLOOR_SECONDS}
    more = STRATEGIES[strategy] | {"model": MODEL, "training": TRAINING, "checkpoint": checkpoint, "stall": stall}
    return recipe_json(dataset, strategy=strategy, **more)


def bed(root: Path, what: dict[str, Any]) -> Bed:
    root.mkdir()
    return Bed(root, what)


@pytest.mark.parametrize(
    "strategy", [pytest.param(name, marks=pytest.mark.verify if name in DEAR else ()) for name in STRATEGIES]
)
def test_through_every_fault_the_curve_stays(strategy: str, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    write_dataset(tmp_path / "dataset")
    what = recipe(tmp_path / "dataset", strategy)
    undisturbed, one = bed(tmp_path / "undisturbed", what), bed(tmp_path / "disturbed", what)
    assert undisturbed.run(2) == [0, 0], undisturbed.log(0)

    began, reached = 0.0, 0
    for number, strike in enumerate((*STRIKES, None)):
        codes = attempt(one, strike)
        assert codes == (strike.codes if strike else [0, 0]), one.log(0)
        if number:
            tell(strategy, STRIKES[number - 1], one, began=began, reached=reached)
        if strike:
            began, reached = one.struck(strike.victim), one.curve()[-1][0]
            if strike.damages:
                damage_newest(one)

    assert one.curve() == undisturbed.curve()
    assert one.weights() == undisturbed.weights()


def attempt(one: Bed, strike: Strike | None) -> list[int | None]:
    ranks = one.start(2, {strike.victim: strike.fault} if strike else None)
    if strike and strike.fault.signal == signal.SIGSTOP:
        ranks[0].join(120)
        ranks[1].kill()  # as its pod's launcher would, when the pod is deleted
    return one.wait(ranks)


def tell(strategy: str, strike: Strike, one: Bed, *, began: float, reached: int) -> None:
    """Of the attempt that followed the strike."""
    log = one.log(0)
    resumed, stepped = RESUMED.search(log), STEPPED.search(log)
    assert resumed, log
    assert stepped, log
    assert ("event=checkpoint_damaged" in log) == strike.damages, log
    lost = reached - int(resumed[1])
    seconds = datetime.strptime(stepped[1], "%Y-%m-%d %H:%M:%S,%f").timestamp() - began
    print(f"{strategy}: {strike.name}: {seconds:.1f} s, {lost} steps lost")  # noqa: T201
    assert 0 <= lost <= strike.lost_most
    assert lost > 0 or not strike.damages


def damage_newest(one: Bed) -> None:
    newest = max((one.output / "checkpoints").glob("step-*")) / "tensors.safetensors"
    with newest.open("r+b") as file:
        file.seek(-8, 2)
        file.write(b"damaged!")
