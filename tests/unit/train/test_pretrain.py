"""The recipe in this process: a real process group of one, real files."""

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slipway_train.config import Recipe
from slipway_train.course import follow
from slipway_train.errors import RecipeError, RequirementNotMet, Stopped
from slipway_train.gang import Gang, on_all, on_main
from slipway_train.output import open_output
from slipway_train.progress import Report, Reporter

from .support import parse, recipe_json


class Reports(Reporter):
    """Keeps what it is told; sends nothing."""

    def __init__(self) -> None:
        self.kept: list[Report] = []

    def report(self, report: Report) -> None:
        self.kept.append(report)


def train(
    recipe: Recipe, gang: Gang, output: Path | None, stop: Callable[[], bool] = lambda: False
) -> tuple[Any, list[Report]]:
    reports = Reports()
    return follow(recipe, gang, output, reporter=reports, stop_asked=stop), reports.kept


def stop_at_call(number: int) -> Callable[[], bool]:
    calls = iter(range(1, 10**6))
    return lambda: next(calls) == number


def losses(output: Path) -> list[tuple[int, float]]:
    lines = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line["loss"]) for line in lines]


def test_it_learns_and_leaves_a_model(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    longer = recipe.model_copy(update={"training": recipe.training.model_copy(update={"steps": 60})})
    finished, reports = train(longer, gang, tmp_path)
    bits, unigram = (float(finished.evaluation[key]) for key in ("bitsPerByte", "unigramBitsPerByte"))
    assert bits < unigram - 1
    assert [step for step, _ in losses(tmp_path)] == list(range(1, 61))
    assert reports[-1].step == reports[-1].total_steps == reports[-1].last_checkpoint_step == 60
    assert (tmp_path / "model" / "model.safetensors").exists()
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000000057", "step-000000060"]
    last = reports[-1]
    assert last.step_seconds_p50 is not None
    assert last.step_seconds_p99 is not None
    assert last.productive_seconds is not None
    assert 0 < last.step_seconds_p50 <= last.step_seconds_p99
    assert last.productive_seconds >= 30 * last.step_seconds_p50


def test_a_stopped_run_goes_on_exactly(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    expected, _ = train(recipe, gang, whole)
    for number, step in ((4, 4), (1, 5)):
        with pytest.raises(Stopped, match=f"the checkpoint of step {step} is saved"):
            train(recipe, gang, parts, stop_at_call(number))
        assert not (parts / "model").exists()
    finished, _ = train(recipe, gang, parts)
    assert losses(parts) == losses(whole)
    assert finished == expected
    weights = [(output / "model" / "model.safetensors").read_bytes() for output in (whole, parts)]
    assert weights[0] == weights[1]


def test_a_stop_after_the_last_step_still_leaves_a_model_the_next_time(
    recipe: Recipe, gang: Gang, tmp_path: Path
) -> None:
    with pytest.raises(Stopped):
        train(recipe, gang, tmp_path, stop_at_call(8))
    finished, _ = train(recipe, gang, tmp_path)
    assert finished.step == 8
    assert (tmp_path / "model").exists()


def test_a_finished_job_does_nothing_and_succeeds(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    first, _ = train(recipe, gang, tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again, reports = train(recipe, gang, tmp_path)
    assert again == first
    assert reports == []
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_a_damaged_checkpoint_costs_steps_but_not_the_curve(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    train(recipe, gang, tmp_path)
    expected = losses(tmp_path)
    (tmp_path / "model").rename(tmp_path / "elsewhere")
    newest = tmp_path / "checkpoints" / "step-000000008" / "tensors.safetensors"
    newest.write_bytes(newest.read_bytes()[:-1])
    train(recipe, gang, tmp_path)
    assert losses(tmp_path) == expected
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("model", "elsewhere")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("missing", [None, "nowhere/job"])
def test_without_an_output_volume_the_recipe_is_wrong(
    recipe: Recipe, gang: Gang, tmp_path: Path, missing: str | None
) -> None:
    with pytest.raises(RecipeError, match=r"SLIPWAY_OUTPUT_DIR .* mount the output there"):
        train(recipe, gang, tmp_path / missing if missing else None)


def test_the_first_attempt_makes_the_jobs_directory_in_the_volume(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    train(recipe, gang, tmp_path / "job-uid")
    assert (tmp_path / "job-uid" / "model" / "config.json").exists()


def test_a_volume_that_cannot_be_written_is_named(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the directory should be")
    with pytest.raises(RecipeError, match=r"SLIPWAY_OUTPUT_DIR .* cannot be made"):
        train(recipe, gang, tmp_path / "taken")


@pytest.mark.parametrize(
    ("number", "told"), [(errno.EIO, OSError), (errno.ESTALE, OSError), (errno.EROFS, RecipeError)]
)
def test_a_volume_that_fails_costs_an_attempt_and_not_the_job(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: type[Exception]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "mkdir", fails)
    with pytest.raises(told):
        open_output(tmp_path / "job-uid", recipe)


def test_a_checkpoint_of_another_recipe_is_refused(recipe: Recipe, gang: Gang, tmp_path: Path, dataset: Path) -> None:
    with pytest.raises(Stopped):
        train(recipe, gang, tmp_path, stop_at_call(1))
    other = parse(recipe_json(dataset, training={"steps": 9, "batchSize": 4}))
    with pytest.raises(RecipeError, match="was made from another recipe"):
        train(other, gang, tmp_path)


def test_bf16_trains_and_exports_bf16(dataset: Path, gang: Gang, tmp_path: Path) -> None:
    train(parse(recipe_json(dataset, precision="bf16")), gang, tmp_path)
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "bfloat16"
    assert losses(tmp_path)[-1][1] < losses(tmp_path)[0][1]


def test_rows_are_pretrained_on_and_go_on_exactly(gang: Gang, tmp_path: Path) -> None:
    rows = [{"text": f"def f{i % 7}(self): return value_{i % 5} + {i}\n" * 3} for i in range(120)]
    (tmp_path / "rows").mkdir()
    lines = [json.dumps(row) for row in rows] + ["no row"]
    (tmp_path / "rows" / "a.jsonl").write_text("\n".join(lines) + "\n")
    dataset = {"path": str(tmp_path / "rows"), "include": ["*.jsonl"], "heldOutPercent": 20}
    asked = parse(recipe_json(tmp_path, dataset={**dataset, "cleaning": {"duplicates": "near"}}))
    expected, reports = train(asked, gang, tmp_path / "whole")
    with pytest.raises(Stopped):
        train(asked, gang, tmp_path / "parts", stop_at_call(3))
    assert train(asked, gang, tmp_path / "parts")[0] == expected
    assert losses(tmp_path / "parts") == losses(tmp_path / "whole")
    assert expected.data["badRows"] == reports[-1].bad_rows == 1
    assert expected.data["cleaning"]["kept"] > 10


def test_a_pretrained_model_that_is_not_good_enough_is_not_exported(dataset: Path, gang: Gang, tmp_path: Path) -> None:
    require = {"require": {"perplexityMost": "1.01", "bitsPerByteMost": "99"}}
    with pytest.raises(RequirementNotMet, match=r"^output\.require: perplexity is [0-9.]+, at most 1\.01 is required$"):
        train(parse(recipe_json(dataset, output=require)), gang, tmp_path)
    assert not (tmp_path / "model").exists()


class Second:
    """Rank 1 of two, where rank 0 has already spoken."""

    rank, world_size = 1, 2

    def __init__(self, first: Any) -> None:
        self._first = first

    def broadcast(self, value: Any) -> Any:
        assert value is None, "rank 1 made nothing"
        return self._first

    def gather(self, value: Any) -> list[Any]:
        return [self._first, value]


def test_what_is_wrong_on_rank_0_ends_every_rank_alike() -> None:
    def unused() -> int:
        raise AssertionError("only rank 0 makes it")

    assert on_main(Second((7, None)), unused) == 7  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"^no volume$"):
        on_main(Second((None, "no volume")), unused)  # type: ignore[arg-type]


def test_what_is_wrong_on_one_rank_ends_every_rank_alike() -> None:
    def wrong() -> int:
        raise RecipeError("no files")

    assert on_all(Second((1, None)), lambda: 2) == [1, 2]  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"no files \(rank 1\)"):
        on_all(Second((1, None)), wrong)  # type: ignore[arg-type]
    with pytest.raises(RecipeError, match=r"no GPU \(rank 0\)"):
        on_all(Second((None, "no GPU")), lambda: 2)  # type: ignore[arg-type]


def test_pods_that_see_different_files_are_told_so(
    recipe: Recipe, gang: Gang, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(gang, "gather", lambda value: [value, ("another fingerprint", None)])
    with pytest.raises(RecipeError, match="the pods see different files"):
        train(recipe, gang, tmp_path)


def test_nvidia_without_a_gpu_is_the_recipes_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_RANK", "0")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(RecipeError, match="accelerator: nvidia was asked for"):
        Gang("nvidia")
