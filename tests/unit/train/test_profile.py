"""The profile of a real run of a few steps, in a process group of one."""

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from slipway_train import roofline
from slipway_train.breakdown import verdict
from slipway_train.config import Recipe
from slipway_train.gang import Gang
from slipway_train.memory import measured, peak_bytes, recorded
from slipway_train.profile import table
from slipway_train.profiling import Profile, profiled
from slipway_train.recipes.pretrain import Pretrain
from slipway_train.strategies.fsdp import Fsdp

from .support import parse, recipe_json

NAP_SECONDS = 0.2


@pytest.fixture
def peaks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring the machine takes longer than the rest of the test."""
    monkeypatch.setattr("slipway_train.profiling.best", lambda device, bf16: roofline.Work(flops=1e11, bytes=1e10))


def run(recipe: Recipe, gang: Gang, tmp_path: Path) -> Profile:
    return profiled(recipe, gang, tmp_path, steps=2)


@pytest.mark.usefixtures("peaks")
def test_a_slow_data_source_is_what_the_run_is_bound_by(
    recipe: Recipe, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = Pretrain.batch

    def slow(task: Pretrain) -> Any:
        time.sleep(NAP_SECONDS)
        return batch(task)

    monkeypatch.setattr(Pretrain, "batch", slow)
    found = run(recipe, gang, tmp_path)
    assert verdict([found.shares]).bound == "data"
    assert found.shares.data > 0.5
    assert found.step_seconds > NAP_SECONDS
    words = table([found], verdict([found.shares]))
    assert "bound by data: a rank waits for its batch in " in words
    assert f"data stall: {found.shares.data:.1%} of a step" in words


@pytest.mark.usefixtures("peaks")
def test_a_trace_and_all_shares(recipe: Recipe, gang: Gang, tmp_path: Path) -> None:
    found = run(recipe, gang, tmp_path)
    shares = found.shares
    assert verdict([shares]).bound != "data"
    assert min(shares.forward, shares.backward, shares.optimizer) > 0
    assert 0 < found.checkpoint_stall_seconds <= found.checkpoint_write_seconds
    parts = (shares.data, shares.forward, shares.backward, shares.optimizer)
    assert sum(parts) + shares.communication + shares.checkpoint + shares.other == pytest.approx(1)
    names = {each.get("name") for each in json.loads((tmp_path / "trace-rank-0.json").read_text())["traceEvents"]}
    assert {"slipway.data", "slipway.forward", "aten::mm"} <= names
    assert [path.name for path in tmp_path.iterdir()] == ["trace-rank-0.json"], "the checkpoint was for its time only"
    memory = found.memory
    assert memory.parameters == memory.gradients == memory.optimizer // 2 > 0
    assert 0 < memory.activations < memory.process
    assert json.loads(json.dumps(found.to_json()))["shares"] == shares.to_json()


@dataclass
class Event:
    """The part of torch's FunctionEvent that is read."""

    name: str
    input_shapes: list[list[int]] = field(default_factory=list)
    input_dtypes: list[str] = field(default_factory=list)
    cpu_children: list["Event"] = field(default_factory=list)
    flops: int | None = None
    self_cpu_memory_usage: int = 0
    self_device_memory_usage: int = 0
    at: float = 0.0

    @property
    def time_range(self) -> Any:
        return SimpleNamespace(start=self.at)


@pytest.mark.usefixtures("peaks")
def test_a_checkpoint_in_shards_is_measured_as_one(
    dataset: Path, gang: Gang, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fsdp, "capture", None)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1")
    asked = recipe_json(dataset, strategy="fsdp", checkpoint={"everySteps": 3, "layout": "Sharded"})
    found = run(parse(asked), gang, tmp_path)
    assert found.checkpoint_write_seconds > 0


def test_what_operations_ask_of_a_device() -> None:
    shapes, types = [[4, 8], [8, 2]], ["float", "float"]
    product = Event("aten::mm", shapes, types, [Event("aten::resolve_conj")], flops=128, self_cpu_memory_usage=32)
    around = Event("aten::linear", shapes, types, [Event("aten::t"), product])
    added = Event("aten::add", [[4, 2], []], ["c10::BFloat16", "Scalar"], self_cpu_memory_usage=16)
    work = roofline.asked([around, product, added, Event("aten::view", [[1000]], ["float"]), Event("slipway.data")])
    assert work.flops == 128
    assert work.bytes == (32 + 16) * 4 + 32 + 8 * 2 + 16, "read and written, each once; views are free"


def test_the_most_that_was_held_at_a_time() -> None:
    changes = [(3.0, -60), (1.0, 50), (2.0, 30), (4.0, 10)]
    assert peak_bytes([Event("x", at=at, self_cpu_memory_usage=size) for at, size in changes]) == 80
    assert peak_bytes([Event("x", self_cpu_memory_usage=-5)]) == 0


def test_a_gpus_snapshot_is_of_the_traced_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No GPU is here: in which order its allocator is asked."""
    calls: list[object] = []
    monkeypatch.setattr(
        torch.cuda.memory, "_record_memory_history", lambda enabled="all", max_entries=0: calls.append(enabled)
    )
    monkeypatch.setattr(torch.cuda.memory, "_dump_snapshot", calls.append)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _: 4096)
    cuda, path = torch.device("cuda", 0), tmp_path / "memory.pickle"
    with recorded(cuda, path):
        calls.append("steps")
    assert calls == ["all", "steps", str(path), None]
    assert measured(torch.nn.Linear(2, 2), [], cuda).process == 4096
    with pytest.raises(RuntimeError), recorded(cuda, path):
        raise RuntimeError
    assert calls[4:] == ["all", None], "nothing is written of steps that failed"
    with recorded(torch.device("cpu"), path):
        pass
    assert len(calls) == 6


def test_a_devices_best_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "_TRIES", 1)
    peak = roofline.best(torch.device("cpu"), bf16=False)
    assert 1e8 < peak.flops < 1e14
    assert 1e7 < peak.bytes < 1e12
