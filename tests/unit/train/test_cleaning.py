"""The filters one by one, then together; the same answer however the work is shared."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slipway.api.dataset import CleaningSpec
from slipway_train.cleaning import duplicates
from slipway_train.cleaning.duplicates import Exact, Near, content_hash, signature, similarity
from slipway_train.cleaning.filters import Judge, look
from slipway_train.cleaning.language import check_known, language
from slipway_train.cleaning.repetition import repeats
from slipway_train.cleaning.scrub import SCRUBBERS, Scrubber, check_patterns
from slipway_train.cleaning.sweep import sweep
from slipway_train.errors import RecipeError

WORDS = [f"word{i}" for i in range(3000)]
ENGLISH = "The ship left the harbour before the storm, and nobody on the shore could say where it was going."
GERMAN = "Das Schiff verließ den Hafen vor dem Sturm, und niemand am Ufer konnte sagen, wohin es fuhr."


def document(seed: int, words: int = 300) -> list[str]:
    return random.Random(seed).choices(WORDS, k=words)


def altered(words: list[str], count: int) -> list[str]:
    changed = list(words)
    for at in random.Random(7).sample(range(len(words)), count):
        changed[at] = f"other{at}"
    return changed


def jaccard(a: list[str], b: list[str]) -> float:
    left, right = ({tuple(words[at : at + 5]) for at in range(len(words) - 4)} for words in (a, b))
    return len(left & right) / len(left | right)


@pytest.mark.parametrize("changes", [0, 1, 3, 8, 20, 80])
def test_the_estimate_is_near_the_truth(changes: int) -> None:
    one, other = document(1), altered(document(1), changes)
    estimate = similarity(signature(" ".join(one)), signature(" ".join(other)))
    assert estimate == pytest.approx(jaccard(one, other), abs=0.13), "three standard errors at a half"


def test_near_duplicates_are_found_and_others_are_not() -> None:
    near = Near(0.8, remembered=1024)
    originals = [document(seed) for seed in range(60)]
    assert not any(near.seen(signature(" ".join(words))) for words in originals)
    assert all(near.seen(signature(" ".join(altered(words, 2)))) for words in originals), "Jaccard of about 0.93"
    assert not any(near.seen(signature(" ".join(altered(words, 60)))) for words in originals), "of about 0.2"


def test_case_and_punctuation_make_no_difference_to_near_ones() -> None:
    assert similarity(signature(ENGLISH), signature(ENGLISH.upper().replace(",", " --"))) == 1.0


def test_memory_is_bounded_and_what_is_forgotten_is_kept() -> None:
    near = Near(0.8, remembered=8)
    first = signature(" ".join(document(0)))
    near.seen(first)
    for seed in range(1, 9):
        near.seen(signature(" ".join(document(seed))))
    assert not near.seen(first), "nine documents later only eight are remembered"
    assert near.seen(signature(" ".join(document(8))))


def test_signatures_do_not_change_between_versions() -> None:
    """Cleaned twice, a dataset is the same: hashes and their seeds are part of the format."""
    assert content_hash("a b") == content_hash(" a\n b ") == 2952434739088078779
    assert signature(ENGLISH)[:3].tolist() == [100985630, 836011687, 69534888]


def test_exact_duplicates_are_of_words() -> None:
    exact = Exact(1 << 10)
    seen = [exact.seen(content_hash(text)) for text in ("a b", "a c", " a\tb\n", "A b")]
    assert seen == [False, False, True, False]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (ENGLISH, ""),
        ("one line\n" * 4 + ENGLISH, "lines-repeated"),
        ("one line\n\n" * 4 + ENGLISH, "paragraphs-repeated"),
        ("", ""),
        (f"{ENGLISH}\n\n{ENGLISH}\n\nAnd so on it goes.\n\nAnd further still.", "paragraphs-repeated-characters"),
        ("\n".join(["same line here"] * 4 + [f"other line {i}" for i in range(5)]), "lines-repeated"),
        ("buy now " * 20, "top-2-gram"),
        (f"{ENGLISH} {' '.join(document(5, 12))} {ENGLISH}", "duplicated-5-grams"),
    ],
)
def test_gophers_rules(text: str, rule: str) -> None:
    assert repeats(text) == rule


@pytest.mark.parametrize(("text", "found"), [(ENGLISH, "en"), (GERMAN, "de"), ("Hm.", None), ("1 2 3 " * 50, None)])
def test_languages(text: str, found: str | None) -> None:
    assert language(text) == found


def test_a_language_that_is_not_told_apart_is_refused() -> None:
    check_known(("en", "zh"))
    with pytest.raises(RecipeError, match=r"dataset\.cleaning\.languages: xx is not told apart; these are: .* en "):
        check_known(("en", "xx"))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("write to jane.doe+x@mail.example.co.uk today", "write to <EMAIL> today"),
        ("not an address: a@b or @name", "not an address: a@b or @name"),
        ("+49 30 1234567, (030) 123-4567, 555-123-4567, 06 12 34 56 78", "<PHONE>, <PHONE>, <PHONE>, <PHONE>"),
        ("12345678 and 2024-01-02 and 10 20 30 40 and 3.14159", "12345678 and 2024-01-02 and 10 20 30 40 and 3.14159"),
        ("from 10.0.0.1:80 and fe80::1%eth0 to ::1", "from <IP>:80 and <IP>%eth0 to <IP>"),
        ("at 12:30:45, std::vector, a::b, 192.168.1.256", "at 12:30:45, std::vector, a::b, 192.168.1.256"),
        ("key AKIAIOSFODNN7EXAMPLE!", "key <KEY>!"),
        ("token ghp_" + "a1" * 18, "token <KEY>"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "<KEY>"),
    ],
)
def test_scrubbing(text: str, clean: str) -> None:
    assert Scrubber(spec(scrub=list(SCRUBBERS)))(text) == clean


def test_only_what_is_asked_for_is_scrubbed() -> None:
    assert Scrubber(spec(scrub=["ip"]))("a@b.example 10.0.0.1") == "a@b.example <IP>"


OWN = [{"name": "staff-no", "pattern": r"\bS-[0-9]{4}\b"}, {"name": "name", "pattern": r"(?i)\bmüller|x*$"}]


def test_own_patterns_come_first_and_in_their_order() -> None:
    """So the first one sees what the second, and e-mail, would take; the empty end of the text is no hit."""
    scrub = Scrubber(spec(scrubPatterns=OWN, scrub=["email", "ip"]))
    assert scrub("S-1234@example.org, of MÜLLER and S-12345: 日本 a@b.example xx") == (
        "<STAFF-NO>@example.org, of <NAME> and S-12345: 日本 <EMAIL> <NAME>"
    )
    assert scrub.found == {"staff-no", "name", "email"}


def test_no_pattern_makes_a_text_slow() -> None:
    """(a+)+ backtracks for longer than there is time, in an engine that does."""
    hard = Scrubber(spec(scrubPatterns=[{"name": "hard", "pattern": "(a+)+(a+)+!"}]))
    assert hard("a" * 200_000) == "a" * 200_000
    assert hard("a" * 200_000 + "!") == "<HARD>"


@pytest.mark.parametrize(
    ("pattern", "said"),
    [("(", "no regular expression in RE2's syntax: "), (r"(?<=a)b", "no regular "), ("a*|b", "the empty text matches")],
)
def test_what_is_no_pattern_is_refused_by_its_place(pattern: str, said: str) -> None:
    patterns = [{"name": "good", "pattern": "a"}, {"name": "wrong", "pattern": pattern}]
    with pytest.raises(RecipeError, match=rf"^dataset\.cleaning\.scrubPatterns\[1\]\.pattern: {said}"):
        check_patterns(spec(scrubPatterns=patterns))


@settings(max_examples=60)
@given(st.text(alphabet="aA1.@:-+() \n<>_", max_size=60))
def test_scrubbing_twice_is_scrubbing_once(text: str) -> None:
    scrub = Scrubber(spec(scrub=list(SCRUBBERS)))
    once = scrub(text)
    assert scrub(once) == once


def spec(**fields: Any) -> CleaningSpec:
    return CleaningSpec.model_validate(fields)


def verdicts(cleaning: CleaningSpec, *texts: str) -> list[str]:
    judge = Judge(cleaning)
    return [judge.drops(look(cleaning, text)) for text in texts]


def test_filters_come_in_their_order_and_are_counted() -> None:
    cleaning = spec(charactersLeast=10, charactersMost=5000, languages=["en"], repetition="gopher", duplicates="near")
    texts = ("short", ENGLISH, GERMAN, f"{ENGLISH}\n" * 5, ENGLISH, ENGLISH.lower(), "x" * 6000)
    judge = Judge(cleaning)
    found = [judge.drops(look(cleaning, text)) for text in texts]
    assert found == ["short", "", "language", "repetition", "exact-duplicate", "near-duplicate", "long"]
    assert judge.counts == {name or "kept": 1 for name in found}
    assert judge.account == judge.counts, "nothing was scrubbed"


def test_documents_are_counted_in_which_something_was_scrubbed() -> None:
    judge = Judge(spec(duplicates="exact", charactersLeast=5))
    for text, scrubbed in (("a text", {"ip", "name"}), ("another", set[str]()), ("a text", {"ip"}), ("few", {"ip"})):
        judge.drops(look(spec(duplicates="exact", charactersLeast=5), text, scrubbed))
    assert judge.account == {"exact-duplicate": 1, "kept": 2, "scrubbed-ip": 3, "scrubbed-name": 1, "short": 1}


def test_what_is_dropped_anyway_makes_nothing_a_duplicate() -> None:
    assert verdicts(spec(charactersLeast=200, duplicates="exact"), ENGLISH, ENGLISH) == ["short", "short"]


def test_without_filters_all_is_kept() -> None:
    assert verdicts(spec(), "", "", ENGLISH, ENGLISH) == [""] * 4


class OneOf:
    """A rank among others, whose shares the test computes for it."""

    def __init__(self, rank: int, world_size: int, blocks: list[list[str]]) -> None:
        self.rank, self.world_size, self._blocks = rank, world_size, blocks

    def gather(self, value: Any) -> list[Any]:
        block = self._blocks.pop(0)
        shares = [([text.upper() for text in block[rank :: self.world_size]], None) for rank in range(self.world_size)]
        assert shares[self.rank] == value
        return shares


@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
def test_work_is_shared_and_the_order_stays(world_size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway_train.cleaning.sweep.BLOCK_DOCUMENTS", 5)
    texts = [f"t{i}" for i in range(13)]
    blocks = [texts[at : at + 5] for at in range(0, 13, 5)]
    for rank in range(world_size):
        gang: Any = OneOf(rank, world_size, list(blocks))
        seen = list(sweep(gang, ((text, 1) for text in texts), str.upper))
        assert seen == [(text, text.upper()) for text in texts]


def test_a_block_is_bounded_by_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipway_train.cleaning.sweep.BLOCK_CHARACTERS", 10)
    gang: Any = OneOf(0, 1, [["a", "b"], ["c"]])
    assert len(list(sweep(gang, (("a", 9), ("b", 1), ("c", 3)), str.upper))) == 3


def test_the_stated_bound_on_memory() -> None:
    near = duplicates.NEAR_REMEMBERED * duplicates.HASHES * 4 + duplicates.BANDS * 2 * duplicates.NEAR_REMEMBERED * 4
    assert near == 192 << 20
    assert duplicates.EXACT_REMEMBERED * 8 == 32 << 20
