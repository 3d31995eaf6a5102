"""Events on the custom resource, for `kubectl describe`: best effort, aggregated, never a reason to repeat a visit.

The same event again within ten minutes is counted in its series instead of making another object.
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from ..api.common import API_VERSION
from ..kube.client import KubeClient
from ..kube.errors import ApiError
from ..kube.kinds import EVENT, ref
from ..plan.observed import Obj, Owner
from ..plan.outcome import Event
from .gate import Gate
from .keys import Key
from .versions import digest

NOTE_LIMIT_BYTES = 1024  # events.k8s.io/v1 counts bytes
SERIES_SECONDS = 600.0
REMEMBERED = 4096
CONTROLLER = "slipway.dev/operator"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    count: int
    first: float


class Recorder:
    def __init__(
        self, client: KubeClient, gate: Gate, *, instance: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._client, self._gate, self._instance, self._clock = client, gate, instance, clock
        self._recent: OrderedDict[str, Series] = OrderedDict()

    async def record(self, key: Key, owner: Owner, event: Event) -> None:
        """Send or count one event. An ApiError is logged and dropped; NotLeader is raised."""
        now = self._clock()
        same = digest([owner.uid, event.type, event.reason, event.message])
        series = self._recent.get(same)
        try:
            if series is None or now - series.first > SERIES_SECONDS:
                series = Series(f"{key.name}.{same[:12]}.{int(now * 1000):x}", 1, now)
                await self._create(key, owner, event, series, now)
            else:
                series = Series(series.name, series.count + 1, series.first)
                await self._count(key, series, now)
        except ApiError as error:
            level = logging.DEBUG if error.namespace_is_going else logging.WARNING
            log.log(level, "the event %s could not be recorded: %s", event.reason, error)
            self._recent.pop(same, None)
            return
        self._remember(same, series)

    def _remember(self, same: str, series: Series) -> None:
        self._recent[same] = series
        self._recent.move_to_end(same)
        if len(self._recent) > REMEMBERED:
            self._recent.popitem(last=False)

    async def _create(self, key: Key, owner: Owner, event: Event, series: Series, now: float) -> None:
        from_api = event_body(key, owner, event, name=series.name, now=now, instance=self._instance)
        seconds = await self._gate.admit("create", EVENT.full)
        await self._client.create(from_api, timeout_seconds=seconds)

    async def _count(self, key: Key, series: Series, now: float) -> None:
        body = {"series": {"count": series.count, "lastObservedTime": micro_time(now)}}
        seconds = await self._gate.admit("event", EVENT.full)
        await self._client.merge(ref(EVENT, key.namespace, series.name), body, timeout_seconds=seconds)


def event_body(key: Key, owner: Owner, event: Event, *, name: str, now: float, instance: str) -> Obj:
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.kind,
        "metadata": {"name": name, "namespace": key.namespace},
        "eventTime": micro_time(now),
        "reportingController": CONTROLLER,
        "reportingInstance": instance[:128],
        "action": "Reconcile",
        "reason": event.reason,
        "type": event.type,
        "note": event.message.encode()[:NOTE_LIMIT_BYTES].decode(errors="ignore"),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": key.kind,
            "namespace": key.namespace,
            "name": key.name,
            "uid": owner.uid,
            "resourceVersion": owner.resource_version,
        },
    }


def micro_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
