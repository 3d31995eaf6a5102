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


def fault(pattern: str) -> str:
    """Why it is no pattern, in words; "" where it is one."""
    try:
        compiled(pattern)
    except re2.error as error:
        return f"no regular expression in RE2's syntax: {_said(error)}"
    return ""


def fault_in_replacing(pattern: str) -> str:
    """Why it is none whose hits can be replaced: one that matches no character matches between any two."""
    if wrong := fault(pattern):
        return wrong
    return "the empty text matches it: ask for a character at least" if compiled(pattern).search("") else ""


def _said(error: Exception) -> str:
    told = error.args[0] if error.args else error
    return told.decode(errors="replace") if isinstance(told, bytes) else str(told)
