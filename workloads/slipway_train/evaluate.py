"""How well the model compresses the held-out files, in bits per byte, beside what their byte counts alone give.

Decided here: the denominator is bytes of text, so that vocabularies compare, and every token is predicted exactly once,
END_OF_TEXT after each file included. A token sees at most one context window, and those at its beginning see little:
the figure is an upper bound. All ranks share the windows.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from .corpus import Corpus
from .data import Tokens, encode
from .errors import RecipeError
from .model import token_losses
from .strategies import Strategy
from .tokenizer import END_OF_TEXT

_IGNORED = -100


@dataclass(frozen=True, slots=True)
class Evaluation:
    bits_per_byte: float
    unigram_bits_per_byte: float

    def to_json(self) -> dict[str, str]:
        """In the API's spelling: decimals are strings."""
        return {
            "bitsPerByte": f"{self.bits_per_byte:.4f}",
            "unigramBitsPerByte": f"{self.unigram_bits_per_byte:.4f}",
        }


def evaluate(
    model: torch.nn.Module,
    corpus: Corpus,
    tokenizer: Tokenizer,
    strategy: Strategy,
    *,
    context: int,
    batch: int,
    bf16: bool = False,
) -> Evaluation:
    """On all held-out files. `model` is unwrapped; `batch` is windows per forward pass on one rank."""
    counts = byte_counts(corpus)
    total_bytes = counts.total()
    if not total_bytes:
        raise RecipeError("dataset: the held-out files hold no text in UTF-8")
    was_training = model.training
    model.eval()
    windows = (
        w for i, w in enumerate(_windows(corpus, tokenizer, context)) if i % strategy.world_size == strategy.rank
    )
    nats = sum(_nats(model, group, strategy.device, bf16=bf16) for group in _groups(windows, batch))
    model.train(was_training)
    (total_nats,) = strategy.sum([nats])
    return Evaluation(total_nats / math.log(2) / total_bytes, entropy_bits(counts))


def byte_counts(corpus: Corpus) -> Counter[int]:
    """How often each byte occurs in the held-out files."""
    counts: Counter[int] = Counter()
    for name in corpus.held_out:
        for piece in corpus.pieces(name):
            counts.update(piece.encode())
    return counts


def entropy_bits(counts: Counter[int]) -> float:
    """Entropy of the distribution that the counts give, in bits per symbol."""
    total = counts.total()
    return -sum(n / total * math.log2(n / total) for n in counts.values() if n)


def _windows(corpus: Corpus, tokenizer: Tokenizer, context: int) -> Iterator[Tokens]:
    """Rows of context + 1 tokens that overlap by one; the last is padded with _IGNORED."""
    end = np.array([tokenizer.token_to_id(END_OF_TEXT)], np.int32)
    waiting = end
    for name in corpus.held_out:
        for tokens in (*(encode(tokenizer, piece) for piece in corpus.pieces(name)), end):
            waiting = np.concatenate([waiting, tokens])
            while len(waiting) > context:
                yield waiting[: context + 1]
                waiting = waiting[context:]
    if len(waiting) > 1:
        yield np.pad(waiting, (0, context + 1 - len(waiting)), constant_values=_IGNORED)


def _groups(windows: Iterator[Tokens], size: int) -> Iterator[Tokens]:
    group: list[Tokens] = []
    for window in windows:
        group.append(window)
        if len(group) == size:
            yield np.stack(group)
            group = []
    if group:
        yield np.stack(group)


@torch.no_grad()  # type: ignore[untyped-decorator]
def _nats(model: torch.nn.Module, windows: Tokens, device: torch.device, *, bf16: bool) -> float:
    rows = torch.from_numpy(windows.astype(np.int64)).to(device)
    inputs = rows[:, :-1].clamp(min=0)  # a padded input is never a target's context: attention looks back only
    return float(token_losses(model, inputs, rows[:, 1:], bf16=bf16).double().sum())
