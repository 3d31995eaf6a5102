"""What cannot be repeated harmlessly: creating an attempt once, and deleting. Both are confirmed by live reads first.

The premise of either is the owner's status ("attempt 2 is to run"), and the index may be behind it: a former leader may
have moved on. So the owner must be, at the API server, exactly the version that was planned from. A gang is created
only when no pod of another attempt is left, as the API server sees it, not as the watch has told it: two gangs at once
would write the same checkpoints.
"""

import logging
import time
from collections.abc import Callable

from ..kube.client import KubeClient
from ..kube.errors import CONFLICT, NOT_FOUND, ApiError, Stale
from ..kube.kinds import TABLE, ref, ref_of
from ..plan.labels import ATTEMPT, FIELD_MANAGER, TRAINING_JOB
from ..plan.observed import Obj, Owner, Ref
from ..plan.outcome import Delete
from .gate import Gate
from .index import Index
from .keys import Key
from .memory import OwnerMemory, Written, stands
from .observe import owner_uid
from .versions import stamp_of

ENDED = ("Succeeded", "Failed")  # a pod's phases
FIRST = "0"  # value of the attempt label
CREATED_ONCE = ""  # a created object has no intent that could change

log = logging.getLogger(__name__)


class Once:
    def __init__(
        self, client: KubeClient, index: Index, gate: Gate, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client, self._index, self._gate, self._clock = client, index, gate, clock

    def needed(self, memory: OwnerMemory, owner: Owner, body: Obj) -> bool:
        """Whether `body` still has to be created, as far as we know without asking."""
        target = ref_of(body)
        known = self._index.child(target)
        if known is not None and known.owner_uid == owner.uid and not known.deleting:
            return False
        return not stands(memory.created.get(target), CREATED_ONCE, index=self._index, target=target, now=self._clock())

    async def confirm_owner(self, key: Key, owner: Owner) -> None:
        """Raises Stale unless the owner at the API server is the one that was planned from."""
        live = await self._client.get(owner_ref(key))
        metadata = (live or {}).get("metadata", {})
        if metadata.get("uid") != owner.uid or metadata.get("deletionTimestamp"):
            raise Stale(f"{key} is gone or going")
        if metadata.get("resourceVersion") != owner.resource_version:
            raise Stale(f"{key} has changed since it was planned from")

    async def create(self, memory: OwnerMemory, owner: Owner, body: Obj) -> None:
        """Create once. That it exists and is ours is success. Raises ApiError (409: another's), Stale, NotLeader."""
        target = ref_of(body)
        await self._confirm_alone(body)
        seconds = await self._gate.admit("create", target.plural)
        try:
            answer = await self._client.create(body, manager=FIELD_MANAGER, timeout_seconds=seconds)
        except ApiError as error:
            if error.status != CONFLICT:
                raise
            answer = await self._existing(target, owner, error)
        memory.created[target] = Written(stamp_of(answer, with_digest=True), CREATED_ONCE, self._clock())

    async def _confirm_alone(self, body: Obj) -> None:
        """Raises Stale while pods of another attempt of the same job exist.

        Of a job whose attempt is the first there has been no other: its status, read live just now, would say so, since
        a number is written before its gang is made. That listing would cost most where it matters least: the API
        server goes through all pods of the namespace for it.
        """
        labels = body["metadata"].get("labels") or {}
        job, attempt = labels.get(TRAINING_JOB), labels.get(ATTEMPT)
        if job is None or attempt is None or attempt == FIRST:
            return
        pods = await self._client.list_pods(body["metadata"]["namespace"], f"{TRAINING_JOB}={job},{ATTEMPT}!={attempt}")
        if pods:
            names = ", ".join(sorted(p["metadata"]["name"] for p in pods)[:3])
            raise Stale(f"{len(pods)} pods of other attempts are still there: {names}")

    async def _existing(self, target: Ref, owner: Owner, error: ApiError) -> Obj:
        live = await self._client.get(target)
        if live is None:  # it went between the two requests
            raise Stale(f"{target.kind} {target.name} has just been deleted") from error
        if owner_uid(live) == owner.uid:
            if live["metadata"].get("deletionTimestamp"):
                raise Stale(f"{target.kind} {target.name} is being deleted") from error
            return live
        raise ForeignObject(target) from error

    async def delete(self, wanted: Delete) -> None:
        """Delete this very object, if it is still there. Raises ApiError, NotLeader.

        A conflict is raised, too: it may be another object of the name, a state that is not the newest, or a store that
        was busy, and the next look tells which. Nothing else would come back to one that still stands.
        """
        live = await self._client.get(wanted.ref)
        metadata = (live or {}).get("metadata", {})
        if metadata.get("uid") != wanted.uid or metadata.get("deletionTimestamp"):
            return
        if wanted.unless_ended and (live or {}).get("status", {}).get("phase") in ENDED:
            return
        version = wanted.version or (metadata["resourceVersion"] if wanted.unless_ended else "")
        seconds = await self._gate.admit("delete", wanted.ref.plural)
        try:
            await self._client.delete(wanted.ref, wanted.uid, version=version, timeout_seconds=seconds)
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise


class ForeignObject(ApiError):
    """The name is taken by an object that is not ours: a refusal, which only a person can resolve."""

    def __init__(self, target: Ref) -> None:
        where = f"{target.kind} {target.namespace}/{target.name}"
        super().__init__(
            CONFLICT, "AlreadyExists", f"{where} exists and belongs to something else: delete or rename it"
        )

    @property
    def refused(self) -> bool:
        return True


def owner_ref(key: Key) -> Ref:
    resource = next(r for (_, kind), r in TABLE.items() if kind == key.kind)
    return ref(resource, key.namespace, key.name)
