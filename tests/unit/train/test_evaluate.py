import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from slipway_train import evaluate as module
from slipway_train.batch import IGNORED, Batch
from slipway_train.config import Dataset, Recipe
from slipway_train.corpus import Corpus
from slipway_train.errors import RecipeError
from slipway_train.evaluate import byte_counts, entropy_bits, evaluate
from slipway_train.gang import Gang
from slipway_train.model import build_model, llama_config, token_losses
from slipway_train.strategies.ddp import Ddp
from slipway_train.tree import open_tree


@dataclass
class OneOf:
    """A rank of a world whose sums are added up by the test."""

    rank: int
    world_size: int
    sums: list[float] = field(default_factory=list)

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    def sum(self, values: list[float]) -> list[float]:
        self.sums += values
        return list(values)


class Uniform:
    """Knows nothing: every one of 512 tokens is as likely."""

    data_rank, data_size = 0, 1

    def losses(self, batch: Batch) -> torch.Tensor:
        return torch.where(batch.labels == IGNORED, 0.0, math.log(512)).flatten()


class Of:
    """A data rank of several, each with the whole model."""

    def __init__(self, model: Any, rank: int, size: int) -> None:
        self.data_rank, self.data_size = rank, size
        self._model = model
        self.calls = 0

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def losses(self, batch: Batch) -> torch.Tensor:
        self.calls += 1
        return token_losses(self._model, batch, bf16=False)


def held_out_tokens(corpus: Corpus, tokenizer: Any) -> int:
    """One per token of text, and END_OF_TEXT after each file."""
    return sum(len(tokenizer.encode("".join(corpus.pieces(name))).ids) + 1 for name in corpus.held_out)


@pytest.mark.parametrize(
    ("text", "bits"), [(b"aaaa", 0.0), (b"abab", 1.0), (bytes(range(256)), 8.0), (b"aaab", 0.811278)]
)
def test_entropy(text: bytes, bits: float) -> None:
    assert entropy_bits(Counter(text)) == pytest.approx(bits, abs=1e-6)


def test_bytes_are_counted_on_held_out_files_only(corpus: Corpus, dataset: Path) -> None:
    text = b"".join((dataset / name).read_bytes() for name in corpus.held_out)
    assert byte_counts(corpus) == Counter(text)


@pytest.mark.parametrize(("context", "batch"), [(32, 1), (32, 5), (7, 3), (100_000, 2)])
def test_every_token_is_predicted_once(corpus: Corpus, tokenizer: Any, gang: Gang, context: int, batch: int) -> None:
    uniform: Any = Uniform()
    result = evaluate(uniform, corpus, tokenizer, gang, context=context, batch=batch)
    expected = held_out_tokens(corpus, tokenizer) * math.log2(512) / byte_counts(corpus).total()
    assert result.bits_per_byte == pytest.approx(expected, rel=1e-6)
    assert result.unigram_bits_per_byte == entropy_bits(byte_counts(corpus))


@pytest.mark.parametrize("world_size", [2, 3])
def test_ranks_share_the_work_and_nothing_is_lost(
    corpus: Corpus, tokenizer: Any, recipe: Recipe, world_size: int
) -> None:
    model = build_model(llama_config(recipe.model, tokenizer), seed=0)
    ranks: list[Any] = [OneOf(rank, world_size) for rank in range(world_size)]
    shares: list[Any] = [Of(model, rank, world_size) for rank in range(world_size)]
    for rank, share in zip(ranks, shares, strict=True):
        evaluate(share, corpus, tokenizer, rank, context=32, batch=2)
    alone: Any = OneOf(0, 1)
    whole: Any = Of(model, 0, 1)
    evaluate(whole, corpus, tokenizer, alone, context=32, batch=2)
    assert len({share.calls for share in shares}) == 1, "a forward pass may be a collective"
    assert all(rank.sums[0] > 0 for rank in ranks)
    assert sum(rank.sums[0] for rank in ranks) == pytest.approx(alone.sums[0], rel=1e-6)


def test_the_model_is_left_as_it_was(corpus: Corpus, tokenizer: Any, recipe: Recipe, gang: Gang) -> None:
    model = build_model(llama_config(recipe.model, tokenizer), seed=0).train()
    evaluate(Ddp(model, recipe, gang), corpus, tokenizer, gang, context=32, batch=8)
    assert model.training
    assert not any(parameter.grad.any() for parameter in model.parameters() if parameter.grad is not None)


def test_the_result_is_in_the_apis_spelling() -> None:
    assert module.Evaluation(2.98766, 4.65432, 12.5).to_json() == {
        "bitsPerByte": "2.9877",
        "unigramBitsPerByte": "4.6543",
        "perplexity": "12.5000",
    }


def test_held_out_files_without_text_are_refused(corpus: Corpus, tokenizer: Any, gang: Gang, tmp_path: Any) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe")
    uniform: Any = Uniform()
    with pytest.raises(RecipeError, match="held-out files hold no text"):
        evaluate(
            uniform,
            Corpus(open_tree(str(tmp_path), ("x",)), Dataset(path="/"), (), ("x",)),
            tokenizer,
            gang,
            context=8,
            batch=1,
        )
