"""The leader's address, kept where pods send progress to: when it is written, and when it is looked at again.

It is read before it is written, so that nothing is written at rest; and read again and again, for no watch tells that
somebody has deleted or changed it, or that a former leader's request arrived late. A job whose reports go nowhere looks
as if it stood still, and would be restarted.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from ..kube.client import KubeClient
from ..kube.errors import ApiError, NotLeader
from ..kube.kinds import ref_of
from ..kube.leader_slice import shows
from ..plan.labels import FIELD_MANAGER
from ..plan.observed import Obj
from .gate import Gate

LOOK_SECONDS = 30.0  # between two looks at rest
RETRY_SECONDS = 1.0
REQUEST_SECONDS = 5.0

log = logging.getLogger(__name__)


class LeaderAddress:
    """`wanted` is this process's EndpointSlice. `leading` tells whether it leads; `announce()` when it begins to."""

    def __init__(self, client: KubeClient, gate: Gate, wanted: Obj, *, leading: Callable[[], bool]) -> None:
        self._client, self._gate, self._wanted, self._leading = client, gate, wanted, leading
        self._gained = asyncio.Event()

    def announce(self) -> None:
        """Leadership has begun: publish at once."""
        self._gained.set()

    async def keep(self) -> None:
        """Until cancelled."""
        while True:
            pause = await self._look() if self._leading() else LOOK_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._gained.wait(), pause)
            self._gained.clear()

    async def _look(self) -> float:
        """Make it so where it is not; returns the seconds until the next look."""
        try:
            await self._publish()
        except NotLeader:
            log.debug("the address is left to the next leader")
        except ApiError as error:
            log.warning("the leader's address could not be published: %s", error)
            return LOOK_SECONDS if error.refused else RETRY_SECONDS
        return LOOK_SECONDS

    async def _publish(self) -> None:
        target = ref_of(self._wanted)
        live = await self._client.get(target, timeout_seconds=REQUEST_SECONDS)
        if live is not None and shows(live, self._wanted):
            return
        body = self._wanted if live is None else _replacing(live, self._wanted)
        seconds = min(REQUEST_SECONDS, await self._gate.admit("apply", target.plural))
        await self._client.apply(target, body, manager=FIELD_MANAGER, timeout_seconds=seconds)
        log.info("the leader's address is published", extra={"service": target.name})


def _replacing(live: Obj, wanted: Obj) -> Obj:
    """With the version that was read: once the next leader has written, a late request of ours is a conflict."""
    return {**wanted, "metadata": {**wanted["metadata"], "resourceVersion": live["metadata"]["resourceVersion"]}}
