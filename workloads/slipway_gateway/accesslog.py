"""The access log: one JSON line per request, without prompts, keys or query strings.

Lines are gathered and handed on once per sweep: a write per request would cost more than the request's own parsing.

Decided here: requests go before their log. A thread writes, since a reader that is there and does not read blocks
whoever does. Where the stream takes no more (its reader is gone or asleep, the disk is full), lines are dropped and
counted, and the next ones are tried again.
"""

import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import BinaryIO, cast

import orjson

logger = logging.getLogger(__name__)

FLUSH_BYTES = 64 * 1024
WAITING_BYTES_MAX = 4 * 1024 * 1024  # some 15,000 lines: the reader's pause that costs none


def _ignore(_lines: int) -> None:
    return None


class AccessLog:
    """`stream` is an unbuffered binary stream, or None to write nothing. `on_dropped` is told how many lines were lost,
    from any thread.
    """

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream
        self._lines = bytearray()
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()  # guards what follows, and is held for moments only
        self._waiting: deque[bytearray] = deque()  # the first is being written
        self._waiting_bytes = 0
        self._failing = self._closed = False
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
        """Hands on what was gathered. Never waits for the stream."""
        if self._stream is None or not self._lines:
            return
        lines, self._lines = self._lines, bytearray()
        with self._changed:
            taken = self._waiting_bytes + len(lines) <= WAITING_BYTES_MAX
            if taken:
                self._waiting.append(lines)
                self._waiting_bytes += len(lines)
                self._changed.notify_all()
        if not taken:
            self._dropped(lines, "its reader does not keep up")
        if self._thread is None:  # a daemon, for what hangs in a write must not keep the program from its end
            self._thread = threading.Thread(target=self._writing, name="access-log", daemon=True)
            self._thread.start()

    def written(self, seconds: float) -> bool:
        """Whether all lines have been written or dropped, at the latest after `seconds`. Blocks."""
        self.flush()
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, seconds)

    def close(self, seconds: float) -> None:
        """Ends the thread, once all is written; what is not after `seconds` is lost. Blocks."""
        if not self.written(seconds):
            with self._changed:
                left = b"".join(self._waiting)
            self._dropped(left, "the program ends")
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _writing(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                lines = self._waiting[0]
            succeeded = self._put(lines)
            with self._changed:
                self._waiting.popleft()
                self._waiting_bytes -= len(lines)
                self._failing = self._failing and not (succeeded and not self._waiting)
                self._changed.notify_all()

    def _put(self, lines: bytearray) -> bool:
        left = memoryview(lines)
        try:
            while left:  # a signal may end a write early
                count = cast(BinaryIO, self._stream).write(left)
                if count is None:
                    raise BlockingIOError("it would block")
                left = left[count:]
        except OSError as problem:
            self._dropped(bytes(left), str(problem))
            return False
        return True

    def _dropped(self, lines: bytes | bytearray, why: str) -> None:
        """Told once in the log, until all that waited could be written."""
        self.on_dropped(lines.count(b"\n"))
        with self._changed:
            told, self._failing = self._failing, True
        if not told:
            logger.error("the access log cannot be written, its lines are dropped: %s", why)


def standard_output() -> BinaryIO:
    """A writer of its own, without a buffer: what sys.stdout could not write at the end would change the exit code, and
    a buffer's lock, held by a thread in a write that hangs, would end the program by an abort.
    """
    return cast(BinaryIO, open(sys.stdout.fileno(), "wb", buffering=0, closefd=False))
