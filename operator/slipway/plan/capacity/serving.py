"""What a replica does for its users: time to the first token, time between tokens, tokens per second, dollars.

Decided here: a request is a prompt and an output of given lengths, and as many run at once as the cache holds, or fewer
where the time between tokens is to be kept. Of a pipeline each stage works on its own share of them. Prefill takes
turns with decoding, so a second is shared between the two: that is what makes throughput less than batch / ITL.
"""

from dataclasses import dataclass

from .roofline import DECODE_SHARE, PREFILL_SHARE, Replica, Work, step_seconds

TOKENS_PRICED = 1_000_000


@dataclass(frozen=True, slots=True)
class Demand:
    """Tokens of a request, the requests per second of all replicas together, and what users may wait for at most."""

    prompt_tokens: int
    output_tokens: int
    rate: float | None = None
    ttft_seconds: float | None = None
    itl_seconds: float | None = None

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.output_tokens


def ttft_bound(replica: Replica, prompt_tokens: int) -> float:
    """Seconds for a prompt that finds the replica idle."""
    return step_seconds(replica, Work(1, prompt_tokens, prompt_tokens))


def itl_bound(replica: Replica, demand: Demand, requests: float) -> float:
    """Seconds between tokens with so many requests at once, half of their output done."""
    length = demand.prompt_tokens + demand.output_tokens / 2
    return step_seconds(replica, Work(max(1, requests / replica.sharding.pipeline), length))


@dataclass(frozen=True, slots=True)
class Speed:
    """Of one replica with `requests` at once. `_bound` is the roofline, the rest what is expected of it."""

    requests: int
    ttft_bound: float
    ttft_seconds: float
    itl_bound: float
    itl_seconds: float
    requests_per_second: float
    output_tokens_per_second: float


def speed(replica: Replica, demand: Demand, requests: int) -> Speed:
    ttft, itl = ttft_bound(replica, demand.prompt_tokens), itl_bound(replica, demand, requests)
    prefill, decode = ttft / PREFILL_SHARE, itl / DECODE_SHARE
    busy = prefill / replica.sharding.pipeline + demand.output_tokens * decode / requests  # of one request
    return Speed(requests, ttft, prefill, itl, decode, 1 / busy, demand.output_tokens / busy)


def most_requests(replica: Replica, demand: Demand, fitting: int) -> int:
    """At once, of those that fit, so that tokens come as fast as is asked; 0 where even one is too slow."""
    if demand.itl_seconds is None:
        return fitting
    low, high = 0, fitting
    while low < high:
        middle = (low + high + 1) // 2
        slow = itl_bound(replica, demand, middle) / DECODE_SHARE > demand.itl_seconds
        low, high = (low, middle - 1) if slow else (middle, high)
    return low


def dollars_per_million(found: Speed, gpus: int, dollars_per_hour: float) -> float:
    """Of output tokens, with a replica that always has as many requests."""
    return gpus * dollars_per_hour / 3600 / found.output_tokens_per_second * TOKENS_PRICED
