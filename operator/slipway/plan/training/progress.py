"""status.progress: what rank 0 last reported, at most every half minute, and the last of it for good.

Reports come each step; a status write each step would be the cluster's busiest. `updated` says when the shown report
came, and is the clock of the limit, so that the same reports give the same status whoever plans.
"""

from dataclasses import dataclass

from ..clock import rfc3339, seconds
from ..observed import Obj, Reported
from .situation import Situation

INTERVAL_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Shown:
    """`progress` for the status, None while there is none; `due_seconds` until a newer report may be shown."""

    progress: Obj | None
    due_seconds: float | None = None


def shown(situation: Situation, *, ended: bool) -> Shown:
    """What to show. At the job's end the last report is shown at once."""
    before = situation.observed.owner.status.get("progress")
    reported = situation.observed.reported
    if reported is None or reported.pod_uid not in {pod.uid for pod in situation.pods}:
        return Shown(before)
    after = {**(before or {}), **_said(reported)}
    if after == before or ended or not before:
        return Shown(after)
    due = _updated(before) + INTERVAL_SECONDS - situation.now
    return Shown(after) if due <= 0 else Shown(before, min(due, INTERVAL_SECONDS))


def _updated(progress: Obj) -> float:
    try:
        return seconds(str(progress.get("updated")))
    except ValueError:
        return 0


def _said(reported: Reported) -> Obj:
    said = {
        "step": reported.step,
        "totalSteps": reported.total_steps,
        "loss": reported.loss,
        "tokensPerSecond": reported.tokens_per_second,
        "lastCheckpointStep": reported.last_checkpoint_step,
        "updated": rfc3339(reported.received),
    }
    return {name: value for name, value in said.items() if value is not None}
