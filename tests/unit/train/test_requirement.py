import pytest

from slipway.api.evaluation import Requirement
from slipway_train.errors import RequirementNotMet
from slipway_train.export import check_required

MEASURED: dict[str, str | int] = {"perplexity": "12.5000", "exactMatch": "0.4000", "rougeL": "0.3000", "answers": 8}


@pytest.mark.parametrize(
    ("asked", "unmet"),
    [
        ({"perplexityMost": "12.5"}, []),
        ({"perplexityMost": "1.25e1", "exactMatchLeast": "0.4", "rougeLLeast": "0.3"}, []),
        ({"perplexityMost": "12.4"}, ["perplexity is 12.5000, at most 12.4 is required"]),
        ({"exactMatchLeast": "0.41"}, ["exactMatch is 0.4000, at least 0.41 is required"]),
        ({"rougeLLeast": "0.31"}, ["rougeL is 0.3000, at least 0.31 is required"]),
        ({"rouge2Least": "0"}, ["rouge2 was not measured, at least 0 is required"]),
        ({"bitsPerByteMost": "9"}, ["bitsPerByte was not measured, at most 9 is required"]),
    ],
)
def test_each_bound_is_compared(asked: dict[str, str], unmet: list[str]) -> None:
    assert Requirement.model_validate(asked).unmet(MEASURED) == unmet


@pytest.mark.parametrize("value", ["nan", "inf", "x", None, 3])
def test_what_is_no_number_is_not_met(value: object) -> None:
    assert Requirement.model_validate({"perplexityMost": "99"}).unmet({"perplexity": value})


def test_the_trainer_tells_all_that_is_missing_and_what_it_measured() -> None:
    require = Requirement.model_validate({"perplexityMost": "10", "exactMatchLeast": "0.5"})
    check_required(None, MEASURED)
    with pytest.raises(RequirementNotMet, match=r"^output\.require: perplexity is .*; exactMatch is ") as caught:
        check_required(require, MEASURED)
    assert caught.value.evaluation == MEASURED


@pytest.mark.parametrize(("asked", "answers"), [({"perplexityMost": "1"}, False), ({"rouge1Least": "0"}, True)])
def test_answers_are_needed_for_bounds_on_them(asked: dict[str, str], answers: bool) -> None:
    assert Requirement.model_validate(asked).needs_answers is answers
