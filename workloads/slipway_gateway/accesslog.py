"""The access log: one JSON line per request, without prompts, keys or query strings.

Lines are gathered and written once per sweep: a write per request would cost more than the request's own parsing.

Decided here: requests go before their log. Where the stream takes no more (its reader is gone, the disk is full), lines
are dropped and counted, and the next ones are tried again.
"""

import logging
import sys
from collections.abc import Callable
from typing import BinaryIO

import orjson

logger = logging.getLogger(__name__)

FLUSH_BYTES = 64 * 1024


def _ignore(_lines: int) -> None:
    return None


class AccessLog:
    """`stream` is a binary stream, or None to write nothing. `on_dropped` is told how many lines were lost."""

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._lines = bytearray()
        self._failing = False
        self.on_dropped: Callable[[int], None] = _ignore

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
            try:
                self._stream.write(lines)
                self._stream.flush()
                self._failing = False
            except OSError as problem:
                self._dropped(lines, problem)

    def _dropped(self, lines: bytearray, problem: OSError) -> None:
        """Told once in the log, until a write succeeds again."""
        self.on_dropped(lines.count(b"\n"))
        if not self._failing:
            logger.error("the access log cannot be written, its lines are dropped: %s", problem)
        self._failing = True


def standard_output() -> BinaryIO:
    """A writer of its own: what sys.stdout could not write at the end would change the exit code."""
    return open(sys.stdout.fileno(), "wb", closefd=False)
