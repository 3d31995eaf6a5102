"""Objects by kind and name, one counter of versions, and a log of changes from which watches are answered.

A stored object is never changed: a write stores another. So whatever is handed out may be kept, as long as nobody
writes into it.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from . import selectors
from .answers import Expired, Obj, WatchEvent
from .ownership import Managers
from .selectors import Selector

Name = tuple[str, str]  # (namespace, name); namespace "" at cluster scope


@dataclass(frozen=True, slots=True)
class Stored:
    """`uneven`: it was stored in another form than it is read, so that a write of nothing new is stored once more.

    (What the real server does with empty metadata of applied custom resources: labels: {} is written, and not read.)
    """

    body: Obj
    managers: Managers
    uneven: bool = False

    @property
    def uid(self) -> str:
        return str(self.body["metadata"]["uid"])


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the log. `before` None: created; `after` None: deleted, and `last` is what watches are told."""

    version: int
    name: Name
    before: Stored | None
    after: Stored | None
    last: Stored


Shown = Callable[[Stored], Obj]


class Store:
    """`shown` gives the form in which listings and watches tell of an object."""

    def __init__(self, shown: Shown) -> None:
        self.shown = shown
        self.version = 1
        self.oldest = 0  # a watch may begin at this version or later
        self._objects: dict[str, dict[Name, Stored]] = {}
        self._log: dict[str, list[Change]] = {}
        self._numbers = 0
        self._listeners: list[Callable[[], None]] = []

    def serve(self, resource: str) -> None:
        self._objects.setdefault(resource, {})
        self._log.setdefault(resource, [])

    def drop(self, resource: str) -> None:
        """The kind and everything of it, as when its CRD is deleted. Its log stays, for who was about to read it."""
        for name in tuple(self._objects.get(resource, ())):
            self.remove(resource, name)
        self._objects.pop(resource, None)

    def number(self) -> int:
        """A number that was not given before."""
        self._numbers += 1
        return self._numbers

    def on_change(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def get(self, resource: str, name: Name) -> Stored | None:
        return self._objects[resource].get(name)

    def has(self, resource: str) -> bool:
        """Whether there is anything of this kind."""
        return bool(self._objects.get(resource))

    def all(self, *resources: str) -> Iterator[tuple[str, Name, Stored]]:
        """Everything of these kinds, or of every kind in the order in which they are served."""
        for resource in resources or self._objects:
            for name, stored in self._objects[resource].items():
                yield resource, name, stored

    def put(self, resource: str, name: Name, body: Obj, managers: Managers, *, uneven: bool = False) -> Stored:
        before = self._objects[resource].get(name)
        self.version += 1
        made = _versioned(Stored(body, managers, uneven), self.version)
        self._objects[resource][name] = made
        self._note(resource, Change(self.version, name, before, made, made))
        return made

    def remove(self, resource: str, name: Name) -> Obj:
        """The object as it was last, with the version of its deletion."""
        stored = self._objects[resource].pop(name)
        self.version += 1
        last = _versioned(stored, self.version)
        self._note(resource, Change(self.version, name, stored, None, last))
        return last.body

    def _note(self, resource: str, change: Change) -> None:
        self._log[resource].append(change)
        for listener in self._listeners:
            listener()

    def listing(self, resource: str, namespace: str | None, selector: Selector) -> list[Obj]:
        """In the order of etcd's keys."""
        found = [
            (name, self.shown(stored))
            for name, stored in self._objects[resource].items()
            if (not namespace or name[0] == namespace) and selectors.matches(selector, stored.body)
        ]
        return [body for _, body in sorted(found, key=lambda each: each[0])]

    def since(self, resource: str, namespace: str | None, selector: Selector, version: int) -> list[WatchEvent]:
        """Raises Expired."""
        if version < self.oldest:
            raise Expired(version, self.oldest)
        log = self._log[resource]
        start = bisect_right(log, version, key=lambda change: change.version)
        made = []
        for change in log[start:]:
            if namespace and change.name[0] != namespace:
                continue
            if event := self._told(change, selector):
                made.append(event)
        return made

    def history(self, version: int) -> list[tuple[str, WatchEvent]]:
        """(resource, event) of everything after `version`, oldest first, of whatever kind, served still or not."""
        made = []
        for resource, log in self._log.items():
            for change in log[bisect_right(log, version, key=lambda change: change.version) :]:
                if event := self._told(change, selectors.parsed("")):
                    made.append((resource, event))
        return sorted(made, key=lambda each: each[1].version)

    def compact(self, version: int) -> None:
        self.oldest = max(self.oldest, version)
        for resource, log in self._log.items():
            self._log[resource] = log[bisect_right(log, self.oldest, key=lambda change: change.version) :]

    def _told(self, change: Change, selector: Selector) -> WatchEvent | None:
        """What a watch with this selector is told: an object that starts or stops matching comes or goes for it."""
        was, now = (selectors.matches(selector, each.body if each else None) for each in (change.before, change.after))
        if change.after is not None and now:
            return WatchEvent("MODIFIED" if was else "ADDED", self.shown(change.after), change.version)
        if was and change.before is not None:
            gone = change.last if change.after is None else _versioned(change.before, change.version)
            return WatchEvent("DELETED", self.shown(gone), change.version)
        return None


def _versioned(stored: Stored, version: int) -> Stored:
    body = stored.body
    versioned = {**body, "metadata": {**body["metadata"], "resourceVersion": str(version)}}
    return Stored(versioned, stored.managers, stored.uneven)
