"""Every change in the API server, in order, with who made it: for the controllers, the watches and the oracles."""

import asyncio
from collections.abc import Callable

from .apiserver import Emulator, WatchEvent

Told = Callable[[str, WatchEvent, str], None]  # (resource, event, user)


class Feed:
    """Calls `told` for each change, soon after it happened: after the request, before anything else runs."""

    def __init__(self, api: Emulator, told: Told) -> None:
        self._api, self._told = api, told
        self._version, self._asked = api.version, len(api.requests)
        self._due = False
        api.on_change(self._changed)

    def _changed(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._due = False
        since, self._version = self._version, self._api.version
        asked, self._asked = self._asked, len(self._api.requests)
        users = {request.version: request.user for request in self._api.requests[asked:] if request.stored}
        for resource, event in self._api.history(since):
            self._told(resource, event, users.get(event.version, ""))
