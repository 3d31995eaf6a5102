"""Server-side apply with a cache: an apply that would change nothing is not sent.

A hit needs the same intent as last time and an object whose content (all but status) is what the API server returned
then; or, as after a restart, an object of which we own just what we want to own, with those values. Anyone's edit, a
deletion or a new intent is a miss, and the apply repairs it.
"""

import time
from collections.abc import Callable

from ..kube.client import KubeClient
from ..kube.errors import INVALID, ApiError
from ..kube.kinds import ref_of
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj, Ref
from ..telemetry.metrics import Metrics
from .gate import Gate
from .index import Index
from .memory import OwnerMemory, Written, stands
from .owned import intent_digest
from .versions import digest, older, stamp_of


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

    async def apply(self, memory: OwnerMemory, body: Obj) -> Obj | None:
        """Make `body`'s fields so; returns the object as it is now if something was sent. Raises ApiError, NotLeader.

        An object that is on its way out is left alone: its end will be told, and then it is made anew.
        """
        target, intent = ref_of(body), digest(body)
        known = self._index.child(target)
        if known is not None and known.deleting:
            return None
        if self._stands(memory, target, intent, body):
            self._metrics.applies_skipped.inc()
            return None
        memory.applied.pop(target, None)  # until it is answered, nothing is known
        try:
            answer = await self._send(target, body)
        except ApiError as error:
            if error.status != INVALID or known is None:
                raise
            answer = await self._overrule(target, body, error)
        memory.applied[target] = Written(stamp_of(answer, with_digest=True), intent, self._clock())
        return answer

    def _stands(self, memory: OwnerMemory, target: Ref, intent: str, body: Obj) -> bool:
        written, seen = memory.applied.get(target), self._index.stamp(target)
        if stands(written, intent, index=self._index, target=target, now=self._clock()):
            return True
        if seen is None or not seen.owned or seen.owned != intent_digest(body):
            return False
        if written is not None and older(seen.resource_version, than=written.stamp.resource_version):
            return False  # the watch has not told yet what we made of it since
        memory.applied[target] = Written(seen, intent, self._clock())
        return True

    async def _send(self, target: Ref, body: Obj) -> Obj:
        seconds = await self._gate.admit("apply", target.plural)
        return await self._client.apply(target, body, manager=FIELD_MANAGER, timeout_seconds=seconds)

    async def _overrule(self, target: Ref, body: Obj, error: ApiError) -> Obj:
        """What others wrote into a list that merges by key (ports, containers) may make our own entries invalid, and an
        apply never removes theirs. A merge patch replaces lists whole; then the apply makes the fields ours again.
        """
        seconds = await self._gate.admit("overrule", target.plural)
        try:
            await self._client.merge(target, body, timeout_seconds=seconds)
        except ApiError as second:
            if second.refused:  # it is our object that is wrong, not theirs
                raise error from second
            raise
        return await self._send(target, body)
