"""Who may change the test bed: one script or command at a time, and whatever that one calls.

The lock is flock's, on a file in the cache. It goes with the last process that has the file open, so a run that was
killed holds nobody up. The file says who took it last: whoever must wait tells that, and what the holder calls knows
its process id from SLIPWAY_BED_HOLDER and does not wait. scripts/lib.sh does the same for scripts (`hold_bed`).
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

HOLDER = "SLIPWAY_BED_HOLDER"


@contextmanager
def held(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Keep the bed to this process and what it calls; while another has it, say which one, and wait."""
    file = _acquire(path, say)
    if file is None:  # by whoever called us: it goes on when we have ended
        yield
        return
    os.environ[HOLDER] = str(os.getpid())
    try:
        with file:
            yield
    finally:
        del os.environ[HOLDER]


def _acquire(path: Path, say: Callable[[str], None]) -> TextIO | None:
    """Return the file, open, locked and with our name in it; None where what has it locked called us."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
        if not _lock(file, say):
            file.close()
            return None
        if _is_at(file, path):
            file.truncate(0)
            file.write(" ".join([str(os.getpid()), *shlex.join(sys.orig_argv).split()]) + "\n")  # one line
            file.flush()
            return file
        file.close()  # `make clean` removed it with the cache while we waited


def _lock(file: TextIO, say: Callable[[str], None]) -> bool:
    """Lock it, at once or after waiting; False where what has it locked called us."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        holder, _, command = file.read().strip().partition(" ")
        if holder and holder == os.environ.get(HOLDER):
            return False
        say(f"waiting for the test bed: process {holder} has it ({command})")
        fcntl.flock(file, fcntl.LOCK_EX)
    return True


def _is_at(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
