"""A stand-in for an inference engine's HTTP side: tests set how it answers. It generates nothing."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = {"choices": [{"text": "a", "index": 0}], "usage": {"completion_tokens": 1}}

VLLM_METRICS = """\
# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{{engine="0",model_name="demo"}} {running}
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{{engine="0",model_name="demo"}} {waiting}
# HELP vllm:num_requests_waiting_by_reason Number of requests waiting, by reason.
# TYPE vllm:num_requests_waiting_by_reason gauge
vllm:num_requests_waiting_by_reason{{engine="0",model_name="demo",reason="capacity"}} {waiting}
# HELP vllm:prompt_tokens_total Number of prefill tokens processed.
# TYPE vllm:prompt_tokens_total counter
vllm:prompt_tokens_total{{engine="0",model_name="demo"}} {prompt}
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{{engine="0",model_name="demo"}} {generated}
# HELP vllm:generation_tokens_created Number of generation tokens processed.
# TYPE vllm:generation_tokens_created gauge
vllm:generation_tokens_created{{engine="0",model_name="demo"}} 1.7952857260862377e+09
# HELP vllm:iteration_tokens_total Histogram of number of tokens per engine_step.
# TYPE vllm:iteration_tokens_total histogram
vllm:iteration_tokens_total_bucket{{engine="0",le="+Inf",model_name="demo"}} 3.0
vllm:iteration_tokens_total_count{{engine="0",model_name="demo"}} 3.0
vllm:iteration_tokens_total_sum{{engine="0",model_name="demo"}} {stepped}
"""


def vllm_metrics(*, running: int = 0, waiting: int = 0, prompt: int = 0, generated: int = 0, stepped: int = 0) -> str:
    """What vLLM 0.32 exposes of what the sidecar reads, cut from a real /metrics."""
    return VLLM_METRICS.format(running=running, waiting=waiting, prompt=prompt, generated=generated, stepped=stepped)


@dataclass
class EngineStandIn:
    """Set `hang`, `status`, `completion` or `metrics` and it answers so from then on."""

    port: int = 0
    status: int = 200
    completion: Any = field(default_factory=lambda: TOKEN)
    metrics: str = field(default_factory=vllm_metrics)
    metrics_status: int = 200
    hang: bool = False
    busy: bool = False  # its counters move with each look, and its queue is long
    asked: list[dict[str, Any]] = field(default_factory=list)
    looks: int = 0
    dropped: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/v1/completions", self._complete)
        app.router.add_get("/metrics", self._show)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close the port: connections are refused from now on."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _wait_if_hanging(self) -> None:
        try:
            if self.hang:
                await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.dropped.set()
            raise

    async def _complete(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        await self._wait_if_hanging()
        if isinstance(self.completion, str):
            return web.Response(text=self.completion, status=self.status)
        return web.json_response(self.completion, status=self.status)

    async def _show(self, _: web.Request) -> web.Response:
        self.looks += 1
        await self._wait_if_hanging()
        if self.busy:
            self.metrics = vllm_metrics(running=900, waiting=9000, generated=self.looks)
        return web.Response(text=self.metrics, status=self.metrics_status)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
