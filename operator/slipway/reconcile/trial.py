"""Trying pod templates before anything is made of them: a dry-run create as a core/v1 PodTemplate.

A PyTorchJob's schema checks little of its pod templates, and a Deployment with a bad one fails where the user does not
look. What the API server accepts is remembered by hash; what it refuses is asked again after a while, for a quota or a
policy may have been mended.
"""

import time
from collections import OrderedDict
from collections.abc import Callable

from ..kube.client import KubeClient
from ..kube.errors import ApiError
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj

REMEMBERED = 4096
REFUSAL_SECONDS = 30.0


class Trial:
    def __init__(self, client: KubeClient, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client, self._clock = client, clock
        self._verdicts: OrderedDict[tuple[str, str], tuple[str, float]] = OrderedDict()

    async def verdict(self, hash_: str, template: Obj) -> str:
        """The API server's complaint, "" when it accepts. Raises ApiError when it could not say."""
        place = (template.get("metadata", {}).get("namespace", ""), hash_)
        known = self._verdicts.get(place)
        if known is not None and (not known[0] or self._clock() - known[1] < REFUSAL_SECONDS):
            self._verdicts.move_to_end(place)
            return known[0]
        complaint = await self._ask(template)
        self._verdicts[place] = (complaint, self._clock())
        if len(self._verdicts) > REMEMBERED:
            self._verdicts.popitem(last=False)
        return complaint

    async def _ask(self, template: Obj) -> str:
        try:
            await self._client.create(template, manager=FIELD_MANAGER, dry_run=True)
        except ApiError as error:
            if not error.refused:
                raise
            return error.message
        return ""
