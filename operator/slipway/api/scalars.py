"""What kubectl makes of a plain scalar in a YAML file: `slipway plan` judges what the API server would get, and what
`slipway render` prints comes to it as it was meant.

kubectl's reader follows YAML 1.1 for `yes`, `on` and `010` (a boolean, another, and eight), and neither version for the
rest: `1e-3` is a number, `1:30` is text, and a number too large for a float is text. Then comes JSON, which has no
infinity, and to whose readers a whole number is one however it was written. tests/crd/test_crd_yaml.py asks kubectl.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import yaml

PREFIX = "tag:yaml.org,2002:"  # which is written `!!`
MERGE = f"{PREFIX}merge"
TAGS: Mapping[type, str] = {
    python_type: PREFIX + name
    for python_type, name in ((bool, "bool"), (int, "int"), (float, "float"), (str, "str"), (type(None), "null"))
}

Scalar = str | int | float | bool | None

WORDS: dict[str, bool | float | None] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[bB]([01]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
BETWEEN_DIGITS = re.compile("(?<=[0-9])_(?=[0-9])")
BASES = (16, 2, 8, 10)  # of INTEGER's groups
LENGTH_MAX = 67  # of an integer of 64 bits in base two, with sign and prefix: Python refuses to read very long ones
INT64 = 2**63


class Resolver(yaml.resolver.BaseResolver):
    """For a loader or a dumper of PyYAML, before its other bases: which scalars need no quotes and are what."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: tuple[bool, bool]) -> str:  # noqa: ANN401
        if kind is not yaml.ScalarNode or not implicit[0]:
            return str(super().resolve(kind, value, implicit))  # type: ignore[no-untyped-call]
        return MERGE if value == "<<" else TAGS[type(value_of(value))]


def value_of(text: str) -> Scalar:
    """The value of a scalar without quotes or a tag."""
    if text in WORDS:
        return WORDS[text]
    if text[0] == ".":
        return _float(BETWEEN_DIGITS.sub("", text), text)
    if text[0] not in "+-0123456789":
        return text
    plain = text.replace("_", "")
    whole = _integer(plain)
    return _float(plain, text) if whole is None else whole


def _integer(plain: str) -> int | None:
    """None where it is no integer, or one of more than 64 bits."""
    found = INTEGER.fullmatch(plain)
    if found is None or len(plain) > LENGTH_MAX:
        return None
    sign, *digits = found.groups()
    value = next(int(each, base) for each, base in zip(digits, BASES, strict=True) if each is not None)
    value = -value if sign == "-" else value
    return value if -INT64 <= value < 2 * INT64 else None


def _float(plain: str, text: str) -> float | str:
    value = float(plain) if FLOAT.fullmatch(plain) else math.inf
    return value if math.isfinite(value) else text


def as_json(value: Scalar) -> Scalar:
    """What a reader of JSON gets: whole numbers of 64 bits are integers, all others are not.

    Of a whole float Go writes no more digits than tell it from others, and then zeros, as Python's repr counts them.
    Raises ValueError for what JSON cannot say.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    if not math.isfinite(value):
        raise ValueError("is no number: JSON has neither infinity nor NaN")
    written = value if isinstance(value, int) else Decimal(repr(value))
    whole = written == int(written) and -INT64 <= written < INT64
    return int(written) if whole else float(value)
