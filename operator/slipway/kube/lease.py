"""Leader election over a Lease: who may write, and until when.

A Lease does not fence: the API server takes a write from anyone. So the leader stops by its own clock: no write begins
after `renew_deadline_seconds` counted from *before* its last successful renewal was sent. Others wait until they have
seen the Lease unchanged for its whole duration, counted from when *they* read it. Both are durations on one machine's
monotonic clock, so clocks that disagree change nothing. Updates carry the resourceVersion: of two candidates one wins.

A user may delete the Lease, or clear its holder, and the leader does not know of it before its next renewal. So that
too is waited for, by all but the leader; only what its holder has given up itself is free at once, and a Lease that
this process has never seen: nothing tells a first start from that.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from ..plan.observed import Obj
from ..settings import LeaseSettings
from ..telemetry.metrics import Metrics
from .client import KubeClient
from .errors import CONFLICT, NOT_FOUND, ApiError
from .kinds import LEASE, ref

REQUEST_SECONDS = 5.0
RELEASE_SECONDS = 4.0  # for all requests of a release: it is bounded by the pod's grace period
RELEASED_SECONDS = 1  # the duration, in the Lease, by which its holder says that it has given it up

log = logging.getLogger(__name__)


class Step(Enum):
    CREATE = "create"  # there is no Lease
    RENEW = "renew"  # it is ours
    TAKE = "take"  # it is nobody's, or its holder has let it lapse
    WAIT = "wait"  # it is another's, or may have been a moment ago


@dataclass(frozen=True, slots=True)
class Seen:
    """A Lease as read, and when: `since` is this machine's monotonic clock when this state was first seen.

    `gone`: it was there, last as `body`, and is no more.
    """

    body: Obj
    since: float
    gone: bool = False

    @property
    def holder(self) -> str:
        return str(self.body.get("spec", {}).get("holderIdentity") or "")

    @property
    def duration_seconds(self) -> float:
        return float(self.body.get("spec", {}).get("leaseDurationSeconds") or 0)

    @property
    def version(self) -> str:
        return str(self.body.get("metadata", {}).get("resourceVersion") or "")

    @property
    def given_up(self) -> bool:
        """By its holder. Where a user has cleared the holder the duration is still what the holder wrote."""
        return not self.gone and not self.holder and self.duration_seconds == RELEASED_SECONDS


def decide(seen: Seen | None, *, identity: str, duration_seconds: float, leading: bool, now: float) -> Step:
    """What to do about the Lease as last read, at monotonic time `now`.

    `duration_seconds` is what we write into it ourselves. `leading`: our own time is not over yet, so nobody else can
    have had what is nobody's now.
    """
    if seen is None:
        return Step.CREATE
    if seen.holder == identity and not seen.gone:
        return Step.RENEW
    ours_again = leading and (seen.gone or not seen.holder)
    patience = max(duration_seconds, seen.duration_seconds)
    if seen.given_up or ours_again or now >= seen.since + patience:
        return Step.CREATE if seen.gone else Step.TAKE
    return Step.WAIT


def written(before: Obj | None, *, settings: LeaseSettings, now: datetime, holder: str, duration_seconds: float) -> Obj:
    """The Lease that claims or renews (or, with an empty holder, gives up) leadership."""
    stamp = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    old = (before or {}).get("spec") or {}
    same = old.get("holderIdentity") == holder
    # transitions: how often it changed hands, as client-go counts
    transitions = int(old.get("leaseTransitions") or 0) + (0 if same or not holder or before is None else 1)
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": int(duration_seconds),
        "acquireTime": old.get("acquireTime") if same and old.get("acquireTime") else stamp,
        "renewTime": stamp,
        "leaseTransitions": transitions,
    }
    metadata = {**(before or {}).get("metadata", {}), "name": settings.name, "namespace": settings.namespace}
    metadata.pop("managedFields", None)
    return {"apiVersion": LEASE.api_version, "kind": LEASE.kind, "metadata": metadata, "spec": spec}


class Elector:
    """Holds, renews, loses and releases the Lease. `run()` forever; `remaining()` before each write."""

    def __init__(
        self,
        client: KubeClient,
        settings: LeaseSettings,
        metrics: Metrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._settings, self._metrics = client, settings, metrics
        self._clock, self._wall, self._chance = clock, wall, chance
        self._target = ref(LEASE, settings.namespace, settings.name)
        self._seen: Seen | None = None
        self._expiry = float("-inf")
        self._leading = False

    def remaining(self) -> float:
        """Seconds for which writes may still begin; 0 without the lease."""
        return max(0.0, self._expiry - self._clock())

    def may_write(self) -> bool:
        return self.remaining() > 0.0

    async def run(self, *, on_gain: Callable[[], None], on_loss: Callable[[], None]) -> None:
        """Campaign until cancelled. The callbacks run at each handover and must not block."""
        while True:
            # A lease that lapsed during the pause is lost, though it may be ours again after the attempt: visits have
            # ended without their writes meanwhile.
            self._hand_over(on_gain, on_loss)
            try:
                await self._attempt()
            except ApiError as error:
                log.warning("the lease could not be read or written: %s", error)
            self._hand_over(on_gain, on_loss)
            await asyncio.sleep(self._pause())

    def _hand_over(self, on_gain: Callable[[], None], on_loss: Callable[[], None]) -> None:
        leading = self.may_write()
        if leading == self._leading:
            return
        self._leading = leading
        self._metrics.leader.labels(self._settings.name).set(int(leading))
        self._metrics.handovers.labels("leader" if leading else "standby").inc()
        log.info("leading" if leading else "no longer leading", extra={"identity": self._settings.identity})
        (on_gain if leading else on_loss)()

    def _pause(self) -> float:
        """A leader comes back early enough to notice its own expiry; candidates not all at once."""
        if self.may_write():
            return min(self._settings.retry_seconds, self.remaining())
        return self._settings.retry_seconds * (1.0 + 0.2 * self._chance())

    async def _attempt(self) -> None:
        """One step: renew from what is known, or read first. Raises ApiError."""
        if not (self.may_write() and self._seen is not None):
            await self._read()
        try:
            await self._step()
        except ApiError as error:
            if error.status not in (CONFLICT, NOT_FOUND):
                raise
            await self._read()  # somebody wrote in between
            await self._step()

    async def _step(self) -> None:
        """Claim the Lease if it is ours to claim. Another's ends our leadership at once."""
        step = decide(
            self._seen,
            identity=self._settings.identity,
            duration_seconds=self._settings.duration_seconds,
            leading=self.may_write(),
            now=self._clock(),
        )
        if step is Step.WAIT:
            self._expiry = float("-inf")
        else:
            await self._claim()

    async def _claim(self) -> None:
        before = self._seen.body if self._seen and not self._seen.gone else None
        lease = written(
            before,
            settings=self._settings,
            now=self._now(),
            holder=self._settings.identity,
            duration_seconds=self._settings.duration_seconds,
        )
        sent = self._clock()
        timeout = self._timeout()
        if before is None:
            answer = await self._client.create(lease, timeout_seconds=timeout)
        else:
            answer = await self._client.replace(self._target, lease, timeout_seconds=timeout)
        self._note(answer)
        self._expiry = sent + self._settings.renew_deadline_seconds

    async def _read(self) -> None:
        try:
            self._note(await self._client.request("GET", self._path(), timeout_seconds=self._timeout()))
        except ApiError as error:
            if error.status != NOT_FOUND:
                raise
            if self._seen is not None and not self._seen.gone:
                self._seen = Seen(self._seen.body, self._clock(), gone=True)

    def _now(self) -> datetime:
        """For people to read in the Lease; nothing is decided by it."""
        return datetime.fromtimestamp(self._wall(), UTC)

    def _path(self) -> str:
        return f"/apis/{LEASE.api_version}/namespaces/{self._settings.namespace}/leases/{self._settings.name}"

    def _note(self, body: Obj) -> None:
        new = Seen(body, self._clock())
        if self._seen is None or self._seen.gone or self._seen.version != new.version:
            self._seen = new

    def _timeout(self) -> float:
        return min(REQUEST_SECONDS, self.remaining()) if self.may_write() else REQUEST_SECONDS

    async def release(self) -> None:
        """Give leadership up, so that a standby takes over at once. No write may begin from here on."""
        held = self.may_write()
        self._expiry = float("-inf")
        if not held:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._give_up()
        except (ApiError, TimeoutError) as error:
            why = str(error) or f"no answer within {RELEASE_SECONDS:.0f} s"
            log.warning("the lease could not be released and will expire instead: %s", why)

    async def _give_up(self) -> None:
        """Write that it is nobody's. A renewal that was cut short may have taken effect, or yet do so: then the version
        is another than we know, and the Lease is read for it, for as long as it is ours."""
        while self._seen is not None and not self._seen.gone and self._seen.holder == self._settings.identity:
            before, seconds = self._seen.body, RELEASED_SECONDS
            lease = written(before, settings=self._settings, now=self._now(), holder="", duration_seconds=seconds)
            try:
                await self._client.replace(self._target, lease, timeout_seconds=RELEASE_SECONDS)
                return
            except ApiError as error:
                if error.status != CONFLICT:
                    raise
            await self._read()
