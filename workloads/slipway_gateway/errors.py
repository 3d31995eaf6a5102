"""Refusals: every answer that the gateway makes instead of an engine, in the form that OpenAI's clients read.

`{"error": {"message", "type", "param", "code"}}`; a message says what was wrong, where, and what to do.
"""

from dataclasses import dataclass

import orjson

INVALID_REQUEST = "invalid_request_error"
RATE_LIMIT = "rate_limit_error"
SERVER_ERROR = "server_error"


@dataclass(eq=False)  # not frozen: the interpreter writes a traceback into what is raised
class Refusal(Exception):
    """A request that is answered by the gateway itself. `retry_after_seconds` and `allow` become headers.

    `close` says that the connection cannot be read any further: the framing is in doubt or a body is left unread.
    """

    status: int
    code: str
    message: str
    param: str | None = None
    retry_after_seconds: int | None = None
    allow: str | None = None
    close: bool = False

    @property
    def type(self) -> str:
        if self.status == 429:
            return RATE_LIMIT
        return SERVER_ERROR if self.status >= 500 else INVALID_REQUEST

    def body(self) -> bytes:
        return orjson.dumps(
            {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}
        )

    def headers(self) -> list[tuple[bytes, bytes]]:
        found = [(b"content-type", b"application/json")]
        if self.retry_after_seconds is not None:
            found.append((b"retry-after", b"%d" % self.retry_after_seconds))
        if self.allow is not None:
            found.append((b"allow", self.allow.encode()))
        return found


def malformed(message: str) -> Refusal:
    """A message whose framing cannot be trusted: 400, and the connection is closed (RFC 9112, 11.2)."""
    return Refusal(400, "malformed_request", message, close=True)


def shutting_down() -> Refusal:
    return Refusal(503, "shutting_down", "The gateway is shutting down: send the request again.", retry_after_seconds=1)
