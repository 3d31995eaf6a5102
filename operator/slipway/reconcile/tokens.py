"""Who is calling: the pod behind a service account token, by TokenReview, for one audience.

Answers are kept for a minute by the token's hash, refusals for ten seconds. Where there are more than can be kept, the
first stay, and only the others are asked about at each report: to forget one for the sake of the next would soon be to
remember none. What cannot be a token for us by its own words is refused without asking, and reviews that fail are
rationed by the caller's address: a hostile pod, which can make up as many tokens as it likes, costs the API server
FAILURES_PER_SECOND reviews. The token itself is never kept.
"""

import base64
import hashlib
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..kube.client import KubeClient
from ..plan.names import PROGRESS_AUDIENCE
from ..plan.observed import Obj
from .limiter import Limiter

ACCEPTED_SECONDS, REFUSED_SECONDS = 60.0, 10.0
ACCEPTED_MOST, REFUSED_MOST = 65_536, 4_096  # jobs that report, and strangers, who must not oust them
FAILURES_PER_SECOND, FAILURES_BURST = 2.0, 20.0  # per address, which many good pods may share behind a translation
SKEW_SECONDS = 60.0  # by which the API server's clock may be behind ours
T = TypeVar("T")
JWT_PARTS = 3
POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod that the API server vouches for. `pod_uid` is "" for a token that is bound to no pod."""

    namespace: str
    pod_name: str
    pod_uid: str


class Kept(Generic[T]):
    """What is good for `seconds`, and at most `most` of it: what is kept first stays until its time is over."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most, self._seconds = most, seconds
        self._known: OrderedDict[bytes, tuple[T, float]] = OrderedDict()  # whose time is over first, first

    def has(self, name: bytes, now: float) -> bool:
        known = self._known.get(name)
        return known is not None and now < known[1]

    def of(self, name: bytes) -> T:
        return self._known[name][0]

    def keep(self, name: bytes, value: T, now: float) -> None:
        """Unless there are too many."""
        self._known.pop(name, None)
        while self._known and next(iter(self._known.values()))[1] <= now:
            self._known.popitem(last=False)
        if len(self._known) < self._most:
            self._known[name] = (value, now + self._seconds)


class TooManyFailed(Exception):
    """So many tokens from this address were not valid that no other is looked at now."""


class Tokens:
    def __init__(
        self,
        client: KubeClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._client, self._clock, self._wall = client, clock, wall
        self._accepted: Kept[Caller] = Kept(ACCEPTED_MOST, ACCEPTED_SECONDS)
        self._refused: Kept[None] = Kept(REFUSED_MOST, REFUSED_SECONDS)
        self._failures = Limiter(clock, per_second=FAILURES_PER_SECOND, burst=FAILURES_BURST)

    async def caller(self, token: str, address: str) -> Caller | None:
        """None when the token is not valid for our audience. Raises ApiError when nobody could say, and TooManyFailed
        when nobody is asked.
        """
        if not may_be_for_us(token, self._wall()):
            return None
        hashed, now = hashlib.sha256(token.encode()).digest(), self._clock()
        if self._refused.has(hashed, now):
            return None
        if self._accepted.has(hashed, now):
            return self._accepted.of(hashed)
        answer = await self._review(token, address)
        if answer is None:
            self._refused.keep(hashed, None, now)
        else:
            self._accepted.keep(hashed, answer, now)
        return answer

    async def _review(self, token: str, address: str) -> Caller | None:
        """Taken before the answer is known, and given back: else many requests at once would all be let through."""
        if not self._failures.take(address):
            raise TooManyFailed
        answer = caller_of(await self._client.review_token(token, PROGRESS_AUDIENCE))
        if answer is not None:
            self._failures.give_back(address)
        return answer


def may_be_for_us(token: str, now: float) -> bool:
    """Whether the token says of itself, with nothing verified, that it is for our audience and has not expired."""
    parts = token.split(".")
    if not token.isascii():
        return False
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "==")) if len(parts) == JWT_PARTS else None
    except (ValueError, RecursionError):
        return False
    if not isinstance(claims, dict):
        return False
    audience, expires = claims.get("aud"), claims.get("exp")
    ours = PROGRESS_AUDIENCE in audience if isinstance(audience, list) else audience == PROGRESS_AUDIENCE
    return ours and isinstance(expires, int | float) and expires > now - SKEW_SECONDS


def caller_of(status: Obj) -> Caller | None:
    """The caller in a TokenReview's status; None unless authenticated for our audience as a service account."""
    if not status.get("authenticated") or PROGRESS_AUDIENCE not in (status.get("audiences") or []):
        return None
    user = status.get("user") or {}
    username = str(user.get("username", ""))
    if not username.startswith(ACCOUNT_PREFIX):
        return None
    extra = user.get("extra") or {}
    namespace = username.removeprefix(ACCOUNT_PREFIX).partition(":")[0]
    return Caller(namespace, _first(extra.get(POD_NAME)), _first(extra.get(POD_UID)))


def _first(values: object) -> str:
    return str(values[0]) if isinstance(values, list) and values else ""
