"""How near an answer is to the reference: exact match, and ROUGE (Lin 2004) as F1.

Decided here: ROUGE-1, -2 and -L give what Google's rouge-score gives without stemming, digit for digit (it is the
oracle of the tests): words are runs of a-z and 0-9 after lowering, so it says nothing of text in other scripts. Exact
match compares words as they stand, whatever white space is between them.
"""

import re
from collections import Counter
from collections.abc import Sequence

_WORD = re.compile(r"[a-z0-9]+")


def exact_match(answer: str, reference: str) -> float:
    return float(answer.split() == reference.split())


def rouge_n(answer: str, reference: str, n: int) -> float:
    """F1 of the n-grams in common, 0 to 1."""
    mine, theirs = _grams(_words(answer), n), _grams(_words(reference), n)
    return _f1((mine & theirs).total(), mine.total(), theirs.total())


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest common subsequence of words, 0 to 1."""
    mine, theirs = _words(answer), _words(reference)
    return _f1(_common(mine, theirs), len(mine), len(theirs))


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def _grams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(words[at:] for at in range(n)), strict=False))


def _f1(common: int, mine: int, theirs: int) -> float:
    return 2 * common / (mine + theirs) if common else 0.0


def _common(a: Sequence[str], b: Sequence[str]) -> int:
    """Length of the longest common subsequence: one row of the table at a time."""
    row = [0] * (len(b) + 1)
    for word in a:
        before = 0
        for at, other in enumerate(b, start=1):
            here = row[at]
            row[at] = before + 1 if word == other else max(here, row[at - 1])
            before = here
    return row[-1]
