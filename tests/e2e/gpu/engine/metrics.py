"""What the simulated engine counts, under the names, labels and buckets of vLLM 0.32 and of SGLang 0.5.23.

Only what Slipway, KEDA's queries and load tests read. Read from the engines' sources (v1/metrics/loggers.py and
buckets.py; srt/observability/metrics_collector.py): vLLM counts a token as it comes, a prompt with its first token, and
has all series from the start; SGLang counts a request's tokens when it has ended, has no series of that before the
first, and counts at once only in realtime_tokens_total, prompts by chunks (and tokens by 40 steps; here each). Gauges
are set by `load`, which a wedged engine does not call: they stay, as the real ones do.
"""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .model import Scheduler, Sequence, Token
from .settings import Settings

VLLM_TTFT_SECONDS = (
    *(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0),
)
VLLM_ITL_SECONDS = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0),
)
VLLM_REQUEST_SECONDS = (
    *(0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0),
    *(60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0),
)
VLLM_STEP_TOKENS = tuple(float(2**power) for power in (0, *range(3, 15)))
SGLANG_TTFT_SECONDS = (0.1, 0.2, 0.4, 0.6, 0.8, 1, 2, 4, 6, 8, 10, 20, 40, 60, 80, 100, 200, 400)
SGLANG_E2E_SECONDS = (*SGLANG_TTFT_SECONDS, 600, 1200, 1800, 2400)
SGLANG_ITL_SECONDS = (
    *(0.002, 0.004, 0.006, 0.008, 0.010, 0.015, 0.020, 0.025, 0.030, 0.035, 0.040),
    *(0.060, 0.080, 0.100, 0.200, 0.400, 0.600, 0.800, 1.0, 2.0, 4.0, 6.0, 8.0),
)
SGLANG_QUEUE_SECONDS = (
    *(0.0, 0.001, 0.005, 0.010, 0.050, 0.100, 0.200, 0.500, 1, 2, 3, 4, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90),
    *(100, 200, 300, 400, 500, 600),
)


class Metrics(Protocol):
    """Of one engine, in a registry of its own."""

    registry: CollectorRegistry

    def token(self, token: Token, *, stream: bool) -> None:
        """One has come."""

    def load(self, scheduler: Scheduler, now: float) -> None:
        """What runs and waits now, and how far prompts are."""


def metrics_of(settings: Settings) -> Metrics:
    return VllmMetrics(settings) if settings.dialect == "vllm" else SglangMetrics(settings)


class VllmMetrics:
    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"model_name": settings.names[0], "engine": "0"}
        self._running = self._gauge("num_requests_running", "Number of requests in model execution batches.")
        self._waiting = self._gauge("num_requests_waiting", "Number of requests waiting to be processed.")
        self._usage = self._gauge("kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.")
        self._prompt = self._counter("prompt_tokens", "Number of prefill tokens processed.")
        self._generated = self._counter("generation_tokens", "Number of generation tokens processed.")
        self._queries = self._counter("prefix_cache_queries", "Prefix cache queries, in terms of queried tokens.")
        self._hits = self._counter("prefix_cache_hits", "Prefix cache hits, in terms of number of cached tokens.")
        self._step = self._histogram("iteration_tokens_total", "Tokens per engine_step.", VLLM_STEP_TOKENS)
        self._ttft = self._histogram("time_to_first_token_seconds", "Time to first token.", VLLM_TTFT_SECONDS)
        self._itl = self._histogram("inter_token_latency_seconds", "Inter-token latency.", VLLM_ITL_SECONDS)
        self._queue = self._histogram("request_queue_time_seconds", "In WAITING phase.", VLLM_REQUEST_SECONDS)
        self._e2e = self._histogram("e2e_request_latency_seconds", "Request latency.", VLLM_REQUEST_SECONDS)
        names = [*self._labels, "finished_reason"]
        text = "Count of successfully processed requests."
        self._success = Counter("vllm:request_success", text, names, registry=self.registry)
        for reason in ("stop", "length", "abort", "error", "repetition"):
            self._success.labels(**self._labels, finished_reason=reason)

    def token(self, token: Token, *, stream: bool) -> None:
        sequence = token.sequence
        self._generated.inc()
        if token.first:
            self._prompt.inc(sequence.prompt.tokens)
            self._queries.inc(sequence.prompt.tokens)
            self._hits.inc(sequence.cached_tokens)
            self._ttft.observe(token.gap_seconds)
            self._queue.observe(sequence.started_at - sequence.submitted_at)
        else:
            self._itl.observe(token.gap_seconds)
        self._step.observe(sequence.prompt.tokens if token.first else 1)
        if token.finish:
            self._e2e.observe(token.at - sequence.submitted_at)
            self._success.labels(**self._labels, finished_reason=token.finish).inc()

    def load(self, scheduler: Scheduler, now: float) -> None:
        self._running.set(len(scheduler.running))
        self._waiting.set(len(scheduler.waiting))
        self._usage.set(scheduler.held_tokens(now) / scheduler.kv_tokens)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"vllm:{name}", text, list(self._labels), registry=self.registry).labels(**self._labels)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"vllm:{name}", text, list(self._labels), registry=self.registry).labels(**self._labels)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
        made = Histogram(f"vllm:{name}", text, list(self._labels), buckets=buckets, registry=self.registry)
        return made.labels(**self._labels)


class SglangMetrics:
    """The scheduler's series have its ranks as labels, those of requests have not."""

    def __init__(self, settings: Settings) -> None:
        self.registry = CollectorRegistry()
        self._model = {"model_name": settings.names[0], "engine_type": "unified"}
        self._ranks = {**self._model, "tp_rank": "0", "pp_rank": "0", "moe_ep_rank": "0"}
        self._queried = self._cached = 0
        self._computed: dict[Sequence, int] = {}  # tokens of prompts under way that are counted already
        self._running = self._gauge("num_running_reqs", "The number of running requests.")
        self._queued = self._gauge("num_queue_reqs", "The number of requests in the waiting queue.")
        self._usage = self._gauge("token_usage", "The token usage.")
        self._used = self._gauge("num_used_tokens", "The number of used tokens.")
        self._rate = self._gauge("cache_hit_rate", "The prefix cache hit rate.")
        self._size = self._gauge("max_total_num_tokens", "Maximum total number of tokens in the KV cache pool.")
        self._realtime = Counter(
            "sglang:realtime_tokens_total", "Tokens processed.", [*self._ranks, "mode"], registry=self.registry
        )
        self._queue = Histogram(
            "sglang:queue_time_seconds",
            "Histogram of queueing time in seconds.",
            list(self._ranks),
            buckets=SGLANG_QUEUE_SECONDS,
            registry=self.registry,
        )
        self._prompt = self._counter("prompt_tokens_total", "Number of prefill tokens processed.")
        self._generated = self._counter("generation_tokens_total", "Number of generation tokens processed.")
        self._requests = self._counter("num_requests_total", "Number of requests processed.")
        streaming = ("is_streaming",)
        self._ttft = self._histogram("time_to_first_token_seconds", SGLANG_TTFT_SECONDS, *streaming)
        self._itl = self._histogram("inter_token_latency_seconds", SGLANG_ITL_SECONDS)
        self._e2e = self._histogram("e2e_request_latency_seconds", SGLANG_E2E_SECONDS, *streaming)

    def token(self, token: Token, *, stream: bool) -> None:
        sequence, of_kind = token.sequence, {**self._model, "is_streaming": str(stream).lower()}
        if token.first:
            self._prefilled(token)
            self._ttft.labels(**of_kind).observe(token.gap_seconds)
        else:
            self._itl.labels(**self._model).observe(token.gap_seconds)
        self._realtime.labels(**self._ranks, mode="decode").inc()
        if token.finish:
            self._prompt.labels(**of_kind).inc(sequence.prompt.tokens)
            self._generated.labels(**of_kind).inc(sequence.produced)
            self._requests.labels(**of_kind).inc()
            self._e2e.labels(**of_kind).observe(token.at - sequence.submitted_at)

    def load(self, scheduler: Scheduler, now: float) -> None:
        self._running.set(len(scheduler.running))
        self._queued.set(len(scheduler.waiting))
        self._used.set(scheduler.held_tokens(now))
        self._size.set(scheduler.kv_tokens)
        self._usage.set(scheduler.held_tokens(now) / scheduler.kv_tokens)
        self._rate.set(self._cached / self._queried if self._queried else 0)
        prefilling = [sequence for sequence in scheduler.running if not sequence.produced]
        for sequence in prefilling:
            self._compute(sequence, sequence.computed_tokens(now) - sequence.cached_tokens)
        self._computed = {sequence: self._computed[sequence] for sequence in prefilling}

    def _compute(self, sequence: Sequence, tokens: int) -> None:
        """So many of its prompt have been computed in all."""
        more = tokens - self._computed.get(sequence, 0)
        self._realtime.labels(**self._ranks, mode="prefill_compute").inc(more)
        self._computed[sequence] = tokens

    def _prefilled(self, token: Token) -> None:
        sequence = token.sequence
        self._queried += sequence.prompt.tokens
        self._cached += sequence.cached_tokens
        self._compute(sequence, sequence.prompt.tokens - sequence.cached_tokens)
        self._realtime.labels(**self._ranks, mode="prefill_cache").inc(sequence.cached_tokens)
        self._queue.labels(**self._ranks).observe(sequence.started_at - sequence.submitted_at)

    def _gauge(self, name: str, text: str) -> Gauge:
        return Gauge(f"sglang:{name}", text, list(self._ranks), registry=self.registry).labels(**self._ranks)

    def _counter(self, name: str, text: str) -> Counter:
        return Counter(f"sglang:{name}", text, [*self._model, "is_streaming"], registry=self.registry)

    def _histogram(self, name: str, buckets: tuple[float, ...], *more: str) -> Histogram:
        text = f"Histogram of {name}."
        return Histogram(f"sglang:{name}", text, [*self._model, *more], buckets=buckets, registry=self.registry)
