from dataclasses import replace

import pytest

from slipway_train.breakdown import DATA, FORWARD, Intervals, Shares, Span, minus, step_shares, union, verdict

IDLE = Shares(data=0, forward=0, backward=0, optimizer=0, communication=0, checkpoint=0, other=1)
COMPUTING = replace(IDLE, data=0.05, forward=0.3, backward=0.5, optimizer=0.05, communication=0.05, other=0.05)


@pytest.mark.parametrize(
    ("bound", "ranks"),
    [
        ("compute", [replace(COMPUTING, arithmetic=0.7, memory=0.5)]),
        ("memory", [replace(COMPUTING, arithmetic=0.2, memory=0.6)]),
        ("overhead", [replace(COMPUTING, arithmetic=0.1, memory=0.2)]),
        ("data", [replace(IDLE, data=0.4, communication=0.1)]),
        ("communication", [replace(IDLE, data=0.1, communication=0.4)]),
        # the peers of a rank that waits for its data wait for it in collectives
        ("data", [replace(IDLE, data=0.5, communication=0.02), replace(IDLE, data=0.01, communication=0.5)]),
        # the peers of a slow rank do so too, and what is slow there is its computing
        ("compute", [replace(COMPUTING, arithmetic=0.9), replace(IDLE, communication=0.6, arithmetic=0.9)]),
    ],
)
def test_what_bounds_a_run(bound: str, ranks: list[Shares]) -> None:
    found = verdict(ranks)
    assert found.bound == bound
    assert "%" in found.why
    assert found.what_helps


MS = 1e-3


def span(name: str, begin: float, end: float, *, computes: bool = False) -> Span:
    return Span(name, begin * MS, end * MS, computes)


def test_the_parts_of_a_step() -> None:
    spans = [
        span(DATA, 0, 10),
        span(FORWARD, 10, 30),
        span("aten::mm", 10, 30, computes=True),
        span("autograd::engine::evaluate_function: MmBackward0", 30, 50),
        span("autograd::engine::evaluate_function: AddBackward0", 50, 70),
        span("aten::mm", 30, 70, computes=True),
        span("gloo:all_reduce", 55, 90),  # 15 ms behind the backward pass, 20 ms after it
        span("Optimizer.step#AdamW.step", 90, 95),
        span("aten::_fused_adamw_", 90, 95, computes=True),
    ]
    shares = step_shares(spans, seconds=0.1, checkpoint_seconds=0.0)
    assert shares.to_json() == {
        "data": 0.1,
        "forward": 0.2,
        "backward": 0.4,
        "optimizer": 0.05,
        "communication": 0.2,
        "checkpoint": 0.0,
        "other": 0.05,
        "overlap": round(15 / 35, 4),
        "arithmetic": 0.0,
        "memory": 0.0,
    }


def test_a_wait_within_the_forward_pass_is_communication() -> None:
    """So it is where weights are gathered layer by layer."""
    spans = [
        span(FORWARD, 0, 40),
        span("aten::mm", 0, 10, computes=True),
        span("nccl:all_gather", 5, 30),
        span("aten::mm", 30, 40, computes=True),
    ]
    shares = step_shares(spans, seconds=0.04, checkpoint_seconds=0.0)
    assert (shares.forward, shares.communication) == pytest.approx((0.5, 0.5))
    assert shares.overlap == pytest.approx(0.2)


def test_the_interpreter_between_operations_is_no_waiting() -> None:
    operations = [span("aten::mul", at, at + 0.5, computes=True) for at in range(10)]
    quick = [replace(each, begin=each.begin / 5, end=each.end / 5) for each in operations]  # 0.1 ms apart, not 0.5
    for spans, overlap in ((operations, 0.5), (quick, 1.0)):
        whole = Span("gloo:all_reduce", 0.0, max(each.end for each in spans))
        found = step_shares([*spans, whole], seconds=0.02, checkpoint_seconds=0.0).overlap
        assert found == pytest.approx(overlap, abs=0.05)


def test_a_checkpoint_is_a_part_of_what_steps_cost() -> None:
    shares = step_shares([span(DATA, 0, 10)], seconds=0.04, checkpoint_seconds=0.01)
    assert (shares.data, shares.checkpoint, shares.other) == pytest.approx((0.2, 0.2, 0.6))


@pytest.mark.parametrize(
    ("intervals", "taken", "left"),
    [
        ([(0, 10)], [], [(0, 10)]),
        ([(0, 10)], [(2, 3), (5, 6)], [(0, 2), (3, 5), (6, 10)]),
        ([(0, 10)], [(-1, 1), (9, 20)], [(1, 9)]),
        ([(0, 1), (5, 6)], [(0, 6)], []),
        ([(0, 1)], [(1, 2)], [(0, 1)]),
    ],
)
def test_intervals_without_others(intervals: Intervals, taken: Intervals, left: Intervals) -> None:
    assert minus(intervals, taken) == left


def test_intervals_together() -> None:
    assert union([(5, 6), (0, 2), (1, 3)]) == [(0, 3), (5, 6)]
    assert union([(0, 1), (1.5, 2)], gap=0.5) == [(0, 2)]
