"""Bad rows: counted, shown by file and line, and fatal only beyond a share that the recipe allows."""

from ..errors import RecipeError
from ..logs import event, log

_EXAMPLES = 5


class BadRows:
    """The account of one pass over the data. `limit_percent` is dataset.badRowsPercent."""

    def __init__(self, limit_percent: int) -> None:
        self._limit_percent = limit_percent
        self.total = 0
        self.bad = 0
        self.examples: list[str] = []

    def good(self) -> None:
        self.total += 1

    def add(self, file: str, number: int, reason: str) -> None:
        self.total += 1
        self.bad += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(f"{file}:{number}: {reason}")

    def merge(self, other: "BadRows") -> None:
        """Adds the account of another file."""
        self.total += other.total
        self.bad += other.bad
        self.examples = (self.examples + other.examples)[:_EXAMPLES]

    def check(self) -> None:
        """After the pass. Raises RecipeError when too many were bad; else says how many were left out."""
        if self.bad * 100 > self._limit_percent * self.total:
            share = 100 * self.bad / self.total
            raise RecipeError(
                f"dataset.badRowsPercent: {self.bad} of {self.total} rows ({share:.1f} %) cannot be used, and "
                f"{self._limit_percent} % may be. Mend them, or allow more. {'; '.join(self.examples)}"
            )
        if self.bad:
            log.warning(event("bad_rows", bad=self.bad, rows=self.total, examples="; ".join(self.examples)))
