import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from slipway_train import checkpoint as module
from slipway_train.checkpoint import Checkpoint, CheckpointStore
from slipway_train.data import DataPosition, StreamPosition
from slipway_train.errors import RecipeError


def made(step: int) -> Checkpoint:
    return Checkpoint(
        step=step,
        data=DataPosition(sample=step * 4, block=StreamPosition(1, 2, 3, 4)),
        recipe="r",
        corpus="c",
        tokenizer=b'{"merges": []}',
        tensors={"model.w": torch.full((3, 2), step / 3), "optimizer.w.step": torch.tensor(float(step))},
    )


def names(root: Path) -> list[str]:
    return sorted(path.name for path in root.iterdir())


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("slipway_train"), "propagate", True)
    return caplog


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    CheckpointStore(tmp_path, keep=2).save(made(7))
    loaded = CheckpointStore(tmp_path, keep=2).newest()
    assert loaded is not None
    expected = made(7)
    assert (loaded.step, loaded.data, loaded.tokenizer) == (7, expected.data, expected.tokenizer)
    assert loaded.tensors.keys() == expected.tensors.keys()
    assert all(torch.equal(loaded.tensors[name], expected.tensors[name]) for name in expected.tensors)


def test_no_checkpoint_is_none(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "new", keep=1).newest() is None


def test_the_newest_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (8, 9, 10, 11):
        store.save(made(step))
    assert names(tmp_path) == ["step-000000010", "step-000000011"]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "torn tensors": lambda step: (step / "tensors.safetensors").write_bytes(b"\0" * 20),
    "one bit of the tensors": lambda step: flip_a_bit(step / "tensors.safetensors"),
    "one bit of the state": lambda step: flip_a_bit(step / "state.json"),
    "one bit of the tokenizer": lambda step: flip_a_bit(step / "tokenizer.json"),
    "no tensors": lambda step: (step / "tensors.safetensors").unlink(),
    "no manifest": lambda step: (step / "manifest.json").unlink(),
    "empty manifest": lambda step: (step / "manifest.json").write_text("{}"),
    "torn manifest": lambda step: (step / "manifest.json").write_text('{"tens'),
    "a manifest of another kind": lambda step: (step / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_one_is_passed_over_and_said_so(
    tmp_path: Path, damage: Callable[[Path], object], warnings: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    store.save(made(5))
    store.save(made(10))
    damage(tmp_path / "step-000000010")
    loaded = CheckpointStore(tmp_path, keep=2).newest()
    assert loaded is not None
    assert loaded.step == 5
    assert "event=checkpoint_damaged step=10" in warnings.text


def test_a_damaged_one_does_not_count_as_kept(tmp_path: Path) -> None:
    CheckpointStore(tmp_path, keep=2).save(made(5))
    CheckpointStore(tmp_path, keep=2).save(made(10))
    flip_a_bit(tmp_path / "step-000000010" / "state.json")
    store = CheckpointStore(tmp_path, keep=2)
    store.newest()
    assert names(tmp_path) == ["step-000000005", "step-000000010"], "nothing is removed before something new is safe"
    store.save(made(8))
    assert names(tmp_path) == ["step-000000005", "step-000000008"]


def test_a_damaged_one_of_the_same_step_is_replaced(tmp_path: Path) -> None:
    CheckpointStore(tmp_path, keep=2).save(made(10))
    flip_a_bit(tmp_path / "step-000000010" / "state.json")
    store = CheckpointStore(tmp_path, keep=2)
    assert store.newest() is None
    store.save(made(10))
    loaded = store.newest()
    assert loaded is not None
    assert loaded.step == 10


def test_a_crash_while_saving_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(made(5))
    monkeypatch.setattr(module, "digest_of", lambda path: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(OSError, match="No space left"):
        store.save(made(10))
    monkeypatch.undo()
    assert names(tmp_path) == [".partial-step-000000010", "step-000000005"]
    after = CheckpointStore(tmp_path, keep=1)
    assert names(tmp_path) == ["step-000000005"], "the next run removes what the crash left"
    loaded = after.newest()
    assert loaded is not None
    assert loaded.step == 5


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "step-notes").mkdir()
    store = CheckpointStore(tmp_path, keep=1)
    store.save(made(1))
    store.save(made(2))
    assert names(tmp_path) == ["step-000000002", "step-notes"]


def test_everyone_may_read_it(tmp_path: Path) -> None:
    CheckpointStore(tmp_path, keep=1).save(made(1))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "step-000000001").iterdir()}
    assert modes == {0o644}


@pytest.mark.parametrize(("recipe", "corpus", "named"), [("other", "c", "recipe"), ("r", "other", "dataset")])
def test_a_checkpoint_of_something_else_is_refused(recipe: str, corpus: str, named: str) -> None:
    made(5).check_belongs(recipe="r", corpus="c")
    with pytest.raises(RecipeError, match=f"step 5 was made from another {named}: give this job an output"):
        made(5).check_belongs(recipe=recipe, corpus=corpus)
