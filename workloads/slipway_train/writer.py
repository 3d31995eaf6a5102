"""The thread that writes checkpoints while training goes on.

Decided here: one checkpoint at a time. A second one waits until the first is on its tier, so that two are never mixed
and memory holds one copy at most. A thread cannot end the run: what went wrong in it is raised at the next checkpoint
or at the end, whichever comes first.
"""

import threading
from collections.abc import Callable

from .logs import event, log

LEAVING_SECONDS = 20.0  # for what is under way when the run ends by an error: well inside the launcher's 25


class Writer:
    """`background` False writes at once, in the caller."""

    def __init__(self, *, background: bool) -> None:
        self._background = background
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def submit(self, write: Callable[[], None]) -> None:
        """Waits for the one before, raises what went wrong with it, and begins this one."""
        self.flush()
        if not self._background:
            write()
            return
        self._thread = threading.Thread(target=self._run, args=(write,), name="checkpoint", daemon=True)
        self._thread.start()

    def flush(self) -> None:
        """Returns once everything is written. Raises what went wrong."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def leave(self) -> None:
        """When the run ends by an error: what is under way is given a bounded time, and nothing is raised."""
        if self._thread is not None:
            self._thread.join(LEAVING_SECONDS)
        if self.writing or self._error is not None:
            log.warning(event("checkpoint_not_written", error=repr(self._error) if self._error else "it took too long"))

    def _run(self, write: Callable[[], None]) -> None:
        try:
            write()
        except BaseException as error:
            self._error = error
