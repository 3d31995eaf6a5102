import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway_train import tokenizer as module
from slipway_train.corpus import Corpus
from slipway_train.errors import RecipeError
from slipway_train.tokenizer import END_OF_TEXT, PADDING, load_tokenizer, train_tokenizer


@given(text=st.text())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100, deadline=None)
def test_any_text_comes_back(tokenizer: Any, text: str) -> None:
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    assert tokenizer.decode(ids, skip_special_tokens=False) == text


def test_a_text_that_spells_a_special_token_is_plain_text(tokenizer: Any) -> None:
    ids = tokenizer.encode(f"a {END_OF_TEXT} b", add_special_tokens=False).ids
    assert tokenizer.token_to_id(END_OF_TEXT) not in ids
    assert tokenizer.decode(ids) == f"a {END_OF_TEXT} b"


def test_special_tokens_come_first_and_the_vocabulary_is_bounded(tokenizer: Any) -> None:
    assert [tokenizer.token_to_id(token) for token in (END_OF_TEXT, PADDING)] == [0, 1]
    assert 258 <= tokenizer.get_vocab_size() <= 512


def test_it_learns_what_is_frequent(tokenizer: Any) -> None:
    assert len(tokenizer.encode("return self return self").ids) < 10


def test_another_process_makes_the_same_bytes(corpus: Corpus, dataset: Path, tokenizer_content: bytes) -> None:
    program = (
        "import sys, hashlib; from slipway_train.config import Dataset; from slipway_train.corpus import open_corpus;"
        "from slipway_train.tokenizer import train_tokenizer;"
        "corpus = open_corpus(Dataset(path=sys.argv[1], include=('**/*.py',), held_out_percent=20));"
        "print(hashlib.sha256(train_tokenizer(corpus, 512)).hexdigest())"
    )
    ran = subprocess.run([sys.executable, "-c", program, str(dataset)], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == hashlib.sha256(tokenizer_content).hexdigest()


def test_training_reads_a_bounded_sample_from_all_over(corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_BYTES", 5000)
    pieces = list(module._sample(corpus))
    total = sum(len(piece) for piece in pieces)
    longest = max(len(piece) for piece in pieces)
    assert total <= 5000 + longest
    assert len(pieces) > 2
    assert pieces[-1].splitlines()[0] != f"# file<{corpus.training[1]}>", "a stride, not the first files"


def test_training_reads_training_files_only(corpus: Corpus) -> None:
    text = "".join(module._sample(corpus))
    marks = [next(corpus.pieces(name)).splitlines()[0] for name in corpus.held_out]
    assert marks
    assert not [mark for mark in marks if f"{mark}\n" in text]


def test_a_foreign_tokenizer_is_refused() -> None:
    from tokenizers import Tokenizer, models

    with pytest.raises(RecipeError, match="was not made by this recipe"):
        load_tokenizer(Tokenizer(models.BPE()).to_str().encode())


def test_a_vocabulary_of_one_size_gives_at_most_that_size(corpus: Corpus) -> None:
    assert load_tokenizer(train_tokenizer(corpus, 300)).get_vocab_size() == 300
