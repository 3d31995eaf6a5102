"""The loop and its checkpoints, in a process group of one: whichever way they are saved, the run is the same."""

import json
import math
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from slipway_train.checkpoint import Checkpoint, CheckpointStore
from slipway_train.course import follow
from slipway_train.errors import Diverged, RecipeError
from slipway_train.evaluate import Evaluation
from slipway_train.gang import Gang
from slipway_train.strategies.ddp import Ddp

from .support import parse, recipe_json
from .test_pretrain import Reports, losses


def train(dataset: Path, gang: Gang, output: Path, **checkpoint: Any) -> Reports:
    reports = Reports()
    recipe = parse(recipe_json(dataset, checkpoint=checkpoint))
    memory = output.parent / f"{output.name}-memory"
    memory.mkdir()
    follow(recipe, gang, output, reporter=reports, stop_asked=lambda: False, memory_dir=memory)
    return reports


def saved(store: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in store.iterdir())


@pytest.mark.parametrize(
    ("checkpoint", "on_volume", "in_memory"),
    [
        ({"everySteps": 3, "keep": 9, "mode": "Sync"}, [3, 6, 8], []),
        ({"everySteps": 3, "keep": 9, "mode": "Async"}, [3, 6, 8], []),
        ({"everySteps": 5, "keep": 9, "mode": "Sync", "memoryEvery": 2}, [5, 8], [4, 6]),
        ({"everySeconds": 3600, "keep": 9}, [8], []),
    ],
)
def test_where_checkpoints_go_changes_nothing_of_the_run(
    dataset: Path, gang: Gang, tmp_path: Path, checkpoint: dict[str, Any], on_volume: list[int], in_memory: list[int]
) -> None:
    train(dataset, gang, tmp_path / "usual", everySteps=100)
    reports = train(dataset, gang, tmp_path / "this", **checkpoint)
    assert saved(tmp_path / "this" / "checkpoints") == on_volume
    assert (saved(tmp_path / "this-memory") if in_memory else []) == in_memory
    assert losses(tmp_path / "this") == losses(tmp_path / "usual")
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("usual", "this")]
    assert weights[0] == weights[1]
    assert reports.kept[-1].last_checkpoint_step == 8
    assert reports.kept[-1].checkpoint_seconds


def test_the_line_after_a_checkpoint_says_for_how_long_the_steps_stood_still(
    dataset: Path, gang: Gang, tmp_path: Path
) -> None:
    train(dataset, gang, tmp_path / "out", everySteps=3)
    lines = [json.loads(line) for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line.get("checkpointStallSeconds", 0) > 0] == [4, 7]


def test_what_went_wrong_in_the_thread_ends_the_run(
    dataset: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = CheckpointStore.save

    def failing(store: CheckpointStore, checkpoint: Checkpoint) -> None:
        if checkpoint.step == 6:
            raise OSError(28, "No space left on device")
        save(store, checkpoint)

    monkeypatch.setattr(CheckpointStore, "save", failing)
    with pytest.raises(OSError, match="No space left"):
        train(dataset, gang, tmp_path / "out", everySteps=3, mode="Async")
    assert saved(tmp_path / "out" / "checkpoints") == [3]
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.parametrize("loss", ["nan", "inf"])
@pytest.mark.parametrize("number", [6, 8])
def test_a_loss_that_is_not_finite_ends_the_run_before_its_step_is_saved(
    dataset: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: str, number: int
) -> None:
    step, calls = Ddp.step, count(1)

    def diverging(strategy: Ddp, *parts: Any, **how: Any) -> float:
        mean = step(strategy, *parts, **how)
        return float(loss) if next(calls) == number else mean

    monkeypatch.setattr(Ddp, "step", diverging)
    with pytest.raises(Diverged, match=rf"^step {number}: the loss is {loss}: .* training\.optimizer\.learningRate"):
        train(dataset, gang, tmp_path / "out", everySteps=1, keep=9)
    assert saved(tmp_path / "out" / "checkpoints")[-1] == number - 1
    assert [line for line, _ in losses(tmp_path / "out")][-1] == number - 1
    assert not (tmp_path / "out" / "model").exists()


def test_a_learning_rate_far_too_high_is_an_error(dataset: Path, gang: Gang, tmp_path: Path) -> None:
    training = {"steps": 8, "batchSize": 4, "optimizer": {"learningRate": "1e30", "warmupSteps": 0}}
    with pytest.raises(Diverged, match=r"^step \d: the loss is (nan|inf): "):
        follow(parse(recipe_json(dataset, training=training)), gang, tmp_path, reporter=Reports(), stop_asked=bool)
    assert not (tmp_path / "model").exists()


def test_a_last_step_that_breaks_the_model_leaves_none(
    dataset: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Evaluation(math.nan, 4.5, math.nan)
    monkeypatch.setattr("slipway_train.recipes.pretrain.evaluate", lambda *_, **__: broken)
    with pytest.raises(Diverged, match=r"^evaluation: bitsPerByte is nan: training diverged"):
        train(dataset, gang, tmp_path / "out", everySteps=100)
    assert not (tmp_path / "out" / "model").exists()


def test_memory_needs_somebody_who_holds_it(dataset: Path, gang: Gang, tmp_path: Path) -> None:
    recipe = parse(recipe_json(dataset, checkpoint={"everySteps": 3, "memoryEvery": 1}))
    with pytest.raises(RecipeError, match=r"checkpoint\.memoryEvery: SLIPWAY_MEMORY_DIR is not set"):
        follow(recipe, gang, tmp_path, reporter=Reports(), stop_asked=lambda: False)
