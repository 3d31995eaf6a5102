"""What the API server or the way to it said instead of yes, and what kind of no it is.

Refused: this object, as it is, will not be taken; asking again unchanged is pointless, a person must act, and the
status names it. Transient: nothing is wrong with the object; the visit is repeated with backoff and conditions stay.
"""

from typing import Any

from ..plan.observed import NO_SUCH_KIND

UNAUTHORIZED, FORBIDDEN, NOT_FOUND, TIMEOUT, CONFLICT, INVALID, TOO_MANY = 401, 403, 404, 408, 409, 422, 429
SERVER_ERROR = 500
MESSAGE_LIMIT = 1024
# What the API server says of a kind that it does not serve, in a Status and without one.
UNSERVED = ("404 page not found", "the server could not find the requested resource")
# How the API server says, with 500, that the store takes nothing of this size: etcd's limit, and that of the way to it.
TOO_LARGE = ("request is too large", "message larger than max", "request entity too large")
# How it says, with 500, that a webhook that must be asked is not there: it refuses the object until somebody mends it.
DEAF_WEBHOOK = ("failed calling webhook",)
# How it says, with 500, that the cluster has no address or port left for a Service: until somebody frees or adds some.
NONE_LEFT = ("failed to allocate",)


class ApiError(Exception):
    """An answer above 399, or none (`status` 0). `message` is the API server's own, shortened to 1,024 characters.

    `retry_after` is in seconds, when the server asked for a pause. `request` is the method and the path, "" unless they
    are known.
    """

    def __init__(
        self, status: int, reason: str, message: str, retry_after: float | None = None, *, request: str = ""
    ) -> None:
        super().__init__(f"{status} {reason}: {message}" if status else f"{reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message[:MESSAGE_LIMIT]
        self.retry_after = retry_after
        self.request = request

    @property
    def refused(self) -> bool:
        """The server understood and will not: invalid, forbidden, no such kind or namespace, too large to keep, a
        webhook in the way that does not answer, no address left."""
        if self.status >= SERVER_ERROR:
            return any(words in self.message.lower() for words in (*TOO_LARGE, *DEAF_WEBHOOK, *NONE_LEFT))
        return self.status >= 400 and self.status not in (UNAUTHORIZED, TIMEOUT, CONFLICT, TOO_MANY)

    @property
    def namespace_is_going(self) -> bool:
        """A write into a namespace that is being deleted: nobody needs to be told, the owner goes with it."""
        return self.status == FORBIDDEN and "it is being terminated" in self.message


class NotLeader(Exception):
    """A write was about to begin without the lease. Nothing was sent."""


class Stale(Exception):
    """What the plan was made from is not what the API server has. Nothing was sent; look again."""


def from_answer(status: int, body: object, headers: dict[str, str], *, request: str = "") -> ApiError:
    """An ApiError from a metav1.Status body, or from whatever a proxy in between answered."""
    known: dict[str, Any] = body if isinstance(body, dict) and body.get("kind") == "Status" else {}
    message = known.get("message") or (body if isinstance(body, str) else "") or "no message"
    if status == NOT_FOUND and str(message).strip() in UNSERVED:
        message = NO_SUCH_KIND
    reason, retry_after = known.get("reason") or "Unknown", _retry_after(known, headers)
    return ApiError(status, reason, str(message), retry_after, request=request)


def _retry_after(known: dict[str, Any], headers: dict[str, str]) -> float | None:
    details = known.get("details") or {}
    value = headers.get("Retry-After") or details.get("retryAfterSeconds")
    try:
        seconds = float(value) if value is not None else None
    except ValueError:  # an HTTP date: the API server never sends one
        return None
    return seconds if seconds is not None and 0 <= seconds < 3600 else None
