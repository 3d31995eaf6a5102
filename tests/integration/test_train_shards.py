"""Sharded checkpoints in real gangs: an exact resume after kills in the writing, and any layout reads any other's."""

from pathlib import Path
from typing import Any

import pytest

from tests.unit.train.support import recipe_json, write_dataset

from .strategybed import train
from .test_train_strategies import STEPS as CURVE_STEPS
from .test_train_strategies import TOLERANCE
from .test_train_strategies import recipe as with_strategy
from .trainbed import Bed
from .trainrank import Fault

STEPS = 24
SHARDED = {"everySteps": 4, "keep": 2, "layout": "Sharded"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dataset")
    write_dataset(root)
    return root


def bed(root: Path, recipe: dict[str, Any]) -> Bed:
    root.mkdir()
    return Bed(root, recipe)


def newest(one: Bed) -> Path:
    return max(path for path in (one.output / "checkpoints").iterdir() if path.name.startswith("step-"))


def test_killed_while_shards_are_written_it_goes_on_bit_for_bit(dataset: Path, tmp_path: Path) -> None:
    """Of either process, in the thread and not; at last a shard of the newest is lost."""
    training = {"steps": STEPS, "batchSize": 4, "optimizer": {"warmupSteps": 5}}
    recipe = recipe_json(dataset, strategy="fsdp", training=training, checkpoint=SHARDED)
    undisturbed, disturbed = bed(tmp_path / "undisturbed", recipe), bed(tmp_path / "disturbed", recipe)
    assert undisturbed.run(2) == [0, 0], undisturbed.log(0)
    assert sorted(path.name for path in newest(undisturbed).glob("shard-*")) == [
        "shard-00000-of-00002.safetensors",
        "shard-00001-of-00002.safetensors",
    ]
    expected = undisturbed.curve()
    for victim, fault, mode in [
        (1, Fault("file", 5), "Async"),  # its second shard is written, and not yet synced or told of
        (0, Fault("rename", 2), "Async"),
        (1, Fault("file", 2), "Sync"),
    ]:
        codes = disturbed.run(2, {victim: fault}, **SHARDED, mode=mode)
        assert codes[victim] == -9, disturbed.log(victim)
        assert "checkpoints" in disturbed.fault(victim), "it was struck while a checkpoint was written"
        assert disturbed.curve() == expected[: len(disturbed.curve())]
    assert disturbed.run(2, {1: Fault("loss", 10)}) != [0, 0]
    (newest(disturbed) / "shard-00001-of-00002.safetensors").unlink()
    assert disturbed.run(2) == [0, 0], disturbed.log(0)
    assert "event=checkpoint_damaged" in disturbed.log(0)
    assert disturbed.curve() == expected
    assert disturbed.weights() == undisturbed.weights()


def test_any_strategy_and_any_number_of_processes_goes_on_from_any_others_shards(dataset: Path, tmp_path: Path) -> None:
    alone = train(with_strategy(dataset, "ddp"), tmp_path / "alone", processes=1)
    sharded = {"checkpoint": {"everySteps": 100, "layout": "Sharded"}}
    cut = {"tensor": 2, "pipeline": 2}
    attempts: list[tuple[int, int | None, dict[str, Any]]] = [
        (2, 2, with_strategy(dataset, "fsdp") | sharded),
        (1, 2, with_strategy(dataset, "fsdp") | sharded),
        (4, 2, with_strategy(dataset, "deepspeed", deepspeed={"stage": 3}) | sharded),
        (2, 2, with_strategy(dataset, "deepspeed", deepspeed={"stage": 1}) | sharded),
        (4, 2, with_strategy(dataset, "parallel", parallel=cut, accumulate=2) | sharded),
        (2, None, with_strategy(dataset, "ddp")),
    ]
    curve, done, store = alone, 0, tmp_path / "changing" / "job" / "checkpoints"
    for processes, stop_at, what in attempts:
        curve = train(what, tmp_path / "changing", processes=processes, stop_at=stop_at)
        done = done + stop_at if stop_at else CURVE_STEPS
        assert curve.losses == pytest.approx(alone.losses[:done], rel=TOLERANCE), what["strategy"]
        files = list((store / f"step-{done:09d}").glob("*.safetensors"))
        assert len(files) == (processes if stop_at else 1)
    assert curve.bits_per_byte == pytest.approx(alone.bits_per_byte, rel=TOLERANCE)
