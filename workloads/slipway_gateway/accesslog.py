"""The access log: one JSON line per request, without prompts, keys or query strings.

Lines are gathered and written once per sweep: a write per request would cost more than the request's own parsing.
"""

import sys
from typing import BinaryIO

import orjson

FLUSH_BYTES = 64 * 1024


class AccessLog:
    """`stream` is a binary stream, or None to write nothing."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._lines = bytearray()

    @property
    def enabled(self) -> bool:
        return self._stream is not None

    def write(self, fields: dict[str, object]) -> None:
        if self._stream is None:
            return
        self._lines += orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)
        if len(self._lines) >= FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._stream is not None and self._lines:
            lines, self._lines = self._lines, bytearray()
            self._stream.write(lines)
            self._stream.flush()


def standard_output() -> BinaryIO:
    return sys.stdout.buffer
