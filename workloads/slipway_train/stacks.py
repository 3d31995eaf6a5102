"""Where every rank of a pod is, when one of them says that it stalls.

Decided here: faulthandler's own handler of SIGUSR1 writes the stacks of all threads, in C, so a rank that cannot run
Python any more is seen too, and nobody needs the right to trace processes. The launcher makes a directory; each rank
has a file there, named after its rank and process. A rank that stalls asks the launcher, the launcher asks all ranks.
"""

import faulthandler
import os
import re
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType

_LAUNCHER = "launcher"
_FILE = re.compile(r"rank-(\d+)-(\d+)")
_FRAME = re.compile(r'^  File "(?:.*/)?([^/"]+)", line (\d+) in (.+)$', re.MULTILINE)
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x", re.MULTILINE)
BRIEF_FRAMES = 12


def answer(directory: Path, rank: int) -> None:
    """In a rank: SIGUSR1 writes its stacks. The file's name appears once the handler is there: without, it kills."""
    hidden = directory / f".{rank}"
    file = hidden.open("w")
    faulthandler.register(signal.SIGUSR1, file=file, all_threads=True)
    hidden.rename(directory / f"rank-{rank}-{os.getpid()}")
    _kept_open.append(file)


def ask(directory: Path | None) -> None:
    """In a rank that stalls: the stacks of all ranks of this pod; of this rank alone, to stderr, without a launcher."""
    if directory is not None and (directory / _LAUNCHER).read_text() == str(os.getppid()):
        os.kill(os.getppid(), signal.SIGUSR1)
    else:
        faulthandler.dump_traceback(sys.stderr, all_threads=True)


class Stacks:
    """The launcher's side: passes the first question on, and reads the answers once the ranks are gone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._asked = False
        directory.mkdir()
        (directory / _LAUNCHER).write_text(str(os.getpid()))
        signal.signal(signal.SIGUSR1, self._pass_on)

    def texts(self) -> dict[int, str]:
        """What each rank answered, by rank; empty where nobody asked."""
        found = ((_FILE.fullmatch(path.name), path) for path in self._directory.iterdir())
        texts = {int(match[1]): path.read_text(errors="replace") for match, path in found if match}
        return {rank: text for rank, text in sorted(texts.items()) if text}

    def _pass_on(self, _signal: int, _frame: FrameType | None) -> None:
        if self._asked:
            return
        self._asked = True
        for path in self._directory.iterdir():
            if match := _FILE.fullmatch(path.name):
                _signal_if_there(int(match[2]))


def brief(text: str) -> str:
    """The main thread's innermost frames in one line: `read (corpus.py:61) < batch (pretrain.py:57)`."""
    main = _THREAD.split(text)[-1]  # faulthandler writes the newest thread first
    frames = [f"{function} ({file}:{line})" for file, line, function in _FRAME.findall(main)]
    return " < ".join(frames[:BRIEF_FRAMES])


def _signal_if_there(pid: int) -> None:
    with suppress(ProcessLookupError):  # it ended meanwhile
        os.kill(pid, signal.SIGUSR1)


_kept_open: list[object] = []  # faulthandler holds the descriptor, not the file
