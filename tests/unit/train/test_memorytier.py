from pathlib import Path

import pytest
import torch

from slipway_train.checkpoint import CheckpointStore
from slipway_train.memorytier import MEMORY_KEEP, memory_directory, rescue

from .test_checkpoint import flip_a_bit, made, names


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    store = CheckpointStore(tmp_path / "memory", keep=MEMORY_KEEP)
    for step in (6, 8):
        store.save(made(step))
    return tmp_path / "memory"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    CheckpointStore(tmp_path / "volume", keep=2).save(made(5))
    return tmp_path / "volume"


def resumed(volume: Path) -> int:
    newest = CheckpointStore(volume, keep=2).newest()
    assert newest is not None
    assert torch.equal(newest.tensors["model.w"], made(newest.step).tensors["model.w"])
    return newest.step


def test_the_newest_in_memory_goes_to_the_volume(memory: Path, volume: Path) -> None:
    found = rescue(memory, volume, keep=2)
    assert (found.step, found.torn) == (8, ())
    assert str(found) == "the checkpoint of step 8 in memory was saved to the output"
    assert resumed(volume) == 8
    assert names(volume) == ["step-000000005", "step-000000008"]


def test_only_as_many_as_are_kept_remain(memory: Path, volume: Path) -> None:
    rescue(memory, volume, keep=1)
    assert names(volume) == ["step-000000008"]


def test_a_newer_one_on_the_volume_wins(memory: Path, volume: Path) -> None:
    CheckpointStore(volume, keep=2).save(made(8))
    before = (volume / "step-000000008" / "manifest.json").stat().st_mtime_ns
    found = rescue(memory, volume, keep=2)
    assert (found.step, found.torn, str(found)) == (None, (), "")
    assert (volume / "step-000000008" / "manifest.json").stat().st_mtime_ns == before


def test_a_damaged_one_is_passed_over_for_the_one_before(memory: Path, volume: Path) -> None:
    flip_a_bit(memory / "step-000000008" / "tensors.safetensors")
    found = rescue(memory, volume, keep=2)
    assert resumed(volume) == found.step == 6
    assert str(found) == (
        "the checkpoint of step 6 in memory was saved to the output; "
        "step 8 (tensors.safetensors does not match its SHA-256) in memory was passed over"
    )


def test_what_a_dying_rank_was_writing_is_passed_over(memory: Path, volume: Path) -> None:
    (memory / ".partial-step-000000010").mkdir()
    (memory / ".partial-removed-step-000000004").mkdir()
    found = rescue(memory, volume, keep=2)
    assert resumed(volume) == found.step == 8
    assert found.torn == ("step-000000010 (half written)",)


def test_nothing_in_memory_leaves_the_volume_alone(tmp_path: Path, volume: Path) -> None:
    """On a volume that all pods mount, another pod's rank 0 may be writing."""
    (tmp_path / "memory").mkdir()
    (volume / ".partial-step-000000007").mkdir()
    assert rescue(tmp_path / "memory", volume, keep=2).step is None
    assert names(volume) == [".partial-step-000000007", "step-000000005"]


def test_a_first_checkpoint_may_come_from_memory(memory: Path, tmp_path: Path) -> None:
    rescue(memory, tmp_path / "new" / "checkpoints", keep=2)
    assert resumed(tmp_path / "new" / "checkpoints") == 8


def test_the_memory_is_given_back() -> None:
    with memory_directory() as directory:
        (directory / "step-000000001").mkdir()
        assert directory.parent == Path("/dev/shm")
    assert not directory.exists()
