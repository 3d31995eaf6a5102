"""What one user asked of the API server, request by request, from its audit log."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, slots=True)
class Request:
    """`resource` is `plural/subresource`. `selector` is the label selector that was asked with."""

    verb: str
    resource: str
    name: str
    selector: str
    dry_run: bool
    code: int

    def writes(self) -> bool:
        return self.verb in WRITES and not self.dry_run


def requests_of(log: Path, user: str, *, skip: int = 0) -> list[Request]:
    """All of a user's requests after the first `skip`, in the order in which they were answered."""
    return list(_requests(log, user))[skip:]


def _requests(log: Path, user: str) -> Iterator[Request]:
    for line in log.read_text().splitlines():
        event = json.loads(line)
        # A watch is told of when it begins, and again when it ends: once is enough.
        once = event["stage"] == ("ResponseStarted" if event["verb"] == "watch" else "ResponseComplete")
        if once and event["user"]["username"] == user and "objectRef" in event:
            yield _request(event)


def _request(event: dict[str, Any]) -> Request:
    about, query = event["objectRef"], parse_qs(urlsplit(event["requestURI"]).query)
    below = f"/{about['subresource']}" if about.get("subresource") else ""
    return Request(
        verb=event["verb"],
        resource=f"{about['resource']}{below}",
        name=about.get("name", ""),
        selector=query.get("labelSelector", [""])[0],
        dry_run="dryRun" in query,
        code=event["responseStatus"]["code"],
    )


def count(requests: Collection[Request], verb: str, resource: str) -> int:
    return sum((each.verb, each.resource) == (verb, resource) for each in requests)
