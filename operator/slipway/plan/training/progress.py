"""status.progress: what rank 0 last reported, at most every half minute, and the last of it for good.

Reports come each step; a status write each step would be the cluster's busiest. `updated` says when the shown report
came, and is the clock of the limit, so that the same reports give the same status whoever plans. What follows from the
report (`told`) is made from what is shown and not from the present time, for the same reason.
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from ..clock import rfc3339, seconds
from ..observed import Obj, Reported
from .lost import pod_names
from .situation import Situation

INTERVAL_SECONDS = 30
FORESEEN_SECONDS = 100 * 365 * 24 * 3600  # beyond it an estimate says nothing, and a time may have no date

DECIMAL = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")

# What holds only as long as it is said; everything else keeps its value until there is a newer one.
PASSING = frozenset({"slowRank", "slowNode"})


@dataclass(frozen=True, slots=True)
class Shown:
    """`progress` for the status, None while there is none; `due_seconds` until a newer report may be shown."""

    progress: Obj | None
    due_seconds: float | None = None


def shown(situation: Situation, *, ended: bool) -> Shown:
    """What to show. At the job's end the last report is shown at once."""
    found = situation.observed.owner.status.get("progress")
    before = found if isinstance(found, dict) else None
    reported = situation.observed.reported
    if reported is None or reported.pod_uid not in {pod.uid for pod in situation.pods}:
        return Shown(before)
    lasting = {name: value for name, value in (before or {}).items() if name not in PASSING}
    after = {**lasting, **_said(situation, reported)}
    if after == before or ended or not before:
        return Shown(after)
    due = updated(before) + INTERVAL_SECONDS - situation.now
    return Shown(after) if due <= 0 else Shown(before, min(due, INTERVAL_SECONDS))


def updated(progress: Obj) -> float:
    """When the shown report came, in seconds since the epoch; 0 when that cannot be read."""
    try:
        return seconds(str(progress.get("updated")))
    except ValueError:
        return 0


def told(progress: Obj | None, allocation: Obj | None, *, running: bool) -> Obj | None:
    """`progress` with what follows from it."""
    if progress is None:
        return None
    follows = {
        "goodputPercent": _goodput(progress, allocation or {}),
        "estimatedCompletionTime": _completion(progress) if running else None,
    }
    after = {**progress, **follows}
    return {name: value for name, value in after.items() if value is not None}


def decimal(value: object) -> Decimal | None:
    """A plain decimal of a report's; None for anything else."""
    return Decimal(value) if isinstance(value, str) and DECIMAL.fullmatch(value) else None


def _said(situation: Situation, reported: Reported) -> Obj:
    said = {
        "step": reported.step,
        "totalSteps": reported.total_steps,
        "loss": reported.loss,
        "tokensPerSecond": reported.tokens_per_second,
        "lastCheckpointStep": reported.last_checkpoint_step,
        "stepSecondsP50": reported.step_seconds_p50,
        "stepSecondsP99": reported.step_seconds_p99,
        "mfuPercent": reported.mfu_percent,
        "productiveSeconds": reported.productive_seconds,
        "checkpointSeconds": reported.checkpoint_seconds,
        "badRows": reported.bad_rows,
        "slowRank": reported.slow_rank,
        "slowNode": reported.slow_node or _node(situation, reported.slow_rank),
        "updated": rfc3339(reported.received),
    }
    return {name: value for name, value in said.items() if value is not None}


def _node(situation: Situation, rank: int | None) -> str | None:
    """Where this rank runs: ranks are counted pod by pod. A trainer knows its rank, and not always its node."""
    if rank is None:
        return None
    index = rank // situation.spec.per_node
    name = pod_names(situation)[index] if index < situation.spec.nodes else None
    return next((pod.node for pod in situation.pods if pod.name == name and pod.node), None)


def _goodput(progress: Obj, allocation: Obj) -> str | None:
    """Productive seconds in a hundred of those with all nodes: 100 at most, for two clocks measure them."""
    productive, allocated = decimal(progress.get("productiveSeconds")), _count(allocation, "seconds")
    if productive is None or not allocated:
        return None
    return f"{min(Decimal(100), 100 * productive / allocated):.1f}"


def _completion(progress: Obj) -> str | None:
    """When the last step ends, at the median step's pace from the shown report on."""
    pace, left = decimal(progress.get("stepSecondsP50")), _count(progress, "totalSteps") - _count(progress, "step")
    if pace is None or left < 0 or pace * left > FORESEEN_SECONDS:
        return None
    return rfc3339(updated(progress) + float(pace * left))


def _count(fields: Obj, name: str) -> int:
    """A number of status; 0 where there is none, or something that no operator writes."""
    value = fields.get(name) if isinstance(fields, dict) else None
    return value if isinstance(value, int) else 0
