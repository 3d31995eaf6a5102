"""Trying pod templates before anything is made of them: a dry-run create as a core/v1 PodTemplate.

A PyTorchJob's schema checks little of its pod templates, and a Deployment with a bad one fails where the user does not
look. What the API server accepts is remembered by hash, and what it calls invalid for a while. What something beside it
refuses (a quota, a webhook, a policy) is asked again after a few seconds, for that may have been mended.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

from ..kube.client import KubeClient
from ..kube.errors import INVALID, ApiError
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj, Verdict

REMEMBERED = 4096
BAD_REQUEST = 400
INVALID_SECONDS = 30.0
REFUSAL_SECONDS = 4.0  # below the 5 s after which both planners ask again
# Admission's words. A webhook or a policy may answer with 400 or 422 too, and says nothing of the template for good.
DENIED = ("denied the request", "denied request")


class Trial:
    def __init__(self, client: KubeClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._verdicts: OrderedDict[tuple[str, str], tuple[Verdict, float]] = OrderedDict()

    async def verdict(self, hash_: str, template: Obj) -> Verdict:
        """What the API server says of `template`. Raises ApiError when it could not say."""
        place = (template.get("metadata", {}).get("namespace", ""), hash_)
        known = self._verdicts.get(place)
        if known is not None and self._clock() - known[1] < _lifetime_seconds(known[0]):
            self._verdicts.move_to_end(place)
            return known[0]
        verdict = await self._ask(template)
        self._verdicts[place] = (verdict, self._clock())
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)
        return verdict

    async def _ask(self, template: Obj) -> Verdict:
        try:
            await self._client.create(template, manager=FIELD_MANAGER, dry_run=True)
        except ApiError as error:
            if not error.refused:
                raise
            return Verdict(error.message, invalid=_is_invalid(error))
        return Verdict()


def _is_invalid(error: ApiError) -> bool:
    denied = any(sign in error.message for sign in DENIED)
    return error.status in (BAD_REQUEST, INVALID) and not denied


def _lifetime_seconds(verdict: Verdict) -> float:
    if not verdict.complaint:
        return math.inf
    return INVALID_SECONDS if verdict.invalid else REFUSAL_SECONDS
