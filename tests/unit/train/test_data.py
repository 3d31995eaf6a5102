from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipway_train import corpus as corpus_module
from slipway_train import data
from slipway_train.batch import Batch
from slipway_train.corpus import Corpus
from slipway_train.data import DataPosition, Samples, StreamPosition, TokenStream
from slipway_train.tokenizer import END_OF_TEXT

WIDTH = 33
quick = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "PIECE_BYTES", 256)
    monkeypatch.setattr(data, "BLOCK_SAMPLES", 16)


def stream(corpus: Corpus, tokenizer: Any, start: StreamPosition | None = None) -> TokenStream:
    return TokenStream(corpus, tokenizer, seed=3, start=start or StreamPosition())


def samples(corpus: Corpus, tokenizer: Any, start: DataPosition | None = None, seed: int = 3) -> Samples:
    return Samples(corpus, tokenizer, seed=seed, width=WIDTH, start=start)


def one_pass(corpus: Corpus, tokenizer: Any) -> str:
    """The stream's text up to the end of the first pass, END_OF_TEXT as itself."""
    taken: list[int] = []
    reading = stream(corpus, tokenizer)
    while reading.position.epoch == 0:
        taken += reading.take(1).tolist()
    return str(tokenizer.decode(taken[:-1], skip_special_tokens=False))


def test_a_pass_holds_each_training_file_once_and_no_held_out_file(corpus: Corpus, tokenizer: Any) -> None:
    documents = one_pass(corpus, tokenizer).split(END_OF_TEXT)
    assert documents.pop() == ""
    expected = [Path(corpus.tree.address, name).read_text() for name in corpus.training]
    assert sorted(documents) == sorted(expected)
    assert documents != expected, "shuffled"
    assert not set(documents) & {Path(corpus.tree.address, name).read_text() for name in corpus.held_out}


def test_the_second_pass_has_another_order(corpus: Corpus, tokenizer: Any) -> None:
    first, second = (stream(corpus, tokenizer, StreamPosition(epoch=epoch)).take(5000) for epoch in (0, 1))
    assert (first != second).any()


@given(before=st.integers(0, 20_000), then=st.integers(1, 700))
@quick
def test_a_stream_goes_on_from_any_position(corpus: Corpus, tokenizer: Any, before: int, then: int) -> None:
    whole = stream(corpus, tokenizer)
    whole.take(before)
    resumed = stream(corpus, tokenizer, whole.position)
    assert resumed.take(then).tolist() == whole.take(then).tolist()
    assert resumed.position == whole.position


@given(before=st.integers(0, 70), then=st.integers(1, 40))
@quick
def test_samples_go_on_from_any_sample(corpus: Corpus, tokenizer: Any, before: int, then: int) -> None:
    whole = samples(corpus, tokenizer)
    for _ in range(before):
        whole.batch(1)
    position = DataPosition.from_json(whole.position.to_json())
    assert position.sample == before
    assert (samples(corpus, tokenizer, position).batch(then) == whole.batch(then)).all()


def test_a_block_has_the_streams_samples_in_another_order(corpus: Corpus, tokenizer: Any) -> None:
    packed = stream(corpus, tokenizer).take(16 * WIDTH).reshape(16, WIDTH)
    block = samples(corpus, tokenizer).batch(16)
    assert sorted(block.tolist()) == sorted(packed.tolist())
    assert (block != packed).any()


def test_batch_size_does_not_change_the_order(corpus: Corpus, tokenizer: Any) -> None:
    one, three = samples(corpus, tokenizer), samples(corpus, tokenizer)
    assert (
        np.concatenate([one.batch(1) for _ in range(42)]) == np.concatenate([three.batch(3) for _ in range(14)])
    ).all()


def test_the_seed_decides_the_order(corpus: Corpus, tokenizer: Any) -> None:
    assert (samples(corpus, tokenizer, seed=3).batch(8) != samples(corpus, tokenizer, seed=4).batch(8)).any()


def _windows(share: Batch) -> Any:
    return np.concatenate([share.tokens, share.labels[:, -1:]], axis=1)


@pytest.mark.parametrize("world_size", [1, 2, 4, 8])
def test_the_shares_of_any_world_make_the_global_batch(corpus: Corpus, tokenizer: Any, world_size: int) -> None:
    batch = samples(corpus, tokenizer).batch(8)
    whole = Batch.from_windows(batch)
    shares = [_windows(whole.share(rank=rank, size=world_size)) for rank in range(world_size)]
    assert {len(rows) for rows in shares} == {8 // world_size}
    assert sorted(np.concatenate(shares).tolist()) == sorted(batch.tolist())


def test_a_dataset_smaller_than_a_block_is_repeated(corpus: Corpus, tokenizer: Any) -> None:
    tiny = replace(corpus, training=corpus.training[:1])
    reading = stream(tiny, tokenizer)
    reading.take(20_000)
    assert reading.position.epoch > 3
