"""What an engine's /metrics says about its heartbeat: tokens handled and requests inside, under each engine's names.

Counters that do not exist yet count as zero: SGLang shows some only after the first request.
"""

from prometheus_client.parser import text_string_to_metric_families

from .heartbeat import Reading

# Any of them moving means that the scheduler runs. What each counts, and when, was read from the engines' sources.
# vLLM counts a token in the step that made it, a prompt with its first token. SGLang counts a request when it has
# ended, a chunk of a prompt as it is computed and every 40th step of decoding in realtime_tokens_total, and each token
# of a stream in inter_token_latency.
TOKEN_SAMPLES = frozenset(
    {
        "vllm:generation_tokens_total",
        "vllm:prompt_tokens_total",
        "vllm:iteration_tokens_total_sum",
        "sglang:generation_tokens_total",
        "sglang:prompt_tokens_total",
        "sglang:realtime_tokens_total",
        "sglang:time_to_first_token_seconds_count",
        "sglang:inter_token_latency_seconds_count",
    }
)
# How full the KV cache is: it fills as a prompt is computed, chunk by chunk, before any counter of vLLM's moves.
KV_SAMPLES = frozenset({"vllm:kv_cache_usage_perc", "sglang:token_usage"})
REQUEST_SAMPLES = frozenset(
    {
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "sglang:num_running_reqs",
        "sglang:num_queue_reqs",
    }
)


def read(text: str) -> Reading:
    """Sum the engine's samples over labels (models, engines, ranks). Raises ValueError when `text` is no exposition."""
    tokens = requests = kv_usage = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            tokens += sample.value if sample.name in TOKEN_SAMPLES else 0.0
            requests += sample.value if sample.name in REQUEST_SAMPLES else 0.0
            kv_usage += sample.value if sample.name in KV_SAMPLES else 0.0
    return Reading(tokens=tokens, requests=requests, kv_usage=kv_usage)
