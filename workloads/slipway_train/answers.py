"""How good a model's answers to the held-out prompts are: by their likelihood, and by what it says itself.

Decided here: perplexity and bits per byte are of the answers alone, on all held-out rows, every process taking its
share. Exact match and ROUGE are of greedy answers to the last turn of the first `evaluation.prompts` held-out rows;
rank 0 makes them with the whole model, under every strategy alike, and the others keep it company, a chunk at a time,
so that nobody waits longer in a collective than a chunk takes.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from transformers import PreTrainedModel

from slipway.api.evaluation import EvaluationSpec

from .chat import Chat
from .evaluate import decimal, entropy_bits, perplexity
from .gang import Gang
from .generate import answer
from .packing import rounds
from .scores import exact_match, rouge_l, rouge_n
from .spool import Table
from .strategies import Sharded

_CHUNK_PROMPTS = 8
Figures = dict[str, str | int]


def likelihood(
    sharded: Sharded, table: Table, chat: Chat, gang: Gang, *, context: int, batch: int, padding: int
) -> Figures:
    """On every rank. `batch` is rows per forward pass of one data rank."""
    nats = targets = 0.0
    for whole in rounds(table, context=context, padding=padding, size=batch * sharded.data_size):
        share = whole.share(rank=sharded.data_rank, size=sharded.data_size)
        nats += float(sharded.losses(share).double().sum())
        targets += share.targets
    total_nats, total_targets = gang.sum([nats, targets])
    each_counted = gang.world_size // sharded.data_size  # the processes of one data rank all know its losses
    counts = _answer_bytes(table, chat)
    bits = total_nats / each_counted / math.log(2) / max(1, counts.total())
    return {
        "bitsPerByte": decimal(bits),
        "unigramBitsPerByte": decimal(entropy_bits(counts)),
        "perplexity": decimal(perplexity(total_nats, total_targets)),
    }


def measured_answers(
    model: PreTrainedModel | None,
    table: Table,
    chat: Chat,
    gang: Gang,
    *,
    spec: EvaluationSpec,
    padding: int,
    bf16: bool,
) -> Figures:
    """On every rank; rank 0 has the model. Nothing where no prompts are asked for."""
    count = min(spec.prompts, len(table.lengths))
    scores: list[tuple[float, ...]] = []
    for at in range(0, count, _CHUNK_PROMPTS):
        chosen = range(at, min(at + _CHUNK_PROMPTS, count))
        if model is not None:
            scores += _scores(model, [_asked(table, index) for index in chosen], chat, spec, padding, bf16=bf16)
        gang.sum([0.0])
    if not count:
        return {}
    means = gang.broadcast([sum(column) / count for column in zip(*scores, strict=True)] if scores else None)
    names = ("exactMatch", "rouge1", "rouge2", "rougeL")
    return {"answers": count, **{name: decimal(mean) for name, mean in zip(names, means, strict=True)}}


def _scores(
    model: PreTrainedModel,
    asked: Sequence[tuple[list[int], list[int]]],
    chat: Chat,
    spec: EvaluationSpec,
    padding: int,
    *,
    bf16: bool,
) -> list[tuple[float, ...]]:
    prompts = [prompt for prompt, _ in asked]
    said = answer(model, prompts, most=spec.answer_tokens, stops=chat.stops, padding=padding, bf16=bf16)
    pairs = [(chat.text(mine), chat.text(theirs)) for mine, (_, theirs) in zip(said, asked, strict=True)]
    return [(exact_match(*pair), rouge_n(*pair, 1), rouge_n(*pair, 2), rouge_l(*pair)) for pair in pairs]


def _asked(table: Table, index: int) -> tuple[list[int], list[int]]:
    """The tokens before the last answer of a row, and that answer's."""
    tokens, learned = table.row(index)
    end = int(np.flatnonzero(learned)[-1]) + 1
    before = np.flatnonzero(~learned[:end])
    begin = int(before[-1]) + 1 if len(before) else 0
    return tokens[:begin].tolist(), tokens[begin:end].tolist()


def _answer_bytes(table: Table, chat: Chat) -> Counter[int]:
    counts: Counter[int] = Counter()
    for index in range(len(table.lengths)):
        tokens, learned = table.row(index)
        counts.update(chat.text(tokens[learned].tolist()).encode())
    return counts
