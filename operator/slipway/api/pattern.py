"""Regular expressions that users write, wherever one is a field: their syntax, their bounds, their one compiler.

Decided here: RE2, since a search by it takes time linear in the text, whatever the pattern; the API server's CEL is RE2
too, so what a pattern means is what admission checked. RE2 knows no look-around and no back references.
"""

from functools import lru_cache
from typing import Any

import re2

from .common import Rule

PATTERN_MAX = 256
MEMORY_BYTES = 1 << 20  # of one compiled pattern; RE2 refuses what needs more

# Evaluating a pattern that is none is an error, and an error refuses: CEL has no other way to ask.
IS_A_PATTERN = Rule("(''.matches(self) ? 1 : 2) > 0", "must be a regular expression in RE2's syntax")
FINDS_SOMETHING = Rule(
    "!''.matches(self)", "must be a regular expression in RE2's syntax, and not one that the empty text matches"
)


@lru_cache(maxsize=1024)
def compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    """Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY_BYTES
    return re2.compile(pattern, options)


def not_one(pattern: str) -> str:
    """What is wrong with it, in words; "" for a pattern."""
    try:
        compiled(pattern)
    except re2.error as error:
        return f"no regular expression in RE2's syntax: {_said(error)}"
    return ""


def finds_nothing(pattern: str) -> str:
    """The same of a pattern whose hits are replaced: without a letter in it a hit would be everywhere."""
    return not_one(pattern) or ("the empty text matches it: ask for a character at least" if _empty(pattern) else "")


def _empty(pattern: str) -> bool:
    return compiled(pattern).search("") is not None


def _said(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
