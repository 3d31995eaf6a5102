"""Kubernetes quantities: their value, and the form in which the API server writes them back ("1024Mi" is "1Gi")."""

import re
from decimal import ROUND_CEILING, Decimal
from typing import Final

PATTERN: Final = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|n|u|m|k|M|G|T|P|E|[eE][+-]?\d+)?$")
BINARY: Final = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def value(text: str) -> Decimal:
    """Raises ValueError for what is no quantity."""
    found = PATTERN.match(text)
    if found is None or text.endswith("\n"):
        raise ValueError(f"{text!r} is not a quantity")
    number, suffix = Decimal(found[1]), found[2] or ""
    if suffix in BINARY:
        return number * Decimal(1024 ** BINARY[suffix])
    exponent = DECIMAL[suffix] if suffix in DECIMAL else int(suffix[1:])
    return number.scaleb(exponent)


def canonical(given: str | int | float) -> str:
    """As the API server writes it: the largest suffix of its family without a fraction. Raises ValueError."""
    text = str(given).strip()
    amount = value(text)
    found = PATTERN.match(text)
    suffix = (found[2] if found else "") or ""
    if suffix in BINARY:
        if amount == amount.to_integral_value() and abs(amount) >= 1024:
            return _binary(int(amount))
        suffix = ""
    if suffix[:1] in ("e", "E") and suffix not in DECIMAL:
        return _scientific(amount)
    return _decimal(amount)


def _binary(amount: int) -> str:
    name = ""
    for suffix in BINARY:
        if amount % 1024:
            break
        amount //= 1024
        name = suffix
    return f"{amount}{name}"


def _decimal(amount: Decimal) -> str:
    if not amount:
        return "0"
    for suffix, exponent in reversed(DECIMAL.items()):
        scaled = amount.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int(amount.scaleb(9).to_integral_value(ROUND_CEILING))}n"


def _scientific(amount: Decimal) -> str:
    exponent = 0
    while amount and not amount % 1000:
        amount, exponent = amount / 1000, exponent + 3
    return f"{int(amount)}e{exponent}" if exponent else f"{int(amount)}"
