"""Which language a text is in, by py3langid (naive Bayes over byte n-grams, 4.6 MB, no network).

Decided here: the best guess counts, over the first _LOOKED_AT characters; a text of fewer than _TELLING letters tells
too little and is kept. Source code, tables and mixed texts get some language or other: ask for languages of prose only.
"""

from functools import cache
from typing import TYPE_CHECKING

from ..errors import RecipeError

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

_LOOKED_AT = 4000
_TELLING = 40


def language(text: str) -> str | None:
    """ISO 639-1, or None where the text is too short to tell."""
    start = text[:_LOOKED_AT]
    if sum(map(str.isalpha, start)) < _TELLING:
        return None
    return str(_identifier().classify(start)[0])


def check_known(languages: tuple[str, ...]) -> None:
    """Raises RecipeError for a language that would never be found."""
    for each in languages:
        if each not in _identifier().labels:
            known = " ".join(sorted(_identifier().labels))
            raise RecipeError(f"dataset.cleaning.languages: {each} is not told apart; these are: {known}")


@cache
def _identifier() -> "LanguageIdentifier":
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE)
