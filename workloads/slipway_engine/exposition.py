"""What an engine's /metrics says about its heartbeat: tokens handled and requests inside, under each engine's names.

Counters that do not exist yet count as zero: SGLang shows some only after the first request.
"""

from prometheus_client.parser import text_string_to_metric_families

from .heartbeat import Reading

# Any of them moving means that the scheduler runs. iteration_tokens_total is a histogram, whose sum grows with each
# step, so that a long prompt without a generated token yet counts as life.
TOKEN_SAMPLES = frozenset(
    {
        "vllm:generation_tokens_total",
        "vllm:prompt_tokens_total",
        "vllm:iteration_tokens_total_sum",
        "sglang:generation_tokens_total",
        "sglang:prompt_tokens_total",
        "sglang:realtime_tokens_total",
    }
)
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
    tokens = requests = 0.0
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            tokens += sample.value if sample.name in TOKEN_SAMPLES else 0.0
            requests += sample.value if sample.name in REQUEST_SAMPLES else 0.0
    return Reading(tokens=tokens, requests=requests)
