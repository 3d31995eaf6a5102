import pytest

from slipway_train.stragglers import slowest


@pytest.mark.parametrize(
    ("seconds", "rank"),
    [
        ([1.0, 1.0, 2.0, 1.1], 2),
        ([1.0, 2.0], 1),
        ([9.0, 1.0, 9.5, 1.0, 1.0], 2),
        ([1.0, 1.4, 1.0], None),
        ([3.0], None),
        ([0.0, 0.0], None),
    ],
)
def test_the_slowest_is_named_if_it_is_slow(seconds: list[float], rank: int | None) -> None:
    found = slowest(seconds, step_seconds=4.0)
    assert (found.rank if found else None) == rank


def test_how_slow_it_is() -> None:
    found = slowest([1.0, 4.0, 1.0, 2.0], step_seconds=5.0)
    assert found
    assert found.ratio == 4.0


def test_what_costs_the_others_next_to_nothing_is_not_named() -> None:
    assert slowest([0.001, 0.003, 0.001], step_seconds=10.0) is None
