"""How far a `go build` is: the packages it has compiled, of those that its programs consist of, told now and then.

What is in the build cache is not compiled again and not printed, so the number to come is "at most".
"""

from __future__ import annotations

from bed.steps import Steps

TELL_SECONDS = 15.0


class Compiling:
    """Takes what `go list -deps` prints line by line, then what `go build -v` does."""

    def __init__(self, steps: Steps) -> None:
        """Nothing is told for a while: most batches are short."""
        self._steps, self._told = steps, steps.clock()
        self._modules = self._packages = self._compiled = 0

    def listed(self, line: str) -> None:
        """One more package that is needed, or one more module that had to be fetched to know."""
        if line.startswith("go: downloading "):
            self._modules += 1
            self._tell(f"modules downloaded: {self._modules}")
        elif _is_package(line):
            self._packages += 1

    def built(self, line: str) -> None:
        """One more package that is compiled."""
        if _is_package(line):
            self._compiled += 1
            self._tell(f"packages compiled: {self._compiled} of at most {self._packages}")

    def _tell(self, text: str) -> None:
        if self._steps.clock() - self._told >= TELL_SECONDS:
            self._told = self._steps.clock()
            self._steps.say(f"  {text}")


def _is_package(line: str) -> bool:
    """Not what the compiler complains of: that has a place, or a sentence."""
    return bool(line) and " " not in line and ":" not in line
