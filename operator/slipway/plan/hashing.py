"""One hash for everything that is named or compared by content: short, stable over processes and Python versions."""

import hashlib
import json
from typing import Any

DIGITS = 12  # 48 bits: one collision is expected among 16 million templates


def canonical(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """`value` as JSON with sorted keys and no spaces: equal values give equal text. Raises TypeError for non-JSON."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def short_hash(value: Any) -> str:  # noqa: ANN401 - any JSON value
    """Lower-case hexadecimal digits of the SHA-256 of `value` as JSON; usable in names and label values."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:DIGITS]
