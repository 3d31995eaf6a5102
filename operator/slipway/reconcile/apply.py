"""Server-side apply with a cache: an apply that would change nothing is not sent.

A hit needs the same intent as last time and an object whose content (all but status) is what the API server returned
then. Anyone's edit, a deletion or a new intent is a miss, and the apply repairs it.
"""

import time
from collections.abc import Callable

from ..kube.client import KubeClient
from ..kube.kinds import ref_of
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj
from ..telemetry.metrics import Metrics
from .gate import Gate
from .index import Index
from .memory import OwnerMemory, Written, stands
from .versions import digest, stamp_of


class Applier:
    def __init__(
        self,
        client: KubeClient,
        index: Index,
        gate: Gate,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._index, self._gate, self._metrics, self._clock = client, index, gate, metrics, clock

    async def apply(self, memory: OwnerMemory, body: Obj) -> bool:
        """Make `body`'s fields so; returns whether something was sent. Raises ApiError, NotLeader.

        An object that is on its way out is left alone: its end will be told, and then it is made anew.
        """
        target, intent = ref_of(body), digest(body)
        known = self._index.child(target)
        if known is not None and known.deleting:
            return False
        if stands(memory.applied.get(target), intent, index=self._index, target=target, now=self._clock()):
            self._metrics.applies_skipped.inc()
            return False
        seconds = await self._gate.admit("apply", target.plural)
        memory.applied.pop(target, None)  # until it is answered, nothing is known
        answer = await self._client.apply(target, body, manager=FIELD_MANAGER, timeout_seconds=seconds)
        memory.applied[target] = Written(stamp_of(answer, with_digest=True), intent, self._clock())
        return True
