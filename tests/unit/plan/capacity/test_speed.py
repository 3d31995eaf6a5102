"""Bounds on a step's time, and when nothing is said."""

import pytest

from slipway.plan.capacity.devices import BUILT_IN
from slipway.plan.capacity.model import parameters
from slipway.plan.capacity.speed import compute_seconds, flops, send_seconds
from slipway.plan.capacity.traffic import sent_bytes

from .builders import SMALL, layout, load

H100 = BUILT_IN.classes["h100-80gb"]


def test_operations_are_those_of_mfu() -> None:
    of_token = 6 * parameters(SMALL) + 12 * 2 * 96 * 64
    assert flops(layout(processes=4), load()) == of_token * 8 * 64 / 4
    assert flops(layout(checkpointing="full"), load()) == pytest.approx(flops(layout(), load()) * 4 / 3)


def test_seconds_at_the_peaks() -> None:
    mixed = load(precision="bf16")
    assert compute_seconds(layout(), mixed, H100) == flops(layout(), mixed) / 989e12
    assert compute_seconds(layout(), load(precision="fp8"), H100) == flops(layout(), mixed) / 1979e12
    assert send_seconds(layout(), mixed, H100) == sent_bytes(layout(), mixed) / 450e9
    offloaded = layout("deepspeed", offload="cpu")
    assert send_seconds(offloaded, mixed, H100) == sent_bytes(offloaded, mixed) / 64e9


def test_what_is_not_known_is_not_said() -> None:
    mixed = load(precision="bf16")
    assert compute_seconds(layout(), load(), H100) is None, "the peak is bf16's"
    assert compute_seconds(layout(), mixed, BUILT_IN.classes["t4"]) is None
    assert compute_seconds(layout(), load(precision="fp8"), BUILT_IN.classes["a100-80gb"]) is None
    assert compute_seconds(layout(), mixed, None) is None
    assert send_seconds(layout(processes=8, per_node=4), mixed, H100) is None, "between nodes"
    assert send_seconds(layout(), mixed, None) is None
