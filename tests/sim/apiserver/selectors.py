"""Label selectors as a list or watch gets them, parsed once and kept."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from .answers import Obj, bad_request

SET: Final = re.compile(r"^([^\s!=]+)\s+(in|notin)\s+\(([^)]*)\)$")
PLAIN: Final = re.compile(r"^([^\s!=()]+)\s*(==|=|!=)\s*([^\s!=()]*)$")
EXISTS: Final = re.compile(r"^(!?)\s*([^\s!=()]+)$")


@dataclass(frozen=True, slots=True)
class Requirement:
    """`values` None: the label must exist (or must not, when `negated`)."""

    key: str
    values: frozenset[str] | None
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.key)
        if self.values is None:
            return (value is not None) is not self.negated
        return (value in self.values) is not self.negated


Selector = tuple[Requirement, ...]


@lru_cache(maxsize=4096)
def parsed(text: str) -> Selector:
    """Raises Refusal 400."""
    parts = [part.strip() for part in re.split(r",(?![^(]*\))", text)] if text.strip() else []
    return tuple(_requirement(part) for part in parts)


def _requirement(text: str) -> Requirement:
    if found := SET.match(text):
        values = frozenset(value.strip() for value in found[3].split(","))
        return Requirement(found[1], values, found[2] == "notin")
    if found := PLAIN.match(text):
        return Requirement(found[1], frozenset((found[3],)), found[2] == "!=")
    if found := EXISTS.match(text):
        return Requirement(found[2], None, bool(found[1]))
    raise bad_request(f"unable to parse requirement: {text!r}")


def matches(selector: Selector, body: Obj | None) -> bool:
    if body is None:
        return False
    labels: Any = body["metadata"].get("labels") or {}
    return all(requirement.matches(labels) for requirement in selector)


def field_name(text: str) -> str | None:
    """The name that a field selector asks for, None when it asks for none. Raises Refusal 400 for other fields."""
    name = None
    for part in text.split(",") if text else ():
        key, equals, value = part.partition("=")
        if key.strip() != "metadata.name" or not equals:
            raise bad_request(f"field label not supported: {key}")
        name = value.removeprefix("=").strip()
    return name
