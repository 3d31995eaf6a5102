"""Who is calling: the pod behind a service account token, by TokenReview, for one audience.

Answers are kept for a minute by the token's hash, refusals for ten seconds, so that a chatty or hostile pod costs the
API server next to nothing. The token itself is never kept.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from ..kube.client import KubeClient
from ..plan.names import PROGRESS_AUDIENCE
from ..plan.observed import Obj

ACCEPTED_SECONDS, REFUSED_SECONDS = 60.0, 10.0
REMEMBERED = 10_000
POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
ACCOUNT_PREFIX = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod that the API server vouches for. `pod_uid` is "" for a token that is bound to no pod."""

    namespace: str
    pod_name: str
    pod_uid: str


class Tokens:
    def __init__(self, client: KubeClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._known: OrderedDict[bytes, tuple[Caller | None, float]] = OrderedDict()

    async def caller(self, token: str) -> Caller | None:
        """None when the token is not valid for our audience. Raises ApiError when nobody could say."""
        hashed, now = hashlib.sha256(token.encode()).digest(), self._clock()
        known = self._known.get(hashed)
        if known is not None and now < known[1]:
            return known[0]
        answer = caller_of(await self._client.review_token(token, PROGRESS_AUDIENCE))
        self._known[hashed] = (answer, now + (ACCEPTED_SECONDS if answer else REFUSED_SECONDS))
        self._known.move_to_end(hashed)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return answer


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
