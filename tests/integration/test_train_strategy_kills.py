"""Killed anywhere under a strategy that cuts the model: the curve bit for bit, and the same weights, as under ddp.

test_train_kills.py has the many kills, with ddp, whose steps are cheap. Here are three for each way of sharing a model
and of laying out its checkpoint: one when a checkpoint is about to appear by its rename, one right after that or among
its files, and one in a step. An adapter's weights are compared merged into its base.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.train.support import instruct_json, recipe_json, write_dataset, write_instructions

from .trainbed import Bed
from .trainrank import Fault

STEPS = 44  # more than three attempts can reach before they are killed
SEED = 11
EVERY = 4
MODEL = {"vocabSize": 512, "contextLength": 32, "hiddenSize": 32, "layers": 2, "heads": 2, "kvHeads": 2}
TRAINING = {"steps": STEPS, "batchSize": 4, "accumulationSteps": 2, "optimizer": {"warmupSteps": 5}}
BASE = MODEL | {"contextLength": 64, "hiddenSize": 64}  # as wide as four bits need it
IN_A_STEP = ("batch", "loss", "summed")
FILES_OF_RANK_0, FILES_OF_OTHERS = 40, 8  # of some two checkpoints: the others have their own shards alone


@dataclass(frozen=True)
class Cut:
    """A strategy with its settings, and what of `checkpoint` is drawn from."""

    strategy: str
    settings: dict[str, Any] = field(default_factory=dict)
    checkpoints: tuple[dict[str, Any], ...] = ({"mode": "Async"}, {"mode": "Sync"}, {"mode": "Async", "memoryEvery": 1})
    recipe: str = "pretrain"

    @property
    def sharded(self) -> bool:
        return any(each.get("layout") == "Sharded" for each in self.checkpoints)


SHARDS = ({"layout": "Sharded", "mode": "Async"}, {"layout": "Sharded", "mode": "Sync"})
CUTS = {
    "fsdp": Cut("fsdp", {"fsdp": {"shard": "full"}}),
    "fsdp in shards": Cut("fsdp", {"fsdp": {"shard": "full"}}, SHARDS),
    "tensor": Cut("parallel", {"parallel": {"tensor": 2}}),
    "pipeline in shards": Cut("parallel", {"parallel": {"pipeline": 2}}, SHARDS),
    "zero": Cut("deepspeed", {"deepspeed": {"stage": 2}}),
    "lora in shards": Cut("fsdp", {"fsdp": {"shard": "full"}}, SHARDS, "lora"),
    "qlora in shards": Cut("fsdp", {"fsdp": {"shard": "full"}}, SHARDS, "qlora"),
}
DEAR = ("zero", "lora in shards", "qlora in shards")  # the first for its own start


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.verify if name in DEAR else ()) for name in CUTS]
)
def test_three_kills_leave_the_curve_as_it_is(name: str, tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    write_dataset(tmp_path / "dataset")
    cut = CUTS[name]
    what = pretraining(cut, tmp_path) if cut.recipe == "pretrain" else adapting(cut, tmp_path)
    undisturbed, disturbed = (Bed(tmp_path / each, what) for each in ("undisturbed", "disturbed"))
    for one in (undisturbed, disturbed):
        one.root.mkdir()
    assert undisturbed.run(2) == [0, 0], undisturbed.log(0)
    expected = undisturbed.curve()
    assert [step for step, _ in expected] == list(range(1, STEPS + 1))

    draw = random.Random(f"{SEED} {name}")
    kinds = ["rename", draw.choice(("renamed", "file", "file")), draw.choice(IN_A_STEP)]
    struck = [kill(disturbed, cut, draw, kind, expected) for kind in draw.sample(kinds, len(kinds))]
    assert disturbed.run(2) == [0, 0], disturbed.log(0)
    print(f"{name}: {struck}")  # noqa: T201

    assert "event=resume" in disturbed.log(0)
    assert disturbed.curve() == expected
    assert disturbed.weights() == undisturbed.weights()
    assert any("os.rename" in where for where in struck), struck


def settings(cut: Cut) -> dict[str, Any]:
    checkpoint = {"everySteps": EVERY, "keep": 2, **cut.checkpoints[0]}
    return {"strategy": cut.strategy, **cut.settings, "training": TRAINING, "checkpoint": checkpoint}


def pretraining(cut: Cut, root: Path) -> dict[str, Any]:
    return recipe_json(root / "dataset", model=MODEL, **settings(cut))


def adapting(cut: Cut, root: Path) -> dict[str, Any]:
    """An adapter with dropout, on a base that a few steps have made."""
    base = Bed(root / "base", recipe_json(root / "dataset", model=BASE, training={"steps": 4, "batchSize": 4}))
    for each in (base.root, root / "rows"):
        each.mkdir()
    assert base.run(1) == [0], base.log(0)
    write_instructions(root / "rows" / "a.jsonl")
    path = base.output / "model"
    own = {"baseModel": {"path": str(path), "contextLength": 64}, "adapter": {"rank": 4, "dropoutPercent": 5}}
    data = {"dataset": {"path": str(root / "rows"), "heldOutPercent": 20, "badRowsPercent": 40}}
    more = {"evaluation": {"prompts": 0}, "output": {"merge": "merged"}}
    return instruct_json(path, root / "rows", cut.recipe, **own, **data, **more, **settings(cut))


def kill(one: Bed, cut: Cut, draw: random.Random, kind: str, expected: list[tuple[int, float]]) -> str:
    """One attempt that ends by SIGKILL of a rank: what that rank was doing. Its curve is right as far as it goes."""
    victim, number = where(cut, draw, kind)
    codes = one.run(2, {victim: Fault(kind, number)}, everySteps=EVERY, keep=2, **draw.choice(cut.checkpoints))
    assert codes[victim] == -9, (kind, number, codes, one.log(victim))
    assert codes[1 - victim] == 1, one.log(1 - victim)
    one.rescue()
    curve = one.curve()
    assert curve == expected[: len(curve)]
    return one.fault(victim)


def where(cut: Cut, draw: random.Random, kind: str) -> tuple[int, int]:
    """Which rank, and at which of its turns. Renames are rank 0's, and so are files that hold the whole model."""
    if kind in ("rename", "renamed"):
        return 0, draw.randrange(1, 4)
    victim = draw.randrange(2) if cut.sharded or kind in IN_A_STEP else 0
    if kind == "file":
        return victim, draw.randrange(1, FILES_OF_OTHERS if victim else FILES_OF_RANK_0)
    return victim, draw.randrange(5, 15)
