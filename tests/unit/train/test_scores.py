"""Scores against Google's rouge-score, digit for digit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from slipway_train.scores import exact_match, rouge_l, rouge_n

ORACLE = RougeScorer(["rouge1", "rouge2", "rougeL"])
texts = st.lists(
    st.sampled_from(["the", "cat", "sat", "on", "a", "Mat,", "7", "don't", "über", "—", "naïve"]), max_size=12
).map(" ".join)


@given(answer=texts, reference=texts)
def test_rouge_is_the_oracles(answer: str, reference: str) -> None:
    expected = ORACLE.score(reference, answer)
    assert rouge_n(answer, reference, 1) == pytest.approx(expected["rouge1"].fmeasure)
    assert rouge_n(answer, reference, 2) == pytest.approx(expected["rouge2"].fmeasure)
    assert rouge_l(answer, reference) == pytest.approx(expected["rougeL"].fmeasure)


def test_rouge_of_a_known_pair() -> None:
    assert rouge_n("the cat sat", "the cat stood up", 1) == pytest.approx(2 * 2 / 7)
    assert rouge_l("police kill the gunman", "police killed the gunman") == pytest.approx(0.75)


@pytest.mark.parametrize(("answer", "same"), [("1 and  2\n", 1.0), ("1 and 3", 0.0), ("", 0.0)])
def test_exact_match_looks_at_words(answer: str, same: float) -> None:
    assert exact_match(answer, "1 and 2") == same
