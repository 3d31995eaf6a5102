"""Times in status: seconds since the epoch inside, RFC 3339 in UTC with whole seconds outside.

Whole seconds, as metav1.Time writes them. No clock is read here: `now` is an input of the plan.
"""

from datetime import UTC, datetime


def rfc3339(seconds: float) -> str:
    """`seconds` since the epoch as `2026-01-02T03:04:05Z`; a fraction is cut off."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time. Raises ValueError when `text` is none, or has no offset."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write it as 2026-01-02T03:04:05Z")
    return moment.timestamp()


def epoch(text: str | None) -> float | None:
    """As `seconds`, and None for nothing or nonsense."""
    try:
        return seconds(text) if text else None
    except ValueError:
        return None


def seconds_or(text: object, otherwise: float) -> float:
    """As `seconds`, and `otherwise` for what is no time: statuses are also written by others."""
    try:
        return seconds(str(text))
    except ValueError:
        return otherwise
