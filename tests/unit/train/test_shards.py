"""A checkpoint in shards: whole tensors out of files of any layout, and a directory that is whole or passed over."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from slipway_train import shardstore
from slipway_train.checkpoint import Checkpoint, CheckpointStore
from slipway_train.errors import RecipeError
from slipway_train.gang import Gang
from slipway_train.shards import Shards, shard_name, write_shard
from slipway_train.shardstore import ShardStore, check_volume
from slipway_train.strategies.pieces import Piece, Pieces

from .test_checkpoint import flip_a_bit, made, names

MATRIX = torch.arange(12.0).view(4, 3)
COUNT = Piece(torch.tensor(7.0), (), ())


def written(tmp_path: Path, *pieces: Pieces) -> list[Path]:
    paths = [tmp_path / shard_name(rank, len(pieces)) for rank in range(len(pieces))]
    for path, each in zip(paths, pieces, strict=True):
        write_shard(path, each)
    return paths


def rows(first: int, last: int) -> Piece:
    return Piece(MATRIX[first:last].clone(), (4, 3), (first, 0))


def line(first: int, last: int) -> Piece:
    return Piece(MATRIX.flatten()[first:last].clone(), (4, 3), (first,))


@pytest.mark.parametrize(
    "pieces",
    [
        [{"w": rows(0, 4)}],
        [{"w": rows(0, 3)}, {"w": rows(3, 4)}, {}],
        [{"w": Piece(MATRIX[:, :2].contiguous(), (4, 3), (0, 0))}, {"w": Piece(MATRIX[:, 2:].clone(), (4, 3), (0, 2))}],
        [{"w": line(0, 5)}, {"w": line(5, 12)}],
        [{"w": rows(0, 2)}, {"w": rows(2, 4)}, {"w": rows(0, 2)}, {"w": rows(2, 4)}],
    ],
    ids=["one", "uneven rows", "columns", "in a line", "copies"],
)
def test_a_tensor_is_whole_whoever_had_which_piece(tmp_path: Path, pieces: list[Pieces]) -> None:
    found = Shards(written(tmp_path, *({**each, "step": COUNT} for each in pieces)))
    assert sorted(found) == ["step", "w"]
    assert torch.equal(found["w"], MATRIX)
    assert torch.equal(found["step"], torch.tensor(7.0))
    found["w"].zero_()
    assert torch.equal(found["w"], MATRIX), "each asker has a tensor of its own"


@pytest.mark.parametrize(
    ("pieces", "complaint"),
    [
        ([{"w": rows(0, 2)}, {"w": rows(3, 4)}], "the shards hold 9 of the 12 numbers of w"),
        ([{"w": rows(0, 4)}, {"w": Piece(torch.ones(2), (2,), (0,))}], "the shards disagree on the shape of w"),
    ],
)
def test_what_is_not_whole_is_not_read(tmp_path: Path, pieces: list[Pieces], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Shards(written(tmp_path, *pieces))


def in_shards(step: int) -> Checkpoint:
    tensor = torch.full((3, 2), step / 3)
    return replace(made(step), tensors={}, pieces={"model.w": Piece(tensor, (3, 2), (0, 0))})


@pytest.fixture
def store(gang: Gang, tmp_path: Path) -> ShardStore:
    return ShardStore(gang, CheckpointStore(tmp_path, keep=2))


@pytest.fixture
def warnings(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("slipway_train"), "propagate", True)
    return caplog


def test_what_is_saved_comes_back_and_the_newest_are_kept(store: ShardStore, tmp_path: Path) -> None:
    for step in (8, 9, 10):
        store.save(in_shards(step))
    assert names(tmp_path) == ["step-000000009", "step-000000010"]
    newest = tmp_path / "step-000000010"
    assert names(newest) == ["manifest.json", "shard-00000-of-00001.safetensors", "state.json", "tokenizer.json"]
    assert {path.stat().st_mode & 0o777 for path in newest.iterdir()} == {0o644}
    loaded = CheckpointStore(tmp_path, keep=2).newest()
    assert loaded is not None
    assert (loaded.step, loaded.data, loaded.tokenizer) == (10, made(10).data, made(10).tokenizer)
    assert torch.equal(loaded.tensors["model.w"], torch.full((3, 2), 10 / 3))


SHARD = shard_name(0, 1)
DAMAGE: dict[str, Callable[[Path], object]] = {
    "a shard is missing": lambda step: (step / SHARD).unlink(),
    "one bit of a shard": lambda step: flip_a_bit(step / SHARD),
    "a torn shard": lambda step: (step / SHARD).write_bytes((step / SHARD).read_bytes()[:100]),
    "one bit of the state": lambda step: flip_a_bit(step / "state.json"),
    "a manifest without shards": lambda step: (step / "manifest.json").write_text("{}"),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_a_damaged_one_is_passed_over_for_the_one_before(
    store: ShardStore, tmp_path: Path, damage: Callable[[Path], object], warnings: pytest.LogCaptureFixture
) -> None:
    store.save(in_shards(5))
    store.save(in_shards(10))
    damage(tmp_path / "step-000000010")
    loaded = CheckpointStore(tmp_path, keep=2).newest()
    assert loaded is not None
    assert loaded.step == 5
    assert "event=checkpoint_damaged step=10" in warnings.text


def test_a_shard_that_cannot_be_written_leaves_what_was_there(
    store: ShardStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(in_shards(5))

    def full(path: Path, pieces: Pieces) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shardstore, "write_shard", full)
    with pytest.raises(OSError, match=f"{SHARD} was not written: .*No space left"):
        store.save(in_shards(10))
    assert CheckpointStore(tmp_path, keep=2).steps() == [5]


def test_a_process_without_the_volume_is_told_so(gang: Gang, tmp_path: Path) -> None:
    check_volume(gang, tmp_path)
    for output in (None, tmp_path / "elsewhere"):
        with pytest.raises(RecipeError, match=r"^checkpoint\.layout: .* use a ReadWriteMany claim, or layout Full"):
            check_volume(gang, output)
