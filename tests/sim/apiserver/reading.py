"""A request body on its way in: read as the kind's types, pruned and defaulted, with what may not be written set right.

`Reader` is for one kind. What it returns shares every unchanged part with the stored object.
"""

from collections.abc import Iterator
from typing import Any

from . import metadata, structural
from .answers import CHANGED, Cause, Obj, Refusal, bad_request, conflict, invalid
from .causes import IMMUTABLE, forbidden, wrong
from .decode import Mismatch, decoded, wrong_type
from .decode import metadata as read_metadata
from .kinds import Kind
from .rules import OWN
from .shapes import META, Form, Shape, core

MAY_BE_EMPTY = ("labels", "annotations", "ownerReferences", "finalizers")
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
        return _blank(self.kind.shape)

    def read(self, body: Any, *, strict: bool, old: Obj | None = None) -> Obj:
        """`body` as it would be stored, with defaults. Raises Refusal 400.

        Parts that are shared with `old`, the stored object, are not looked at.
        """
        if not isinstance(body, dict):
            raise bad_request("the body of the request must be an object")
        self._check_type(body)
        unknown: list[str] = []
        tell = unknown.append if strict else _ignore
        made = self._custom(body, old, tell) if self.kind.custom else self._core(body, old, tell)
        if unknown:
            told = ", ".join(f'unknown field "{path}"' for path in unknown)
            head = f'{self.kind.kind} in version "{self.kind.version}" cannot be handled as a {self.kind.kind}: '
            raise bad_request(f"{head}strict decoding error: {told}")
        return made

    def _check_type(self, body: Obj) -> None:
        given = body.get("apiVersion", self.kind.api_version), body.get("kind", self.kind.kind)
        if self.kind.custom and given[0] == self.kind.api_version:
            return  # another kind is found by validation
        if given != (self.kind.api_version, self.kind.kind):
            raise bad_request(
                f"the API version and kind in the data ({given[0]}, {given[1]}) do not match the expected ones"
                f" ({self.kind.api_version}, {self.kind.kind})"
            )

    def _core(self, body: Obj, old: Obj | None, unknown: Any) -> Obj:
        body = _without_managers(body)
        made = decoded(body, self.kind.shape, kind=self.kind.kind, version=self.kind.version, unknown=unknown, old=old)
        return self.kind.default(self._typed(made))

    def _custom(self, body: Obj, old: Obj | None, unknown: Any) -> Obj:
        body = self._typed(_without_managers(body))
        meta = body.get("metadata") or {}
        if old is None or meta is not old["metadata"]:
            meta = self._metadata(meta, unknown)
        if meta is not body.get("metadata"):
            body = {**body, "metadata": meta}
        pruned = structural.pruned(body, old, self.kind.shape, "", unknown)
        made: Obj = structural.defaulted(pruned, old, self.kind.shape)
        return made

    def _metadata(self, given: Any, unknown: Any) -> Any:
        try:
            return read_metadata(given, core(META), unknown)
        except Mismatch as error:
            raise wrong_type(self.kind.kind, self.kind.version, error) from error

    def _typed(self, body: Obj) -> Obj:
        if body.get("apiVersion") == self.kind.api_version and body.get("kind") == self.kind.kind:
            return body
        return {"apiVersion": self.kind.api_version, "kind": self.kind.kind, **body}

    def is_uneven(self, body: Obj) -> bool:
        """Whether `body`, an applied custom resource, is stored with empty metadata that no read shows."""
        meta = body.get("metadata") or {}
        return self.kind.custom and any(key in meta and not meta[key] for key in MAY_BE_EMPTY)

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
        if new.get("kind") != self.kind.kind:
            causes.append(wrong("kind", new.get("kind"), f"must be {self.kind.kind}"))
        if old is None or new["metadata"] is not old["metadata"]:
            causes += metadata.problems(new["metadata"], plural=self.kind.plural)
        causes += structural.problems(new, old, self.kind.shape) if self.kind.custom else self.kind.validate(new, old)
        if causes:
            raise invalid(self.kind.kind, self.kind.group, name, causes)

    def guard(self, new: Obj, old: Obj, subresource: str, *, patched: bool) -> None:
        """Raises Refusal when `new` speaks of another version (409) or another object (409, 422 of a patch) than `old`.

        What a patch of a subresource says of uid and the like is ignored.
        """
        given, known = new["metadata"], old["metadata"]
        uid, version = given.get("uid"), given.get("resourceVersion")
        if patched:
            uid = None
        if uid and uid != known["uid"]:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {known['uid']}"
            raise conflict(self.kind.full, known["name"], why)
        if version and version != known["resourceVersion"]:
            raise conflict(self.kind.full, known["name"], CHANGED)
        if not subresource and (causes := [*_immutable(given, known)]):
            raise invalid(self.kind.kind, self.kind.group, known["name"], causes)

    def separated(self, new: Obj, old: Obj, subresource: str) -> Obj:
        """`new` with what this endpoint may not write taken from `old`."""
        if subresource == "status":
            if self.kind.custom and "status" in new:
                return {**old, "status": new["status"]} if new["status"] is not old.get("status", ()) else old
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
        if self.kind.counts_annotations and _annotations(new) != _annotations(old):
            return True
        if not self.kind.custom and "spec" in self.kind.shape.fields:
            return bool(new.get("spec") != old.get("spec"))
        free = OWN | {"status"} if self.kind.status else OWN
        keys = (new.keys() | old.keys()) - free
        return any(new.get(key) != old.get(key) for key in keys)


def _blank(shape: Shape) -> Obj:
    """A Go value of the type with nothing set: its structs are there, its lists that are always written are null."""
    made: Obj = {name: _blank(shape.fields[name]) for name in shape.always}
    nulls = {n: None for n, each in shape.fields.items() if each.kept and each.form in (Form.LIST, Form.MAP)}
    return made | nulls | shape.filled


def _immutable(new: Obj, old: Obj) -> Iterator[Cause]:
    for key in ("uid", "deletionTimestamp", "deletionGracePeriodSeconds"):
        if key in new and new[key] != old.get(key):
            yield wrong(f"metadata.{key}", new[key], IMMUTABLE)
    added = set(new.get("finalizers", ())) - set(old.get("finalizers", ()))
    if old.get("deletionTimestamp") and added:
        yield forbidden("metadata.finalizers", "no new finalizers can be added if the object is being deleted")


def _annotations(body: Obj) -> Obj:
    return body["metadata"].get("annotations") or {}


def undeclared(value: Any, shape: Shape, path: str) -> str | None:
    """The first field at or below `path` that the type does not have."""
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
