"""A Kubernetes Quantity as a number of bytes, as apimachinery reads it."""

import re
from fractions import Fraction

PATTERN = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([numkMGTPE]?|[KMGTPE]i|[eE][+-]?[0-9]{1,2})")
DECIMAL = {"n": -3, "u": -2, "m": -1, "": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}


def quantity_bytes(value: object) -> int | None:
    """None for what is no quantity: the API server says so of the field itself."""
    found = PATTERN.fullmatch(str(value)) if isinstance(value, str | int | float) else None
    if found is None:
        return None
    number, suffix = Fraction(found[1]), found[2]
    if suffix in BINARY:
        return int(number * 1024 ** BINARY[suffix])
    power = 3 * DECIMAL[suffix] if suffix in DECIMAL else int(suffix[1:])
    return int(number * Fraction(10) ** power)
