"""Which way to serve a model is the best of those that run, why not each other, and what to fall back to.

Decided here, in this order: what keeps the asked times and rate; the checkpoint as it is before a quantized one, whose
answers differ; the least money per token, or, where a price is not known, the most tokens per GPU; the fewest GPUs in a
replica; the shortest time to the first token. What is within EQUAL of each other is equal: estimates are no better.

A fallback is for when GPUs are lost or their links are: the same number of GPUs cut otherwise, the most tensor
parallelism first (TP4 x PP2, TP2 x PP4, PP8 help when links degrade or healthy GPUs are scattered over nodes, not when
one is lost), then each smaller number of GPUs that fits, as it is before quantized. Only what fits is listed, whatever
its speed.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .candidates import Candidate

AS_IS = "as is"
PRECISIONS = (AS_IS, "fp8", "int4")
EQUAL = 1.05


@dataclass(frozen=True, slots=True)
class Ranked:
    """Best first. `reasons` are in the same order; the first is the chosen one's where `chosen`."""

    candidates: tuple[Candidate, ...]
    reasons: tuple[str, ...]
    chosen: bool
    fallbacks: tuple[Candidate, ...]


def rank(found: Iterable[Candidate]) -> Ranked:
    every = tuple(sorted(found, key=_order))
    chosen = bool(every) and every[0].problem is None
    reasons = tuple(_reason(each, every[0] if chosen else None) for each in every)
    return Ranked(every, reasons, chosen, fallbacks(every, every[0]) if chosen else ())


def fallbacks(every: Iterable[Candidate], best: Candidate) -> tuple[Candidate, ...]:
    """On the same kind of GPU, with no more of them; of each smaller number the first that fits."""
    fitting = [each for each in every if each.speed is not None and each.device == best.device and each is not best]
    same = [each for each in fitting if _same_gpus(each, best)]
    fewer = [each for each in fitting if each.sharding.gpus < best.sharding.gpus]
    fewer.sort(key=lambda each: (-each.sharding.gpus, PRECISIONS.index(each.precision), each.sharding.pipeline))
    firsts = {each.sharding.gpus: each for each in reversed(fewer)}
    return (*sorted(same, key=lambda each: each.sharding.pipeline), *(firsts[gpus] for gpus in sorted(firsts)[::-1]))


def _same_gpus(each: Candidate, best: Candidate) -> bool:
    return each.sharding.gpus == best.sharding.gpus and each.precision == best.precision


def _order(each: Candidate) -> tuple[object, ...]:
    """Sorting key: runs as asked, fits, precision, money or tokens, GPUs of a replica, time."""
    running = (each.problem is not None, each.speed is None)
    price = (each.dollars_per_million is None, _step(each.dollars_per_million or 1))
    tokens = 0 if each.dollars_per_million is not None or not each.gpus else -_step(_per_gpu(each))
    cut = (each.sharding.gpus, each.speed.ttft_seconds if each.speed else 0.0, each.sharding.pipeline)
    return (*running, each.precision != AS_IS, *price, tokens, *cut)


def _step(amount: float) -> int:
    """The same for amounts that are equal, more or less."""
    return round(math.log(amount, EQUAL)) if amount > 0 else 0


def _reason(each: Candidate, best: Candidate | None) -> str:
    if each.problem is not None:
        return each.problem
    assert best is not None  # whoever has no problem is not behind one who has
    if each is best:
        return _winning(each)
    if best.precision == AS_IS != each.precision:
        return f"its answers differ: it needs a checkpoint in {each.precision}"
    mine, its = each.dollars_per_million, best.dollars_per_million
    if mine is None and its is not None:
        return f"what {each.device.name} costs is not known: give --price"
    if mine is not None and its is not None and _step(mine) != _step(its):
        return f"${mine:.2f} a million tokens, not ${its:.2f}"
    if mine is None and _step(_per_gpu(each)) != _step(_per_gpu(best)):
        return f"{_per_gpu(each):,.0f} tokens a second of each GPU, not {_per_gpu(best):,.0f}"
    return _no_better(each, best)


def _no_better(each: Candidate, best: Candidate) -> str:
    if each.sharding.gpus != best.sharding.gpus:
        return f"no cheaper, with {each.sharding.gpus} GPUs in a replica, not {best.sharding.gpus}"
    assert each.speed is not None  # both run
    assert best.speed is not None
    first, its = each.speed.ttft_seconds * 1000, best.speed.ttft_seconds * 1000
    return f"no cheaper, and the first token takes {first:,.0f} ms, not {its:,.0f}"


def _winning(best: Candidate) -> str:
    least = "the least money per token" if best.dollars_per_million is not None else "the most tokens per GPU"
    return least if best.precision == AS_IS else f"{least}; as it is the model fits nowhere"


def _per_gpu(each: Candidate) -> float:
    return each.output_tokens_per_second / each.gpus
