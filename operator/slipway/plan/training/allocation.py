"""status.allocation: how long the gang has had all of its nodes, over all attempts. Goodput and cost are made of it.

A span begins when the last pod of an attempt gets its node, and is told with the condition Running: so it has the image
pull and the start in it, and nothing of what was waited for before. It ends with the attempt, or when the gang does not
run any more (suspended, say). `until` is how far the sum goes: it moves with each report that is shown and at the
span's end, never with the present time alone, so that a gang that says nothing causes no write, and planning again
gives the same sum. Spans never overlap: one begins at the former one's end at the earliest, whatever clocks say.
"""

from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal

from ..clock import rfc3339, seconds
from ..observed import Obj
from .ended import recorded
from .progress import updated
from .situation import Situation
from .termination import main_container

CENT = Decimal("0.01")
SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True)
class _Account:
    """Times are whole seconds since the epoch. `since` is that of the span which goes on, None while none does."""

    seconds: int
    device_seconds: int
    since: int | None
    until: int

    def counted(self, to: float, devices: int) -> "_Account":
        gained = max(0, int(to) - self.until)
        return replace(
            self,
            seconds=self.seconds + gained,
            device_seconds=self.device_seconds + gained * devices,
            until=self.until + gained,
        )


def allocation(situation: Situation, *, running: bool, over: bool, progress: Obj | None) -> Obj | None:
    """The field's new value. `running` is what the condition Running says now; `over` is whether the attempt ends by
    this very plan, so that one that ran unseen counts; `progress` is what is shown."""
    before = situation.observed.owner.status.get("allocation")
    if recorded(situation):
        return before  # with the price of the day on which it ended
    account = _going_on(situation, _read(before), running=running, over=over)
    if account is None:
        return before
    if account.since is not None:
        devices = situation.spec.nodes * situation.spec.per_node
        account = account.counted(updated(progress or {}) if running else _end(situation), devices)
    return _written(situation, account if running else replace(account, since=None))


def _going_on(situation: Situation, account: _Account | None, *, running: bool, over: bool) -> _Account | None:
    """With the span that goes on, or has just gone by."""
    if account is not None and account.since is not None:
        return account
    bound = _bound(situation)
    if not running and (not over or bound is None):
        return account
    begin = int(situation.now if bound is None else min(situation.now, bound))
    if account is None:
        return _Account(0, 0, since=begin, until=begin)
    begin = max(begin, account.until)
    return replace(account, since=begin, until=begin)


def _bound(situation: Situation) -> float | None:
    """When the last pod of the whole gang got its node; None while one has none."""
    times = [pod.bound for pod in situation.pods if pod.bound is not None]
    return max(times) if len(times) == situation.spec.nodes else None


def _end(situation: Situation) -> float:
    """When the last pod ended, if all have: nobody may have looked since. Else now."""
    mains = [main_container(pod) for pod in situation.pods]
    ends = [main.finished for main in mains if main and main.finished is not None]
    return min(situation.now, max(ends)) if ends and len(ends) == len(mains) else situation.now


def _read(before: Obj | None) -> _Account | None:
    if before is None:
        return None
    try:
        since = before.get("since")
        begin = None if since is None else int(seconds(since))
        counted = int(before["seconds"]), int(before["deviceSeconds"])
        return _Account(*counted, begin, int(seconds(before["until"])))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None  # not as we write it: counted anew


def _written(situation: Situation, account: _Account) -> Obj:
    fields = {
        "seconds": account.seconds,
        "deviceSeconds": account.device_seconds,
        "since": None if account.since is None else rfc3339(account.since),
        "until": rfc3339(account.until),
        **_cost(situation, account),
    }
    return {name: value for name, value in fields.items() if value is not None}


def _cost(situation: Situation, account: _Account) -> dict[str, str]:
    """Nothing where the operator was told no price, or nothing has been counted yet."""
    price = dict(situation.defaults.device_hour_prices).get(situation.spec.accelerator)
    if price is None or account.device_seconds == 0:
        return {}
    cost = (price * account.device_seconds / SECONDS_PER_HOUR).quantize(CENT, ROUND_HALF_UP)
    return {"estimatedCost": f"{cost:f}", "currency": situation.defaults.currency}
