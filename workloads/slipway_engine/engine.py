"""The two questions that the sidecar asks an engine over HTTP, each answered by one observation; no exception escapes.

Every question opens its own connection: a kept one that the engine closed would look like an engine that died. A
question that is given up is closed, upon which the engine drops the request.
"""

import json
import os
from typing import Any

import aiohttp

from . import exposition
from .heartbeat import Observation, Refused, Token, Unanswered, Unreachable, Unreadable

PROMPT = "Hello"
ERROR_CHARACTERS = 200  # of an engine's error that are repeated in /readyz
ANSWER_BYTES_MAX = 16 * 2**20


class Engine:
    """An engine at `url` that serves `model`; `timeout_seconds` bounds each question from connect to last byte."""

    def __init__(self, session: aiohttp.ClientSession, *, url: str, model: str, timeout_seconds: float) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._model = model
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)

    async def probe(self) -> Observation:
        """Ask for one token through the engine's OpenAI API."""
        body = {"model": self._model, "prompt": PROMPT, "max_tokens": 1, "temperature": 0}
        answer = await self._ask("POST", "/v1/completions", body)
        return answer if not isinstance(answer, tuple) else token(*answer)

    async def look(self) -> Observation:
        """Read the engine's counters."""
        answer = await self._ask("GET", "/metrics", None)
        if not isinstance(answer, tuple):
            return answer
        status, text = answer
        if status != 200:
            return Unreadable(f"the engine answers {status} to GET /metrics")
        try:
            return exposition.read(text)
        except ValueError as error:
            return Unreadable(f"the engine's /metrics cannot be read: {error}")

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None) -> tuple[int, str] | Observation:
        try:
            async with self._session.request(method, self._url + path, json=body, timeout=self._timeout) as response:
                content = await response.content.read(ANSWER_BYTES_MAX)
                while len(content) < ANSWER_BYTES_MAX and (more := await response.content.read(ANSWER_BYTES_MAX)):
                    content += more
                return response.status, content.decode("utf-8", "replace")
        except TimeoutError:
            return Unanswered()
        except (aiohttp.ClientError, OSError) as error:
            return Unreachable(_why(error))


def _why(error: Exception) -> str:
    """The system's words for a failed connection, since aiohttp's repeat the address and more."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, OSError) and cause.errno is not None and cause.errno > 0:
        return os.strerror(cause.errno).lower()
    return str(error) or type(error).__name__


def session() -> aiohttp.ClientSession:
    """A session that keeps no connection and obeys no proxy of the environment."""
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True), trust_env=False)


def token(status: int, text: str) -> Observation:
    """Whether a completion holds a generated token; one that ends the text has no text and counts."""
    if status != 200:
        return Refused(f"the engine answers {status}: {error_message(text)}")
    try:
        answer = json.loads(text)
        if answer["choices"] and answer.get("usage", {}).get("completion_tokens", 1) > 0:
            return Token()
    except (ValueError, TypeError, KeyError, AttributeError):
        return Refused(f"the engine's answer is no completion: {text[:ERROR_CHARACTERS]}")
    return Refused("the engine completed the prompt without a token")


def error_message(text: str) -> str:
    """The message of an OpenAI error, or the beginning of whatever was answered."""
    try:
        error = json.loads(text)
        message = error.get("error", error).get("message", text)
    except (ValueError, AttributeError):
        message = text
    return " ".join(str(message).split())[:ERROR_CHARACTERS]
