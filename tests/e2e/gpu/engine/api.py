"""The simulated engine's HTTP: OpenAI's routes, health and metrics of either engine, and POST /simulate."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from . import answers, behaviour, requests
from .answers import Form
from .engine import Answer, Engine, Piece
from .requests import Ask, Wrong

ENGINE = web.AppKey("engine", Engine)
BODY_BYTES_MAX = 16 * 2**20
SGLANG_HEALTH_SECONDS = 1  # between looks whether its own request has been answered
SGLANG_HEALTH_LOOKS = 20
NUMBERS = itertools.count()


def application(engine: Engine) -> web.Application:
    app = web.Application(client_max_size=BODY_BYTES_MAX, middlewares=[in_engines_words])
    app[ENGINE] = engine
    app.router.add_post("/v1/completions", completions)
    app.router.add_post("/v1/chat/completions", completions)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/simulate", simulated)
    app.router.add_post("/simulate", simulate)
    if engine.settings.metrics:
        app.router.add_get("/metrics", metrics)
    if engine.settings.dialect == "vllm":
        app.router.add_get("/health", vllm_health)
        app.router.add_get("/version", version)
    else:
        app.router.add_get("/health", sglang_health)
        app.router.add_get("/health_generate", sglang_health)
        app.router.add_get("/ready", sglang_ready)
    return app


@web.middleware
async def in_engines_words(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        response: web.StreamResponse = await handler(request)
    except Wrong as wrong:
        return web.json_response(answers.error(request.app[ENGINE].settings.dialect, wrong), status=wrong.status)
    return response


async def completions(request: web.Request) -> web.StreamResponse:
    engine = request.app[ENGINE]
    _refuse_if_told(engine)
    ask = requests.parsed(await request.read(), chat=request.path.endswith("/chat/completions"))
    under_way = _asked(engine, ask)
    kind = "chatcmpl" if ask.chat else "cmpl"
    form = Form(ask=ask, name=f"{kind}-simulated-{next(NUMBERS)}", model=ask.model or engine.settings.names[0])
    try:
        return await (_streamed(request, form, under_way) if ask.stream else _whole(form, under_way))
    finally:
        for answer in under_way:
            engine.drop(answer)


def _refuse_if_told(engine: Engine) -> None:
    if engine.state == "starting":
        raise Wrong(503, "The simulated engine is starting", "ServiceUnavailableError")
    if status := engine.behaviour.status:
        raise Wrong(status, f"The simulated engine was told to answer {status}", "InternalServerError")


def _asked(engine: Engine, ask: Ask) -> list[Answer]:
    """An answer for each prompt and choice. SGLang answers under any name."""
    settings = engine.settings
    name = ask.model or settings.names[0]
    if settings.dialect == "vllm" and name not in (*settings.names, *settings.adapters):
        raise Wrong(404, f"The model `{name}` does not exist.", "NotFoundError", "model")
    speaker = str(settings.adapters.get(name, settings.model))
    limits = [_limit(ask, len(words), settings.context_tokens) for words in ask.prompts]
    return [
        engine.ask(
            words, speaker=speaker, choice=choice, max_tokens=limit, ignore_eos=ask.ignore_eos, stream=ask.stream
        )
        for words, limit in zip(ask.prompts, limits, strict=True)
        for choice in range(ask.n)
    ]


def _limit(ask: Ask, prompt_tokens: int, context_tokens: int) -> int:
    """The longest that the answer may be."""
    room = context_tokens - prompt_tokens
    if room < (ask.max_tokens or 1):
        raise Wrong(
            400,
            f"This model's maximum context length is {context_tokens} tokens. However, you requested "
            f"{ask.max_tokens or 1} output tokens and your prompt contains {prompt_tokens} input tokens.",
            param="messages" if ask.chat else "prompt",
        )
    return ask.max_tokens or room


async def _whole(form: Form, under_way: list[Answer]) -> web.Response:
    texts = [await _text(answer) for answer in under_way]
    return web.json_response(form.whole(texts, _usage(form.ask, under_way)))


async def _text(answer: Answer) -> tuple[str, str]:
    pieces = [piece async for piece in answer]
    return " ".join(piece.word for piece in pieces if piece.word), pieces[-1].finish


def _usage(ask: Ask, under_way: list[Answer]) -> dict[str, int]:
    produced = sum(answer.sequence.produced for answer in under_way)
    return answers.usage(sum(map(len, ask.prompts)), produced)


async def _streamed(request: web.Request, form: Form, under_way: list[Answer]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    begun: set[int] = set()
    async for index, piece in _as_they_come(under_way):
        first = index not in begun
        if first and form.ask.chat:
            await _event(response, form.opening(index))
        begun.add(index)
        await _event(response, form.chunk(index, answers.text_of(piece, first=first), piece.finish))
    if form.ask.include_usage:
        await _event(response, form.closing(_usage(form.ask, under_way)))
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


async def _event(response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


async def _as_they_come(under_way: list[Answer]) -> AsyncIterator[tuple[int, Piece]]:
    """The pieces of all answers, each with its answer's index."""
    left = dict(enumerate(under_way))
    waits = {asyncio.ensure_future(answer.pieces.get()): index for index, answer in left.items()}
    try:
        while waits:
            done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in sorted(done, key=lambda wait: waits[wait]):
                index, piece = waits.pop(wait), wait.result()
                yield index, piece
                if not piece.finish:
                    waits[asyncio.ensure_future(left[index].pieces.get())] = index
    finally:
        for wait in waits:
            wait.cancel()


async def models(request: web.Request) -> web.Response:
    settings = request.app[ENGINE].settings
    names = {**dict.fromkeys(settings.names), **dict.fromkeys(settings.adapters, settings.names[0])}
    return web.json_response(answers.models(names, str(settings.model), settings.context_tokens))


async def metrics(request: web.Request) -> web.Response:
    body = generate_latest(request.app[ENGINE].exposed().registry)
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def vllm_health(_: web.Request) -> web.Response:
    """200 whatever happens but death: neither a wedge nor a drain shows in it."""
    return web.Response()


async def sglang_health(request: web.Request) -> web.Response:
    """It generates and then looks, so it takes a second; of a wedged engine, 20 of them."""
    engine = request.app[ENGINE]
    if engine.state != "ready":
        return web.Response(status=503)
    for _ in range(SGLANG_HEALTH_LOOKS):
        await asyncio.sleep(SGLANG_HEALTH_SECONDS)
        if not engine.behaviour.wedged:
            return web.Response()
    return web.Response(status=503)


async def sglang_ready(request: web.Request) -> web.Response:
    return web.Response(status=200 if request.app[ENGINE].state == "ready" else 503)


async def version(_: web.Request) -> web.Response:
    return web.json_response({"version": "0.32.0+simulated"})


async def simulated(request: web.Request) -> web.Response:
    """How it behaves now."""
    return web.json_response(behaviour.shown(request.app[ENGINE].behaviour))


async def simulate(request: web.Request) -> web.Response:
    """Behave as the merged JSON says from now on, and answer with all of it."""
    engine = request.app[ENGINE]
    try:
        engine.become(behaviour.merged(engine.behaviour, await request.read()))
    except ValueError as error:
        raise Wrong(400, f"/simulate: {error}") from error
    return await simulated(request)
