"""The emulator behind the interface of tests.controlplane.apiserver.ApiServer: one test, either server."""

from typing import Any
from urllib.parse import parse_qsl, urlsplit

from .apiserver import Emulator, Expired, Obj, default_kinds

WALL_SECONDS = 1_790_000_000.0


class EmulatedServer:
    """`request` alone; there is nothing that kubectl could talk to."""

    def __init__(self, *, managed_fields: bool = False) -> None:
        self.emulator = Emulator(default_kinds(), wall=lambda: WALL_SECONDS, managed_fields=managed_fields)

    def call(
        self, method: str, path: str, query: dict[str, str], body: Obj | None, content_type: str
    ) -> tuple[int, Obj]:
        """As conformance.Call. A watch is answered as a list of events, as conformance.RealServer reads one."""
        if query.get("watch"):
            return 200, {"events": self._watch(path, query)}
        answer = self.emulator.request(method, path, query=query, body=body, content_type=content_type)
        return answer.status, answer.body

    def _watch(self, path: str, query: dict[str, str]) -> list[Obj]:
        _, _, rest = path.partition("/namespaces/")
        namespace, plural = rest.split("/")
        group = path.split("/")[2] if path.startswith("/apis/") else ""
        resource = f"{plural}.{group}" if group else plural
        try:
            events = self.emulator.events_since(
                resource, namespace, query.get("labelSelector", ""), int(query["resourceVersion"])
            )
        except Expired as error:
            return [{"type": "ERROR", "object": error.body()}]
        return [{"type": event.type, "object": event.object} for event in events]

    def request(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        token: str | None = None,
    ) -> tuple[int, dict[str, Any]]:
        split = urlsplit(path)
        query = dict(parse_qsl(split.query, keep_blank_values=True))
        answer = self.emulator.request(method, split.path, query=query, body=body, content_type=content_type)
        return answer.status, answer.body
