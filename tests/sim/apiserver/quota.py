"""Quotas at admission, in the server's words: who creates more objects than a ResourceQuota's status allows is refused,
and who may create is charged in `status.used`, also for what is then there already. A dry run is asked, not charged.

What is not decided here is the quota controller's: it copies `spec.hard` to the status, and counts anew (the
simulation's is tests/sim/controllers/quotas.py). Until then a quota without `status.hard` holds nothing back. Only
numbers of objects are counted: `pods`, `services`, `persistentvolumeclaims` and `count/<plural.group>`.
"""

from collections.abc import Callable
from typing import Final

from .answers import Obj, forbidden
from .kinds import Kind
from .quantities import canonical, value
from .store import Name, Store, Stored

QUOTAS: Final = "resourcequotas"
ALIASES: Final = ("pods", "services", "persistentvolumeclaims")
UNCOUNTED: Final = ("events.events.k8s.io",)


def counted_as(resource_full: str) -> tuple[str, ...]:
    """The names under which quotas count a kind."""
    return (f"count/{resource_full}", *((resource_full,) if resource_full in ALIASES else ()))


class Quotas:
    """`put_status(place, quota)` writes a quota's status, as the server itself does."""

    def __init__(self, store: Store, put_status: Callable[[Name, Obj], None]) -> None:
        self._store, self._put_status = store, put_status

    def charge(self, kind: Kind, body: Obj, *, dry_run: bool) -> None:
        """Raises Refusal 403 when a quota has no room for the new object."""
        quotas = self._holding(kind, body["metadata"].get("namespace", ""))
        for quota, names in quotas:
            _known(kind, body, quota, names)
        for quota, names in quotas:
            _fits(kind, body, quota, names)
        for quota, names in () if dry_run else quotas:
            self._charge(quota, names)

    def _holding(self, kind: Kind, namespace: str) -> list[tuple[Stored, list[str]]]:
        """The quotas of a namespace that count a kind, each with the names under which it does."""
        if not self._store.has(QUOTAS) or kind.full in UNCOUNTED:
            return []
        counted = set(counted_as(kind.full))
        found = sorted((place, quota) for _, place, quota in self._store.all(QUOTAS) if place[0] == namespace)
        named = [(quota, sorted(counted & _hard(quota).keys())) for _, quota in found]
        return [(quota, names) for quota, names in named if names]

    def _charge(self, quota: Stored, names: list[str]) -> None:
        meta, status = quota.body["metadata"], quota.body["status"]
        used = {**status["used"], **{name: canonical(str(value(status["used"][name]) + 1)) for name in names}}
        self._put_status((meta["namespace"], meta["name"]), {**quota.body, "status": {**status, "used": used}})


def _hard(quota: Stored) -> Obj:
    return dict((quota.body.get("status") or {}).get("hard") or {})


def _used(quota: Stored) -> Obj:
    return dict((quota.body.get("status") or {}).get("used") or {})


def _known(kind: Kind, body: Obj, quota: Stored, names: list[str]) -> None:
    if not set(names) <= _used(quota).keys():
        raise _refusal(kind, body, f"status unknown for quota: {_name(quota)}, resources: {','.join(names)}")


def _fits(kind: Kind, body: Obj, quota: Stored, names: list[str]) -> None:
    hard, used = _hard(quota), _used(quota)
    over = [name for name in names if value(used[name]) + 1 > value(hard[name])]
    if over:
        asked, is_used, limit = (_listed(over, each) for each in (dict.fromkeys(over, 1), used, hard))
        words = f"exceeded quota: {_name(quota)}, requested: {asked}, used: {is_used}, limited: {limit}"
        raise _refusal(kind, body, words)


def _listed(names: list[str], values: Obj) -> str:
    return ",".join(f"{name}={values[name]}" for name in names)


def _name(quota: Stored) -> str:
    return str(quota.body["metadata"]["name"])


def _refusal(kind: Kind, body: Obj, why: str) -> Exception:
    return forbidden(f'{kind.full} "{body["metadata"]["name"]}" is forbidden: {why}')
