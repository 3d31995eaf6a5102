"""What goes in and out of the emulated API server: answers, refusals, watch events and the audit log.

Refusals are worded as the real server words them where the operator or its tests read the words; elsewhere only status
and reason are the same.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets. `body` is shared with the store: read it, copy it, never change it."""

    status: int
    body: Obj
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """`type` is ADDED, MODIFIED, DELETED or BOOKMARK; `version` the resourceVersion of the change. Read only."""

    type: str
    object: Obj
    version: int


@dataclass(frozen=True, slots=True)
class Request:
    """One line of the audit log. `version` is the resourceVersion that was stored, 0 when nothing was."""

    method: str
    path: str
    query: dict[str, str]
    user: str
    status: int
    stored: bool
    version: int


@dataclass(frozen=True, slots=True)
class Cause:
    """One field that is wrong. `detail` is what follows the field in the message."""

    field: str
    detail: str
    reason: str = "FieldValueInvalid"


class Refusal(Exception):
    """An answer above 399, raised where it is noticed and turned into a Status by the server."""

    def __init__(self, status: int, reason: str, message: str, details: Obj | None = None) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status, self.reason, self.message, self.details = status, reason, message, details or {}

    def body(self) -> Obj:
        body: Obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        body |= {"message": self.message, "reason": self.reason, "details": self.details, "code": self.status}
        return body


class Expired(Refusal):
    """410: the version that a watch wants to go on from has been compacted away."""

    def __init__(self, version: int, oldest: int) -> None:
        super().__init__(410, "Expired", f"too old resource version: {version} ({oldest})")


def not_found(resource: str, name: str) -> Refusal:
    """`resource` is plural.group."""
    plural, _, group = resource.partition(".")
    details = {"name": name, "group": group, "kind": plural}
    return Refusal(404, "NotFound", f'{resource} "{name}" not found', details)


def no_such_path() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def exists(resource: str, name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f'{resource} "{name}" already exists', {"name": name})


def conflict(resource: str, name: str, why: str) -> Refusal:
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return Refusal(409, "Conflict", message, {"name": name})


CHANGED = "the object has been modified; please apply your changes to the latest version and try again"


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def forbidden(message: str) -> Refusal:
    return Refusal(403, "Forbidden", message)


def invalid(kind: str, group: str, name: str, causes: Iterable[Cause]) -> Refusal:
    """422 with the message of field.ErrorList: one cause as it is, several in brackets."""
    listed = list(causes)
    texts = list(dict.fromkeys(f"{cause.field}: {cause.detail}" for cause in listed))
    text = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    what = f"{kind}.{group}" if group else kind
    details = {
        "name": name,
        "group": group,
        "kind": kind,
        "causes": [{"reason": c.reason, "message": c.detail, "field": c.field} for c in listed],
    }
    return Refusal(422, "Invalid", f'{what} "{name}" is invalid: {text}', details)


def success(resource: str, name: str, uid: str) -> Obj:
    """The Status that a delete answers."""
    plural, _, group = resource.partition(".")
    details = {"name": name, "kind": plural, "uid": uid} | ({"group": group} if group else {})
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
