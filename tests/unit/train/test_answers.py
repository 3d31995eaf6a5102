"""What is measured of answers: every process its share, nothing twice, and what rank 0's model says."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from slipway.api.evaluation import EvaluationSpec
from slipway_train import answers as module
from slipway_train.answers import likelihood, measured_answers
from slipway_train.batch import IGNORED, Batch
from slipway_train.spool import Table

CONTEXT, PADDING = 16, 0
# prompt, answer, prompt, answer: the last answer of the first row is 7 8, and the second row has one answer
TABLE = Table(np.array([~1, 2, ~3, ~4, 7, 8, ~9, ~5, 6], np.int32), np.array([0, 7]), np.array([7, 2], np.int32))


class Letters:
    """A chat whose tokens are letters."""

    stops = frozenset({8})

    def text(self, tokens: list[int]) -> str:
        return " ".join("abcdefghij"[token] for token in tokens if token not in self.stops)


class Rank:
    """One of a gang; sums are added up by the test. Rank 0's broadcast is what all get."""

    def __init__(self, rank: int = 0, world_size: int = 1) -> None:
        self.rank, self.world_size = rank, world_size
        self.sums: list[list[float]] = []

    def sum(self, values: list[float]) -> list[float]:
        self.sums.append(values)
        return values

    def broadcast(self, value: Any) -> Any:
        return value if self.rank == 0 else [0.5, 0.5, 0.25, 0.5]


class Share:
    """A data rank whose loss of a label is the label itself: what is lost or counted twice shows."""

    def __init__(self, data_rank: int = 0, data_size: int = 1) -> None:
        self.data_rank, self.data_size = data_rank, data_size

    def losses(self, batch: Batch) -> torch.Tensor:
        return batch.labels.clamp(min=0).flatten().float() * (batch.labels != IGNORED).flatten()


def measure(sharded: Any, gang: Any) -> dict[str, Any]:
    chat: Any = Letters()
    return likelihood(sharded, TABLE, chat, gang, context=CONTEXT, batch=1, padding=PADDING)


def test_every_answer_counts_once() -> None:
    figures = measure(Share(), Rank())
    nats, tokens, text = 2 + 7 + 8 + 6, 4, "c h" + "g"
    assert figures["perplexity"] == f"{math.exp(nats / tokens):.4f}"
    assert figures["bitsPerByte"] == f"{nats / math.log(2) / len(text):.4f}"
    assert figures["unigramBitsPerByte"] == "2.0000", "four characters, each once"


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_share_the_work_and_nothing_is_lost(size: int) -> None:
    alone = Rank()
    measure(Share(), alone)
    ranks = [Rank(rank, size) for rank in range(size)]
    for rank in ranks:
        measure(Share(rank.rank, size), rank)
    assert np.sum([rank.sums[0] for rank in ranks], axis=0).tolist() == alone.sums[0]


def test_processes_of_one_data_rank_are_not_counted_twice() -> None:
    once = measure(Share(), Rank())
    twice = Rank(0, 2)
    twice.sum = lambda values: [2 * value for value in values]  # type: ignore[method-assign]
    assert measure(Share(0, 1), twice) == once


def answered(monkeypatch: pytest.MonkeyPatch, gang: Rank, *, prompts: int = 5, model: Any = "model") -> Any:
    asked: list[Any] = []

    def say(_model: Any, given: Any, **how: Any) -> list[list[int]]:
        asked.append((given, how["most"], how["stops"]))
        return [[7], [1]][: len(given)]

    monkeypatch.setattr(module, "answer", say)
    spec = EvaluationSpec(prompts=prompts, answer_tokens=9)
    chat: Any = Letters()
    figures = measured_answers(model, TABLE, chat, gang, spec=spec, padding=PADDING, bf16=False)  # type: ignore[arg-type]
    return figures, asked


def test_the_last_answer_is_asked_for_with_all_that_was_said_before(monkeypatch: pytest.MonkeyPatch) -> None:
    figures, asked = answered(monkeypatch, Rank())
    assert asked == [([[1, 2, 3, 4], [5]], 9, {8})]
    assert figures == {"answers": 2, "exactMatch": "0.5000", "rouge1": "0.5000", "rouge2": "0.0000", "rougeL": "0.5000"}


def test_the_others_wait_as_often_and_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CHUNK_PROMPTS", 1)
    first, other = Rank(), Rank(1, 2)
    answered(monkeypatch, first)
    figures, asked = answered(monkeypatch, other, model=None)
    assert asked == []
    assert figures["rouge2"] == "0.2500"
    assert len(other.sums) == len(first.sums) == 2


def test_no_prompts_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answered(monkeypatch, Rank(), prompts=0) == ({}, [])
