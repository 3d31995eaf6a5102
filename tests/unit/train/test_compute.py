from types import SimpleNamespace

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from slipway_train import compute
from slipway_train.compute import ComputeClock

CPU = torch.device("cpu")
NAP_SECONDS = 0.02


class Time:
    """Stands still but for naps, so that a busy machine changes nothing."""

    now = 0.0

    def nap(self, seconds: float) -> None:
        self.now += seconds


TIME = Time()


@pytest.fixture(autouse=True)
def no_other_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute, "time", SimpleNamespace(perf_counter=lambda: TIME.now))


class Napping(torch.nn.Linear):  # type: ignore[misc]
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        TIME.nap(NAP_SECONDS)
        return super().forward(x)


class Nap(torch.nn.Module):  # type: ignore[misc]
    """A part of a layer that takes a while; it has a part of its own, as attention has."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        TIME.nap(NAP_SECONDS)
        return self.inner(x)


class Layer(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.part = Nap()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        TIME.nap(10 * NAP_SECONDS)  # what a sharding strategy waits for, around the parts
        return self.part(x)


class Stack(torch.nn.Module):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList([Layer(), Layer()])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        return x


def test_what_the_parts_compute_is_timed_and_what_is_around_them_is_not() -> None:
    model = Stack()
    clock = ComputeClock(model, CPU)
    model(torch.ones(1, 4))
    assert clock.take() == pytest.approx(2 * NAP_SECONDS)
    assert clock.take() == 0.0


def test_recomputing_activations_leaves_it_in_order() -> None:
    model = Stack()
    clock = ComputeClock(model, CPU)
    x = torch.ones(1, 4, requires_grad=True)
    for layer in model.layers:
        x = checkpoint(layer, x, use_reentrant=False)
    x.sum().backward()
    assert clock.take() == pytest.approx(4 * NAP_SECONDS)
    model(torch.ones(1, 4))
    assert clock.take() == pytest.approx(2 * NAP_SECONDS)


def test_a_part_that_raises_does_not_stay_open() -> None:
    model = Stack()
    clock = ComputeClock(model, CPU)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        model(torch.ones(1, 3))
    clock.take()
    model(torch.ones(1, 4))
    assert clock.take() == pytest.approx(2 * NAP_SECONDS)


def test_a_model_without_repeated_layers_is_timed_by_what_has_weights() -> None:
    model = torch.nn.Sequential(Napping(4, 4), torch.nn.ReLU())
    clock = ComputeClock(model, CPU)
    model(torch.ones(1, 4))
    assert clock.take() == pytest.approx(NAP_SECONDS)
