"""Say what is being done, how far it is, and how long each step took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

Item = TypeVar("Item")


def numbered(items: Sequence[Item]) -> Iterator[tuple[Item, str]]:
    """Each item with the words that say how far it is, to put into a step's name: ` (2 of 7)`; none for one alone."""
    for number, item in enumerate(items, start=1):
        yield item, f" ({number} of {len(items)})" if len(items) > 1 else ""


@dataclass
class Steps:
    """Prints one line when a step begins and one when it ends, with the seconds since the command began."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    clock: Callable[[], float] = time.monotonic
    _began: float = field(init=False)
    _taken: list[tuple[str, float]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Start the clock that every line shows."""
        self._began = self.clock()

    def say(self, text: str) -> None:
        """Print one line, at once: a log that is being followed must not lag behind."""
        self.out.write(f"[{self.clock() - self._began:6.1f}s] {text}\n")
        self.out.flush()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Announce a step, and say how long it took or that it failed."""
        begin = self.clock()
        self.say(f"{name} ...")
        try:
            yield
        except BaseException:
            self.say(f"{name}: FAILED after {self.clock() - begin:.1f}s")
            raise
        seconds = self.clock() - begin
        self._taken.append((name, seconds))
        self.say(f"{name}: done in {seconds:.1f}s")

    def skip(self, name: str, why: str) -> None:
        """Say that a step was not needed."""
        self.say(f"{name}: {why}")

    def summary(self, *, at_least_seconds: float = 1.0) -> None:
        """Print where the time went, longest first."""
        slow = sorted(((s, n) for n, s in self._taken if s >= at_least_seconds), reverse=True)
        self.say(f"all done in {self.clock() - self._began:.1f}s")
        for seconds, name in slow:
            self.out.write(f"{seconds:10.1f}s  {name}\n")
