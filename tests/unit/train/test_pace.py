"""What a report says of the time that steps take."""

from collections import deque

import pytest

from slipway_train.pace import quantile


@pytest.mark.parametrize(
    ("share", "found"),
    [(0.5, 50), (0.99, 99), (1.0, 100), (0.001, 1)],
)
def test_quantiles_are_of_what_was_measured(share: float, found: float) -> None:
    assert quantile(deque(float(each) for each in range(100, 0, -1)), share) == found


def test_of_one_value_every_quantile_is_it() -> None:
    assert [quantile([0.2], share) for share in (0.5, 0.99)] == [0.2, 0.2]
