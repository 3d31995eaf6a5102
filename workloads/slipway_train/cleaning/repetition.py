"""Texts that repeat themselves, by the rules of Gopher (Rae et al. 2021, arXiv:2112.11446, table A1).

The bounds are the paper's. Lines and paragraphs are counted as its readers do (DataTrove): duplicates beyond the first
occurrence; the characters of n-grams without the spaces between them, over all characters of the text.
"""

import re
from collections import Counter
from collections.abc import Sequence

_LINES_MOST, _LINE_CHARACTERS_MOST = 0.30, 0.20  # paragraphs have the same bounds
_TOP_MOST = {2: 0.20, 3: 0.18, 4: 0.16}
_DUPLICATED_MOST = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def repeats(text: str) -> str:
    """Which rule the text breaks, in a word; "" where it breaks none."""
    for name, parts in (("paragraphs", _split(r"\n{2,}", text)), ("lines", _split(r"\n+", text))):
        if broken := _repeated_parts(parts, len(text)):
            return f"{name}-{broken}"
    words = text.split()
    for size, most in _TOP_MOST.items():
        if _top_characters(words, size) > most * len(text):
            return f"top-{size}-gram"
    for size, most in _DUPLICATED_MOST.items():
        if _duplicated_characters(words, size) > most * len(text):
            return f"duplicated-{size}-grams"
    return ""


def _split(separator: str, text: str) -> list[str]:
    return re.split(separator, text.strip()) if text.strip() else []


def _repeated_parts(parts: Sequence[str], characters: int) -> str:
    if not parts:
        return ""
    counts = Counter(parts)
    again = sum(count - 1 for count in counts.values())
    if again > _LINES_MOST * len(parts):
        return "repeated"
    repeated = sum((count - 1) * len(part) for part, count in counts.items())
    return "repeated-characters" if repeated > _LINE_CHARACTERS_MOST * characters else ""


def _top_characters(words: Sequence[str], size: int) -> int:
    """Characters in all occurrences of the n-gram that occurs most; 0 where none occurs twice."""
    counts = Counter(zip(*(words[at:] for at in range(size)), strict=False))
    if not counts:
        return 0
    most = max(counts.values())
    if most == 1:
        return 0
    return max(sum(map(len, gram)) for gram, count in counts.items() if count == most) * most


def _duplicated_characters(words: Sequence[str], size: int) -> int:
    """Characters of n-grams that came before, each counted once."""
    seen: set[tuple[str, ...]] = set()
    characters = at = 0
    while at + size <= len(words):
        gram = tuple(words[at : at + size])
        if gram in seen:
            characters += sum(map(len, gram))
            at += size
        else:
            seen.add(gram)
            at += 1
    return characters
