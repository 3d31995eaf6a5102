"""One status write per visit, only when it differs from what is there; then the Events, only if that write succeeded.

An Event tells of a transition, and every transition is in the status: without a status write there is none to tell.

The write carries uid and resourceVersion: a status made from an older state, by us or by a former leader whose request
was long under way, is answered with a conflict instead of turning time back (`attempt` must never go down).
"""

import time
from collections.abc import Callable
from dataclasses import replace

from ..kube.client import KubeClient
from ..plan.labels import STATUS_FIELD_MANAGER
from ..plan.observed import Obj, Owner
from ..plan.outcome import Plan
from .events import Recorder
from .gate import Gate
from .keys import Key
from .memory import OwnerMemory, Written
from .once import owner_ref
from .versions import digest, stamp_of


class StatusWriter:
    def __init__(
        self, client: KubeClient, gate: Gate, events: Recorder, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._gate, self._events, self._clock = client, gate, events, clock

    async def write(self, key: Key, owner: Owner, plan: Plan, memory: OwnerMemory) -> bool:
        """Returns whether a write was needed. Raises ApiError (409 when the owner has changed meanwhile), NotLeader."""
        wanted = without_nothing(plan.status)
        if wanted == without_nothing(owner.status) or _stored_as(memory.status, wanted, owner.status):
            return False
        await self._send(key, owner, wanted, memory)
        for event in dict.fromkeys(plan.events):
            await self._events.record(key, owner, event)
        return True

    async def _send(self, key: Key, owner: Owner, status: Obj, memory: OwnerMemory) -> None:
        target = owner_ref(key)
        metadata = {
            "name": key.name,
            "namespace": key.namespace,
            "uid": owner.uid,
            "resourceVersion": owner.resource_version,
        }
        body = {"apiVersion": target.api_version, "kind": target.kind, "metadata": metadata, "status": status}
        seconds = await self._gate.admit("status", target.plural)
        answer = await self._client.apply(
            target, body, manager=STATUS_FIELD_MANAGER, subresource="status", timeout_seconds=seconds
        )
        stamp = replace(stamp_of(answer, with_digest=False), digest=digest(answer.get("status") or {}))
        memory.status = Written(stamp, digest(status), self._clock())


def _stored_as(written: Written | None, wanted: Obj, observed: Obj) -> bool:
    """Whether `observed` is how the API server stored `wanted` last time: its schema may have added defaults."""
    return written is not None and written.intent == digest(wanted) and written.stamp.digest == digest(observed)


def without_nothing(value: Obj) -> Obj:
    """Without None, which the API server drops; what remains is compared with what it stored."""
    return {k: without_nothing(v) if isinstance(v, dict) else v for k, v in value.items() if v is not None}
