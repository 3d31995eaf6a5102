"""OpenAI's answers: whole, as chunks of a stream, and as errors, in the form of either engine."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .engine import Piece
from .requests import Ask, Wrong
from .settings import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What all parts of one answer share."""

    ask: Ask
    name: str
    model: str

    def whole(self, texts: Iterable[tuple[str, str]], usage: Mapping[str, int]) -> dict[str, Any]:
        """`texts` are those of all choices, each with the reason of its end."""
        choices = [self._choice(index, text, finish) for index, (text, finish) in enumerate(texts)]
        return {**self._head(chunk=False), "choices": choices, "usage": dict(usage)}

    def opening(self, index: int) -> dict[str, Any]:
        """The chunk with which a chat's choice begins."""
        return {**self._head(chunk=True), "choices": [_delta(index, {"role": "assistant", "content": ""}, "")]}

    def chunk(self, index: int, text: str, finish: str) -> dict[str, Any]:
        choice = _delta(index, {"content": text}, finish) if self.ask.chat else self._choice(index, text, finish)
        return {**self._head(chunk=True), "choices": [choice]}

    def closing(self, usage: Mapping[str, int]) -> dict[str, Any]:
        """The chunk for stream_options.include_usage."""
        return {**self._head(chunk=True), "choices": [], "usage": dict(usage)}

    def _choice(self, index: int, text: str, finish: str) -> dict[str, Any]:
        said = {"message": {"role": "assistant", "content": text}} if self.ask.chat else {"text": text}
        return {"index": index, **said, "logprobs": None, "finish_reason": finish or None}

    def _head(self, *, chunk: bool) -> dict[str, Any]:
        chat = "chat.completion.chunk" if chunk else "chat.completion"
        return {
            "id": self.name,
            "object": chat if self.ask.chat else "text_completion",
            "created": int(time.time()),
            "model": self.model,
            "system_fingerprint": "simulated",
        }


def _delta(index: int, delta: dict[str, str], finish: str) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish or None}


def text_of(piece: Piece, *, first: bool) -> str:
    """A word as it is written behind what is there already."""
    return piece.word if first or not piece.word else f" {piece.word}"


def usage(prompt_tokens: int, completion_tokens: int) -> dict[str, int]:
    total = prompt_tokens + completion_tokens
    return {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


def error(dialect: Dialect, wrong: Wrong) -> dict[str, Any]:
    """vLLM puts it below `error`, as OpenAI does; SGLang does not."""
    said = {"message": wrong.message, "type": wrong.kind, "param": wrong.param, "code": wrong.status}
    return {"error": said} if dialect == "vllm" else {"object": "error", **said}


def models(names: Mapping[str, str | None], root: str, context_tokens: int) -> dict[str, Any]:
    """`names` of models and adapters; an adapter's has the model below it."""
    cards = [
        {
            "id": name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "simulated-engine",
            "root": root,
            "parent": parent,
            "max_model_len": context_tokens if parent is None else None,
        }
        for name, parent in names.items()
    ]
    return {"object": "list", "data": cards}
