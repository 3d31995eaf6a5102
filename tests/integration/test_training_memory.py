"""The planner's estimate against a real run's peak: what `slipway plan train` and the operator's refusals rest on."""

import pytest

from slipway.plan.capacity.fit import ERROR_PERCENT

from .planned_memory import ALONE, PAIRED, Compared, compare, estimate, table

pytestmark = [pytest.mark.level(2), pytest.mark.feature("training")]

TORCH_ERROR_PERCENT = 3  # of what torch allocates: seen to be 0.1; the interpreter and the C library add the rest


@pytest.fixture(scope="module")
def compared() -> list[Compared]:
    return [*compare(ALONE, processes=1), *compare(PAIRED, processes=2)]


def test_the_estimate_is_within_the_bound_that_refusals_rest_on(compared: list[Compared]) -> None:
    bounds = {"torch": TORCH_ERROR_PERCENT, "resident": ERROR_PERCENT}
    wrong = [row for row in compared if abs(row.error_percent) > bounds[row.case.measure]]
    assert not wrong, table(compared)


@pytest.mark.parametrize("case", [case for case in ALONE if case.measure == "torch"], ids=lambda case: case.name)
def test_each_shape_is_about_what_it_says(case: object) -> None:
    """A case whose largest part is another would leave that part unchecked."""
    assert isinstance(case, type(ALONE[0]))
    parts = dict(estimate(case, 1).parts())
    assert max((name for name in parts if name != "overhead"), key=parts.__getitem__) == case.largest
