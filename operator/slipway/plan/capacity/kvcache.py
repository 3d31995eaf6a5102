"""How many tokens of keys and values a replica can hold, given the memory that is left for them.

Decided here: nothing of our own. vLLM's arithmetic is followed block by block, so that its start-up log's "GPU KV cache
size" and "Maximum concurrency" come out (vllm/v1/core/kv_cache_utils.py and v1/kv_cache_interface.py of 0.32.0):

- A block holds some tokens of one group of layers. Layers of one kind alone are one group. Layers of two kinds (whole
  attention and a window) are cut into groups of as many layers as the rarer kind has, or of the commoner kind's number
  where that is less than one and a half times as much; all groups draw blocks from one pool.
- All blocks are equally large: where a kind keeps less of a token, its blocks hold more tokens, or are padded.
- A request holds blocks of each group: for its whole length, or, with a window, for the window, what is in flight, and
  one more, since a window may begin inside a block.
- Of a pipeline the stage with the fewest blocks decides.

SGLang has no blocks (its default page is one token) and windows are counted as whole: what it takes for a model with
both kinds depends on a ratio that its user sets (--swa-full-tokens-ratio).
"""

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from .decoder import Attention, Decoder, Layer
from .sharding import Sharding, stages

Engine = Literal["vllm", "sglang"]

BLOCK_TOKENS = 16  # vLLM's default block size
FEWER_GROUPS = 1.5  # see _get_kv_cache_groups_uniform_page_size


@dataclass(frozen=True, slots=True)
class Cache:
    """How the engine keeps it: `batched_tokens` are the most that one step computes, `bits` those of a number."""

    engine: Engine = "vllm"
    batched_tokens: int = 8192
    bits: int = 16
    block_tokens: int = BLOCK_TOKENS


@dataclass(frozen=True, slots=True)
class Held:
    """Of one replica: how many requests of `request_tokens` it holds at once, and the tokens of these."""

    request_tokens: int
    requests: float

    @property
    def tokens(self) -> int:
        return int(self.requests * self.request_tokens)


def token_bytes(decoder: Decoder, sharding: Sharding, bits: int = 16) -> int:
    """Of a token that every layer keeps, on one GPU of the stage that keeps most."""
    return max(_cell_bytes(layers, sharding.tensor, bits) for layers in stages(decoder, sharding))


def held(decoder: Decoder, sharding: Sharding, free_bytes: list[int], cache: Cache, *, request_tokens: int) -> Held:
    """`free_bytes` of one GPU of each stage. As large as the worst stage lets it be."""
    pairs = zip(stages(decoder, sharding), free_bytes, strict=True)
    fewest = min(_requests(layers, sharding, free, cache, request_tokens) for layers, free in pairs)
    return Held(request_tokens, max(0.0, fewest))


def _requests(layers: tuple[Layer, ...], sharding: Sharding, free: int, cache: Cache, length: int) -> float:
    if cache.engine == "sglang":
        return free // _cell_bytes(layers, sharding.tensor, cache.bits) / length
    groups = _groups(layers, sharding.tensor, cache)
    in_flight = cache.batched_tokens * sharding.pipeline  # each stage may work on a batch of its own
    needed = sum(group.count * group.blocks(length, in_flight) for group in groups)
    return free // groups[0].block_bytes / needed


def _cell_bytes(layers: tuple[Layer, ...], tensor: int, bits: int) -> int:
    return sum(layer.attention.cached_numbers(tensor) for layer in layers) * bits // 8


@dataclass(frozen=True, slots=True)
class Group:
    """`count` groups of layers of one kind, whose blocks are `block_bytes` for all layers of a group together."""

    count: int
    window: int | None
    block_tokens: int
    block_bytes: int

    def blocks(self, length: int, in_flight: int) -> int:
        """Of one group, for a request of `length` tokens."""
        if self.window is None:
            return -(-length // self.block_tokens)
        return -(-min(self.window - 1 + in_flight, length) // self.block_tokens) + 1


def _groups(layers: tuple[Layer, ...], tensor: int, cache: Cache) -> list[Group]:
    """As vLLM makes them of a stage's layers."""
    kinds = Counter((layer.attention.window, _page_bytes(layer.attention, tensor, cache)) for layer in layers)
    each, page_bytes = _group_layers(list(kinds.values())), max(page for _, page in kinds)
    return [
        Group(-(-count // each), window, _block_tokens(page, page_bytes, cache), page_bytes * each)
        for (window, page), count in kinds.items()
    ]


def _page_bytes(attention: Attention, tensor: int, cache: Cache) -> int:
    return attention.cached_numbers(tensor) * cache.bits // 8 * cache.block_tokens


def _group_layers(counts: list[int]) -> int:
    return max(counts) if max(counts) < min(counts) * FEWER_GROUPS else min(counts)


def _block_tokens(page: int, largest: int, cache: Cache) -> int:
    return cache.block_tokens * (largest // page if largest % page == 0 else 1)
