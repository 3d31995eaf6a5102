"""OpenAI's bodies as the simulated engine reads them, and what is wrong with them.

Fields that only steer sampling are not looked at: there is nothing to sample.
"""

import json
from dataclasses import dataclass
from typing import Any

from .words import split

COMPLETION_TOKENS = 16  # of a completion that names no limit, as with OpenAI; a chat's limit is the context


@dataclass(slots=True)
class Wrong(Exception):
    """Answered with `status` and OpenAI's error object."""

    status: int
    message: str
    kind: str = "BadRequestError"
    param: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request. `prompts` are in tokens; `max_tokens` None: as many as the context holds."""

    chat: bool
    model: str | None
    prompts: tuple[tuple[str, ...], ...]
    max_tokens: int | None
    n: int
    stream: bool
    include_usage: bool
    ignore_eos: bool


def parsed(body: bytes, *, chat: bool) -> Ask:
    """Raises Wrong."""
    fields = _object(body)
    tokens = _whole(fields, "max_tokens", None if chat else COMPLETION_TOKENS)
    return Ask(
        chat=chat,
        model=_typed(fields, "model", str, None),
        prompts=(_conversation(fields),) if chat else _prompts(fields),
        max_tokens=_whole(fields, "max_completion_tokens", tokens) if chat else tokens,
        n=_whole(fields, "n", 1) or 1,
        stream=_typed(fields, "stream", bool, False),
        include_usage=bool(_typed(fields, "stream_options", dict, {}).get("include_usage")),
        ignore_eos=_typed(fields, "ignore_eos", bool, False),
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise Wrong(400, f"The body is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise Wrong(400, "The body is no JSON object")
    return found


def _typed(fields: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = fields.get(name)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise Wrong(400, f"{name}: {json.dumps(value)} is of the wrong type", param=name)
    return value


def _whole(fields: dict[str, Any], name: str, default: int | None) -> int | None:
    value = _typed(fields, name, int, default)
    if value is not None and (isinstance(value, bool) or value < 1):
        raise Wrong(400, f"{name} must be at least 1, got {json.dumps(value)}", param=name)
    number: int | None = value
    return number


def _prompts(fields: dict[str, Any]) -> tuple[tuple[str, ...], ...]:
    """A text, a list of token ids, or a list of either."""
    prompt = fields.get("prompt")
    if isinstance(prompt, list) and prompt and not isinstance(prompt[0], int):
        return tuple(map(_prompt, prompt))
    return (_prompt(prompt),)


def _prompt(prompt: Any) -> tuple[str, ...]:
    if isinstance(prompt, str):
        return split(prompt)
    if isinstance(prompt, list) and prompt and all(isinstance(token, int) for token in prompt):
        return tuple(map(str, prompt))
    raise Wrong(400, "prompt must be a text, a list of token ids, or a list of either", param="prompt")


def _conversation(fields: dict[str, Any]) -> tuple[str, ...]:
    messages = fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Wrong(400, "messages must be a list with at least one message", param="messages")
    return tuple(word for message in messages for word in _message(message))


def _message(message: Any) -> tuple[str, ...]:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        raise Wrong(400, "a message must be an object with a role", param="messages")
    content = message.get("content")
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content or []
    try:
        text = " ".join(part["text"] for part in parts if part["type"] == "text")
    except (TypeError, KeyError) as error:
        raise Wrong(400, "a message's content must be a text or a list of parts", param="messages") from error
    return (f"<{message['role']}>", *text.split())
