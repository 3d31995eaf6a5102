"""A request body on its way in: read as the kind's types, pruned and defaulted, with what may not be written set right.

`Reader` is for one kind. What it returns shares every unchanged part with the stored object.
"""

from typing import Any

from . import metadata, structural
from .answers import CHANGED, Cause, Obj, Refusal, bad_request, conflict, invalid
from .decode import Mismatch, decoded, wrong_type
from .decode import metadata as read_metadata
from .kinds import Kind
from .shapes import ANY, META, Shape, core
from .structural import OWN

SERVER_FIELDS = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "resourceVersion",
    "selfLink",
)


class Reader:
    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    def empty(self) -> Obj:
        """What an apply that creates is merged into."""
        if self.kind.custom:
            return {}
        made: Obj = decoded({}, self.kind.shape, kind=self.kind.kind, version=self.kind.version, unknown=_ignore)
        return made

    def read(self, body: Any, *, strict: bool) -> Obj:
        """`body` as it would be stored, with defaults. Raises Refusal 400."""
        if not isinstance(body, dict):
            raise bad_request("the body of the request must be an object")
        self._check_type(body)
        unknown: list[str] = []
        tell = unknown.append if strict else _ignore
        made = self._custom(body, tell) if self.kind.custom else self._core(body, tell)
        if unknown:
            told = ", ".join(f'unknown field "{path}"' for path in unknown)
            head = f'{self.kind.kind} in version "{self.kind.version}" cannot be handled as a {self.kind.kind}: '
            raise bad_request(f"{head}strict decoding error: {told}")
        return made

    def _check_type(self, body: Obj) -> None:
        given = body.get("apiVersion", self.kind.api_version), body.get("kind", self.kind.kind)
        if given != (self.kind.api_version, self.kind.kind):
            raise bad_request(
                f"the API version and kind in the data ({given[0]}, {given[1]}) do not match the expected ones"
                f" ({self.kind.api_version}, {self.kind.kind})"
            )

    def _core(self, body: Obj, unknown: Any) -> Obj:
        body = _without_managers(body)
        made = decoded(body, self.kind.shape, kind=self.kind.kind, version=self.kind.version, unknown=unknown)
        return self.kind.default(self._typed(made))

    def _custom(self, body: Obj, unknown: Any) -> Obj:
        body = self._typed(_without_managers(body))
        try:
            meta = read_metadata(body.get("metadata") or {}, core(META), unknown)
        except Mismatch as error:
            raise wrong_type(self.kind.kind, self.kind.version, error) from error
        if meta is not body.get("metadata"):
            body = {**body, "metadata": meta}
        pruned = structural.pruned(body, self.kind.shape, "", unknown)
        made: Obj = structural.defaulted(pruned, self.kind.shape)
        return made

    def _typed(self, body: Obj) -> Obj:
        if body.get("apiVersion") == self.kind.api_version and body.get("kind") == self.kind.kind:
            return body
        return {"apiVersion": self.kind.api_version, "kind": self.kind.kind, **body}

    def check_known(self, config: Obj) -> None:
        """Raises Refusal 500, as the real server does, for a field in an applied object that the type lacks."""
        found = undeclared(config, self.kind.shape, "")
        if found is not None:
            meta = config.get("metadata") or {}
            where = (
                f"{meta.get('namespace', '')}/{meta.get('name', '')}; {self.kind.api_version}, Kind={self.kind.kind}"
            )
            text = f"failed to create typed patch object ({where}): {found}: field not declared in schema"
            raise Refusal(500, "", text)

    def check(self, new: Obj, old: Obj | None) -> None:
        """Raises Refusal 422."""
        name = new["metadata"].get("name", "")
        causes: list[Cause] = []
        if old is None or new["metadata"] is not old["metadata"]:
            causes += metadata.problems(new["metadata"], plural=self.kind.plural)
        causes += structural.problems(new, old, self.kind.shape) if self.kind.custom else self.kind.validate(new, old)
        if causes:
            raise invalid(self.kind.kind, self.kind.group, name, causes)

    def guard(self, new: Obj, old: Obj) -> None:
        """Raises Refusal 409 when `new` speaks of another version or another object than `old`."""
        given, known = new["metadata"], old["metadata"]
        uid, version = given.get("uid"), given.get("resourceVersion")
        if uid and uid != known["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {known['uid']}"
            raise conflict(self.kind.full, known["name"], why)
        if version and version != known["resourceVersion"]:
            raise conflict(self.kind.full, known["name"], CHANGED)

    def separated(self, new: Obj, old: Obj, subresource: str) -> Obj:
        """`new` with what this endpoint may not write taken from `old`."""
        if subresource == "status":
            return with_field(old, "status", new.get("status"))
        if self.kind.status:
            new = with_field(new, "status", old.get("status"))
        return with_field(new, "metadata", _server_fields(new["metadata"], old["metadata"]))

    def counted(self, new: Obj, old: Obj) -> Obj:
        """`new` with its generation raised when it asks for something else than `old`."""
        if not self.kind.counts or not self._differs(new, old):
            return new
        generation = old["metadata"].get("generation", 0) + 1
        return with_field(new, "metadata", {**new["metadata"], "generation": generation})

    def _differs(self, new: Obj, old: Obj) -> bool:
        if not self.kind.custom and "spec" in self.kind.shape.fields:
            return bool(new.get("spec") != old.get("spec"))
        free = OWN | {"status"} if self.kind.status else OWN
        keys = (new.keys() | old.keys()) - free
        return any(new.get(key) != old.get(key) for key in keys)


def undeclared(value: Any, shape: Shape, path: str) -> str | None:
    """The first field at or below `path` that the type does not have."""
    if shape is ANY:
        return None
    if isinstance(value, dict):
        for key, below in value.items():
            if not path and key in ("apiVersion", "kind"):
                continue
            field = shape.field(key)
            found = f"{path}.{key}" if field is None else undeclared(below, field, f"{path}.{key}")
            if found is not None:
                return found
    elif isinstance(value, list) and shape.element is not None and not shape.plain:
        for place, item in enumerate(value):
            if found := undeclared(item, shape.element, f"{path}[{place}]"):
                return found
    return None


def _ignore(_: str) -> None:
    return None


def _without_managers(body: Obj) -> Obj:
    meta = body.get("metadata")
    if not isinstance(meta, dict) or "managedFields" not in meta:
        return body
    return {**body, "metadata": {key: value for key, value in meta.items() if key != "managedFields"}}


def with_field(body: Obj, key: str, value: Any) -> Obj:
    if body.get(key) is value:
        return body
    rest = {name: each for name, each in body.items() if name != key}
    return rest if value is None else {**body, key: value}


def _server_fields(new: Obj, old: Obj) -> Obj:
    if all(new.get(key) == old.get(key) for key in SERVER_FIELDS):
        return new
    kept = {key: value for key, value in new.items() if key not in SERVER_FIELDS}
    return kept | {key: old[key] for key in SERVER_FIELDS if key in old}


def refuse_other_name(body: Obj, name: str, namespace: str) -> None:
    """Raises Refusal 400 when the body is of another object than the path."""
    meta = body.get("metadata") or {}
    if not isinstance(meta, dict):
        raise bad_request("metadata must be an object")
    given = meta.get("name")
    if name and given not in (None, "", name):
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")
    if meta.get("namespace") not in (None, "", namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")


def missing_name() -> Refusal:
    return bad_request("name is required")
