"""Who owns which field, and what an apply or an update makes of that.

After structured-merge-diff's Updater. A manager is (name, operation, subresource). An apply owns what it names; what it
named last time and no longer does is removed, unless another manager owns it too. Whoever changes a field, by whatever
request, takes it from the others. managedFields' timestamps are not kept: a write that changed nothing else would not
be stored.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

from .answers import Refusal
from .fields import Difference, Path, Paths, compare, element_key, paths_of, with_named, without
from .merge import merged

APPLY: Final = "Apply"
UPDATE: Final = "Update"
BEFORE_FIRST_APPLY: Final = "before-first-apply"
NONE: Final[Paths] = frozenset()
# Nobody owns these: fieldmanager/stripmeta.go
STRIPPED: Final = (
    ("apiVersion",),
    ("kind",),
    ("metadata",),
    *(
        ("metadata", name)
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)


class Manager(NamedTuple):
    name: str
    operation: str
    subresource: str = ""


Managers = Mapping[Manager, Paths]


class Ownership:
    """Field ownership for one kind. `root` is the kind's root path."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._stripped = frozenset(self._path(*names) for names in STRIPPED)

    def _path(self, *names: str) -> Path:
        path = self.root
        for name in names:
            path = path.down(name)
        return path

    def apply(
        self,
        live: Any,
        config: Any,
        managers: Managers,
        manager: Manager,
        *,
        force: bool,
        ignored: tuple[str, ...],
        blank: Any,
    ) -> tuple[Any, Managers]:
        """The object and the managers after `config` was applied to `live`. Raises Refusal 409 on a conflict.

        `ignored` names the top-level fields that the endpoint does not write, such as `status`; `blank` is an object of
        the kind with nothing in it.
        """
        made = merged(live, config, self.root)
        if not managers and "uid" in live.get("metadata", {}):
            first = Manager(BEFORE_FIRST_APPLY, UPDATE, manager.subresource)
            managers = self.update(blank, live, {}, first, ignored=ignored)
        named = paths_of(config, self.root)
        wanted = self._owned(named, ignored)
        last = managers.get(manager, NONE)
        held = {**managers, manager: wanted}
        if last - wanted:
            made = self._pruned(made, {**managers, manager: frozenset(named)}, last)
        difference = self._difference(live, made, ignored)
        if difference is not None:
            held = _taken(held, difference, manager, force=force)
        return made, self._tidy(held, managers)

    def _pruned(self, made: Any, held: Managers, last: Paths) -> Any:
        """`made` without what was applied last time and is owned by nobody now."""
        all_held = with_named(frozenset[Path]().union(*held.values()))
        before = with_named(last)
        contained = with_named(paths_of(made, self.root))
        first = with_named(paths_of(without(made, self.root, before), self.root))
        owned = without(made, self.root, contained - (first | all_held))
        second = with_named(paths_of(owned, self.root))
        gone = (contained - second) & before
        return without(made, self.root, gone) if gone else made

    def update(
        self, live: Any, new: Any, managers: Managers, manager: Manager, *, ignored: tuple[str, ...]
    ) -> Managers:
        """The managers after `live` was replaced by `new` through anything but an apply."""
        if not managers and "uid" in live.get("metadata", {}):
            return managers  # nobody's for some reason: only an apply begins to count again
        try:
            difference = self._difference(live, new, ignored)
        except Refusal:  # not of its type: validation will say so, and where it does not, the owners are forgotten
            return {}
        if difference is None:
            return managers
        held = _taken(managers, difference, None, force=True)
        changed = self._owned(difference.modified | difference.added, ignored)
        if changed:
            held[manager] = held.get(manager, NONE) | changed
        return self._tidy(held, managers)

    def _difference(self, live: Any, new: Any, ignored: tuple[str, ...]) -> Difference | None:
        if live is new:
            return None
        found = Difference()
        compare(live, new, self.root, found)
        if not (found.added or found.modified or found.removed):
            return None
        if ignored:
            for paths in (found.added, found.modified, found.removed):
                paths.difference_update([path for path in paths if path.top in ignored])
        return found

    def _owned(self, paths: set[Path], ignored: tuple[str, ...]) -> Paths:
        if ignored:
            paths = {path for path in paths if path.top not in ignored}
        return frozenset(paths - self._stripped)

    def _tidy(self, held: Managers, before: Managers) -> Managers:
        """Without managers of nothing; the very mapping of `before` when that is what came out."""
        made = {manager: paths for manager, paths in held.items() if paths}
        return before if made == before else made


def _taken(held: Managers, difference: Difference, workflow: Manager | None, *, force: bool) -> dict[Manager, Paths]:
    """The others' sets without what was changed or removed. Raises Refusal 409 unless `force`."""
    changed = difference.modified | difference.added
    result: dict[Manager, Paths] = {}
    conflicts: list[tuple[Manager, Paths]] = []
    for manager, paths in held.items():
        if manager == workflow:
            result[manager] = paths
            continue
        if taken := paths & changed:
            conflicts.append((manager, taken))
        result[manager] = paths - changed - difference.removed
    if conflicts and not force:
        raise conflict_of(conflicts)
    return result


def conflict_of(conflicts: list[tuple[Manager, Paths]]) -> Refusal:
    count = sum(len(paths) for _, paths in conflicts)
    texts = [
        f'conflict with "{manager.name}"'
        + (f' with subresource "{manager.subresource}"' if manager.subresource else "")
        + f": {', '.join(sorted(str(path) for path in paths))}"
        for manager, paths in sorted(conflicts, key=lambda each: each[0])
    ]
    noun = "conflict" if count == 1 else "conflicts"
    causes = [
        {"reason": "FieldManagerConflict", "message": f'conflict with "{manager.name}"', "field": str(path)}
        for manager, paths in conflicts
        for path in paths
    ]
    message = f"Apply failed with {count} {noun}: {'; '.join(texts)}"
    return Refusal(409, "Conflict", message, {"causes": causes})


def rendered(managers: Managers, api_version: str) -> list[dict[str, Any]]:
    """managedFields, without times: each manager with its paths as FieldsV1."""
    return [
        {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields_v1(paths),
            **({"subresource": manager.subresource} if manager.subresource else {}),
        }
        for manager, paths in sorted(managers.items())
    ]


@lru_cache(maxsize=4096)
def fields_v1(paths: Paths) -> dict[str, Any]:
    """A set of paths as nested objects. Read only: many objects share it.

    "." says that a node which goes deeper is itself in the set.
    """
    top: dict[str, Any] = {}
    for path in paths:
        node = _node(top, path)
        node["."] = {}
    return _without_lone_marks(top)


def _node(top: dict[str, Any], path: Path) -> dict[str, Any]:
    if path.parent is None:
        return top
    node: dict[str, Any] = _node(top, path.parent).setdefault(element_key(path.element), {})
    return node


def _without_lone_marks(node: dict[str, Any]) -> dict[str, Any]:
    if set(node) == {"."}:
        return {}
    return {key: _without_lone_marks(below) if key != "." else {} for key, below in sorted(node.items())}
