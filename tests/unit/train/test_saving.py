from pathlib import Path
from typing import Any

import pytest

from slipway.api.trainingjob import CheckpointSpec
from slipway_train.checkpoint import Checkpoint, CheckpointStore
from slipway_train.errors import RecipeError
from slipway_train.saving import Saving
from slipway_train.tiers import Tier

from .test_checkpoint import made, names


def saving(tmp_path: Path, **spec: Any) -> Saving:
    memory = CheckpointStore(tmp_path / "memory", keep=2)
    return Saving(CheckpointSpec(**spec), CheckpointStore(tmp_path / "volume", keep=2), memory, saved_step=None)


def nothing() -> None:
    """A curve that is on the disk already."""


@pytest.mark.parametrize("mode", ["Async", "Sync"])
def test_each_tier_gets_its_own(tmp_path: Path, mode: str) -> None:
    both = saving(tmp_path, mode=mode, memory_every=1)
    both.save(made(3), Tier.MEMORY, curve=nothing)
    both.save(made(4), Tier.VOLUME, curve=nothing)
    both.flush()
    assert names(tmp_path / "memory") == ["step-000000003"]
    assert names(tmp_path / "volume") == ["step-000000004"]
    assert both.saved_step == 4


def test_what_is_in_memory_is_not_told_as_saved(tmp_path: Path) -> None:
    both = saving(tmp_path, mode="Sync", memory_every=1)
    both.save(made(3), Tier.MEMORY, curve=nothing)
    assert both.saved_step is None


def test_the_curve_is_on_the_disk_before_the_checkpoint(tmp_path: Path) -> None:
    seen: list[list[str]] = []
    one = saving(tmp_path, mode="Async")
    one.save(made(4), Tier.VOLUME, curve=lambda: seen.append(names(tmp_path / "volume")))
    one.flush()
    assert seen == [[]]


def test_memory_that_is_full_is_the_recipes_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(store: CheckpointStore, checkpoint: Checkpoint) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CheckpointStore, "save", full)
    both = saving(tmp_path, memory_every=1)
    both.save(made(3), Tier.MEMORY, curve=nothing)
    with pytest.raises(RecipeError, match=r"checkpoint\.memoryEvery: .* step 3 .*No space left.*leave memoryEvery out"):
        both.save(made(4), Tier.MEMORY, curve=nothing)


def test_a_full_volume_is_no_mistake_of_the_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CheckpointStore, "save", lambda store, checkpoint: (_ for _ in ()).throw(OSError(28, "full")))
    one = saving(tmp_path, mode="Async")
    one.save(made(4), Tier.VOLUME, curve=nothing)
    with pytest.raises(OSError, match="full"):
        one.flush()
    assert one.saved_step is None
