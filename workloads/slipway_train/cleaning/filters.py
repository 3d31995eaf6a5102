"""The filters in their order, and the account of what each dropped.

A decision has two halves. `look` judges a document by itself, and may be done by any process; `judge` compares it with
those before it, so it sees all of them in their one order. Cheap filters come first; duplicates are sought among what
the others kept, so that a text that is dropped anyway makes no other one a duplicate.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from slipway.api.dataset import CleaningSpec

from .duplicates import Exact, Near, Signature, content_hash, signature
from .language import language
from .repetition import repeats

Filter = Callable[[CleaningSpec, str], str]


@dataclass(frozen=True, slots=True)
class Looked:
    """What is known of one document by itself: why it is dropped, or what comparing needs."""

    dropped: str = ""
    content: int = 0
    signature: Signature | None = None
    scrubbed: frozenset[str] = frozenset()  # what was replaced in it


def _short(spec: CleaningSpec, text: str) -> str:
    return "short" if len(text) < spec.characters_least else ""


def _long(spec: CleaningSpec, text: str) -> str:
    return "long" if spec.characters_most is not None and len(text) > spec.characters_most else ""


def _foreign(spec: CleaningSpec, text: str) -> str:
    if spec.languages is None:
        return ""
    found = language(text)
    return "" if found is None or found in spec.languages else "language"


def _repetitive(spec: CleaningSpec, text: str) -> str:
    return "repetition" if spec.repetition == "gopher" and repeats(text) else ""


FILTERS: tuple[Filter, ...] = (_short, _long, _foreign, _repetitive)


def look(spec: CleaningSpec, text: str, scrubbed: Iterable[str] = ()) -> Looked:
    """`text` is scrubbed already: of what `scrubbed` names."""
    of = frozenset(scrubbed)
    dropped = next((name for each in FILTERS if (name := each(spec, text))), "")
    if dropped or spec.duplicates == "keep":
        return Looked(dropped, scrubbed=of)
    return Looked("", content_hash(text), signature(text) if spec.duplicates == "near" else None, of)


class Judge:
    """Sees what was looked at, in order. `counts` has the filters that dropped something, and `kept`.

    `scrubbed` has the documents in which something was replaced, by what; a dropped document counts there too.
    """

    def __init__(self, spec: CleaningSpec) -> None:
        self._exact = Exact() if spec.duplicates != "keep" else None
        self._near = Near(spec.similarity_percent / 100) if spec.duplicates == "near" else None
        self.counts: Counter[str] = Counter()
        self.scrubbed: Counter[str] = Counter()

    @property
    def account(self) -> dict[str, int]:
        """All counts under one name each, as they are reported."""
        scrubbed = {f"scrubbed-{name}": count for name, count in self.scrubbed.items()}
        return dict(sorted({**self.counts, **scrubbed}.items()))

    def drops(self, looked: Looked) -> str:
        """The filter that drops the document, "" where none does."""
        reason = looked.dropped or self._duplicate(looked)
        self.counts[reason or "kept"] += 1
        self.scrubbed.update(looked.scrubbed)
        return reason

    def _duplicate(self, looked: Looked) -> str:
        if self._exact is not None and self._exact.seen(looked.content):
            return "exact-duplicate"
        near = self._near is not None and looked.signature is not None and self._near.seen(looked.signature)
        return "near-duplicate" if near else ""
