"""kopf, and nothing but kopf: watch streams and their retries. Record in the index, enqueue the owners' keys, return.

Only `on.event`: change-detecting handlers, timers and daemons would write annotations or finalizers. Selectors are the
API server's work (kopf's `labels=` filters after the fact). Objects are taken before kopf calls a
handler: see listings.py.
"""

from collections.abc import Awaitable, Callable
from typing import cast

import kopf

from .kube.kinds import CHILDREN, WATCHED, Resource
from .listings import Recorded
from .plan.labels import SELECTOR
from .plan.observed import Obj

# A page is read and parsed whole, by all kinds at once. An object may have 1.5 MB, so of anybody's largest a page is
# 75 MB, and three times that while it is parsed; of honest ones it is half a megabyte.
PAGE_OBJECTS = 50

Login = Callable[[], Awaitable[kopf.ConnectionInfo]]


def registry(recorded: Recorded, login: Login) -> kopf.OperatorRegistry:
    """Handlers for every watched kind, on a registry of their own."""
    made = kopf.OperatorRegistry()

    @kopf.on.login(registry=made)
    async def _login(**_: object) -> kopf.ConnectionInfo:
        return await login()

    for resource in WATCHED:
        _watch(made, resource, recorded)
    return made


def _watch(made: kopf.OperatorRegistry, resource: Resource, recorded: Recorded) -> None:
    """Says that `resource` is to be watched. What has slipped past listings.py is taken here."""

    @kopf.on.event(resource.group, resource.version, resource.plural, id=resource.full, registry=made)
    async def _event(event: kopf.RawEvent, **_: object) -> None:
        recorded(resource, event["type"], cast(Obj, event["object"]))


def settings() -> kopf.OperatorSettings:
    """kopf writes nothing: no events, no peering, no finalizers. It retries for a minute, then the process ends."""
    made = kopf.OperatorSettings()
    made.posting.enabled = False
    made.peering.standalone = True
    made.queueing.worker_limit = None
    made.queueing.idle_timeout = 0.1  # a worker per object is a task per object: let go of it
    made.networking.request_timeout = 60.0
    made.networking.connect_timeout = 5.0
    made.watching.connect_timeout = 5.0
    made.watching.reconnect_backoff = 0.1
    made.watching.initial_streaming = False  # listings.py needs the listing to be one
    made.watching.chunk_size = PAGE_OBJECTS
    made.process.ultimate_exiting_timeout = None
    for resource in CHILDREN:
        selected = (resource.group, resource.version, resource.plural)
        made.watching.label_selectors[selected] = SELECTOR
    return made
