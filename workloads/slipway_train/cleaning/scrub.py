"""Personal data and secrets to placeholders: e-mail addresses, telephone numbers, IP addresses, keys, and users' own.

Decided here: patterns, not understanding. What they miss stays (names, addresses of streets, numbers written in words),
and some of what they hit was harmless; every pattern is bounded, so no text makes one slow. Another kind is another
entry of SCRUBBERS and of the API's `scrub`. Users' own (`scrubPatterns`) are RE2's, so that none can make a document
take for ever, and come first: they know the text as it was written. It is told in how many documents each found
something, since a pattern that is never found, or always, is a slip.
"""

import ipaddress
import re
from collections.abc import Callable

from slipway.api.dataset import CleaningSpec
from slipway.api.pattern import compiled

from ..errors import RecipeError

_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")

# Groups of digits that look dialled: see _phone. Seven to fifteen digits, by ITU-T E.164.
_PHONE = re.compile(
    r"(?<![\w.:/+-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?\d{1,5}(?:[ .-]\d{2,8}){0,5}(?![\w:/-]|\.\d)"
)
_NORTH_AMERICAN = re.compile(r"\d{3}[ .-]\d{3}[ .-]\d{4}")
_PHONE_DIGITS = range(7, 16)
_GROUPED_DIGITS = 9

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?![\w:])")

_KEYS = (
    re.compile(
        r"-----BEGIN [A-Z ]{0,32}PRIVATE KEY-----[A-Za-z0-9+/=\s]{1,16384}-----END [A-Z ]{0,32}PRIVATE KEY-----"
    ),
    re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),  # AWS access key id
    re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,255}\b"),  # GitHub token
    re.compile(r"\bgithub_pat_[A-Za-z0-9_]{22,255}\b"),
    re.compile(r"\bglpat-[A-Za-z0-9_-]{20,64}"),  # GitLab token
    re.compile(r"\bxox[abeprs]-[A-Za-z0-9-]{10,255}"),  # Slack token
    re.compile(r"\bsk-[A-Za-z0-9_-]{20,255}"),  # what OpenAI, Anthropic and others call their keys
    re.compile(r"\bhf_[A-Za-z0-9]{30,64}\b"),  # Hugging Face token
    re.compile(r"\bAIza[0-9A-Za-z_-]{35}"),  # Google API key
    re.compile(r"\beyJ[A-Za-z0-9_-]{8,4096}\.eyJ[A-Za-z0-9_-]{8,4096}\.[A-Za-z0-9_-]{8,4096}"),  # JSON Web Token
)


def check_patterns(spec: CleaningSpec) -> None:
    """Raises RecipeError for a pattern of the user's that is none, or that would be found everywhere."""
    if wrong := [f"dataset.cleaning.{each}" for each in spec.wrong_patterns()]:
        raise RecipeError("; ".join(wrong))


class Scrubber:
    """For the texts of one document. `found`: the names of what was replaced in them."""

    def __init__(self, spec: CleaningSpec) -> None:
        self._own = spec.scrub_patterns or ()
        self._kinds = spec.scrub or ()
        self.found: set[str] = set()

    def __call__(self, text: str) -> str:
        """`text` with placeholders. Of our patterns keys come first: they may hold what looks like something else."""
        for own in self._own:
            text = self._noted(own.name, text, _replaced(own.pattern, own.placeholder, text))
        for kind, scrubber in SCRUBBERS.items():
            if kind in self._kinds:
                text = self._noted(kind, text, scrubber(text))
        return text

    def _noted(self, name: str, before: str, after: str) -> str:
        if after != before:
            self.found.add(name)
        return after


def _replaced(pattern: str, placeholder: str, text: str) -> str:
    """A hit without a character, such as the edge of a word, is none."""
    replaced: str = compiled(pattern).sub(lambda match: placeholder if match[0] else "", text)
    return replaced


def _keys(text: str) -> str:
    for pattern in _KEYS:
        text = pattern.sub("<KEY>", text)
    return text


def _emails(text: str) -> str:
    return _EMAIL.sub("<EMAIL>", text) if "@" in text else text


def _addresses(text: str) -> str:
    return _IPV6.sub(_address, _IPV4.sub(_address, text))


def _address(match: re.Match[str]) -> str:
    """Unless it is a time, a version of more than 255, or a name such as a::b, which could be one."""
    found = match[0]
    if not any(character.isdigit() for character in found):
        return found
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return found
    return "<IP>"


def _phones(text: str) -> str:
    return _PHONE.sub(_phone, text)


def _phone(match: re.Match[str]) -> str:
    """With a plus sign or an area code in brackets, with a leading 0 and in groups, or as in North America."""
    found = match[0]
    digits = sum(character.isdigit() for character in found)
    grouped = found.startswith("0") and digits >= _GROUPED_DIGITS and not found.isdigit()
    looks = found.startswith(("+", "(")) or grouped or _NORTH_AMERICAN.fullmatch(found)
    return "<PHONE>" if digits in _PHONE_DIGITS and looks else found


SCRUBBERS: dict[str, Callable[[str], str]] = {"key": _keys, "email": _emails, "ip": _addresses, "phone": _phones}
