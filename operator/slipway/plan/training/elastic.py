"""When a gang is given up for one with another number of nodes, though nothing failed.

1. Shrink: some pods of an attempt that has not run find no node, or are not made because a quota has no room for them,
   and for elastic.waitSeconds no pod got one. It goes on with as many as have one, or with fewer where the batch or the
   layout does not divide; never with fewer than minNodes: while less has room, the attempt waits.
2. Grow: a gang runs with fewer nodes than it would like since elastic.growAfterSeconds. Nobody sees how much room there
   is before pods ask for it, so growing is a try: when it finds no room, the gang shrinks again.

Every other restart begins with all nodes, too. Only the number of the next attempt is written, with its size, as for a
suspension: it uses no budget, counts against no node, and waits for no pause.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ...api.elastic import ElasticSpec
from .. import conditions
from ..capacity.layout import impossible, load_of
from ..capacity.refusal import misfit
from ..capacity.resolved import resolved
from . import size, trials
from .backoff import AHEAD_SECONDS
from .situation import Situation, recorded_attempt
from .size import Size

SHRUNK = "Shrunk"
GROWN = "Grown"


@dataclass(frozen=True, slots=True)
class Resize:
    """The next attempt, of this size. `message` is what people are told of the change."""

    reason: str
    message: str
    size: Size


def resize(situation: Situation) -> Resize | None:
    """The change that is due now. Nothing failed, and nothing else ends the attempt."""
    return next((found for check in RESIZES if (found := check(situation))), None)


def left_seconds(situation: Situation) -> float | None:
    """Until a change is due, if nothing else happens; None while none is to come."""
    return next((left for count in LEFT if (left := count(situation)) is not None), None)


def is_due(situation: Situation) -> bool:
    """Whether there is a change now, without what it would be."""
    left = left_seconds(situation)
    return left is not None and left <= 0


def told(situation: Situation, changed: Size | None, *, attempt: int) -> Size | None:
    """status.elastic, with what this plan decided: `changed`, or by another restart all nodes, or what it was."""
    if situation.spec.elastic is None or changed is not None:
        return changed
    before = size.read(situation.observed.owner.status) or Size(situation.full_nodes)
    if attempt != situation.attempt:
        return Size(situation.full_nodes, resizes=before.resizes)
    why = before.why if recorded_attempt(situation.observed.owner.status) == attempt else ""
    return Size(situation.spec.nodes, why if is_smaller(situation) else "", before.resizes)


def is_smaller(situation: Situation) -> bool:
    """Whether the attempt has fewer nodes than the job would like."""
    return situation.spec.nodes < situation.full_nodes


def of_running(situation: Situation) -> str:
    """What to add to the condition Running of a gang that runs: " of 3" and why, "" where it has all its nodes."""
    elastic = situation.spec.elastic
    if elastic is None or not is_smaller(situation):
        return ""
    now = told(situation, None, attempt=situation.attempt)
    why = f": {now.why}" if now and now.why else ""
    return f" of {situation.full_nodes}{why}; it tries {situation.full_nodes} after {elastic.grow_after_seconds} s"


def of_waiting(situation: Situation) -> str:
    """What to add to the words about a pod that finds no node or no quota; "" where nothing but room helps."""
    elastic = situation.spec.elastic
    if elastic is None or not _lacks_room(situation):
        return ""
    has = f"; {_room(situation)} of {situation.spec.nodes} pods have a node"
    if not _has_room(situation, elastic):
        return f"{has}, and elastic.minNodes is {elastic.min_nodes}: it waits for room"
    return f"{has}; if no other gets one for {elastic.wait_seconds} s, the gang goes on with fewer"


def _shrink(situation: Situation) -> Resize | None:
    elastic, left = situation.spec.elastic, _shrink_seconds(situation)
    if elastic is None or left is None or left > 0:
        return None
    room, nodes = _room(situation), _shrinks_to(situation, elastic)
    has = f"{room} of {situation.spec.nodes} pods of attempt {situation.attempt} had a node"
    why = f"{has}, and no other got one for {elastic.wait_seconds} s"
    fewer = f" ({room} cannot share the batch or the model evenly)" if nodes < room else ""
    message = f"{why}: the next attempt has {nodes}{fewer}"
    return Resize(SHRUNK, message, _next(situation, nodes, why + fewer))


def _grow(situation: Situation) -> Resize | None:
    elastic, left = situation.spec.elastic, _grow_seconds(situation)
    if elastic is None or left is None or left > 0:
        return None
    full = situation.full_nodes
    ran = f"attempt {situation.attempt} ran on {situation.spec.nodes} of {full} nodes for {elastic.grow_after_seconds}"
    return Resize(GROWN, f"{ran} s: the next attempt tries {full}", _next(situation, full, ""))


def _next(situation: Situation, nodes: int, why: str) -> Size:
    before = size.read(situation.observed.owner.status)
    return Size(nodes, why, (before.resizes if before else 0) + 1)


def _shrink_seconds(situation: Situation) -> float | None:
    """Until an attempt that finds no room shrinks; None while it has room, or could not shrink."""
    elastic = situation.spec.elastic
    if elastic is None or not _lacks_room(situation) or not _has_room(situation, elastic):
        return None
    asked = [pod.created for pod in situation.pods]
    found = [pod.bound for pod in situation.pods if pod.bound is not None]
    waited = situation.now - max(*asked, *found, situation.released_at)
    return elastic.wait_seconds - waited if waited > -AHEAD_SECONDS else 0.0


def _grow_seconds(situation: Situation) -> float | None:
    """Until a gang that runs tries all nodes; None while it has them, or does not run."""
    elastic = situation.spec.elastic
    if elastic is None or not is_smaller(situation) or not situation.has_run or situation.held:
        return None
    since = conditions.since(situation.observed.owner.status, conditions.RUNNING)
    ran = None if since is None else situation.now - since
    return None if ran is None else elastic.grow_after_seconds - max(0.0, ran)


RESIZES: tuple[Callable[[Situation], Resize | None], ...] = (_shrink, _grow)
LEFT: tuple[Callable[[Situation], float | None], ...] = (_shrink_seconds, _grow_seconds)


def _lacks_room(situation: Situation) -> bool:
    """Whether an attempt that waits for all of its pods to run has some that find no node, or no quota. Not while the
    scheduler has not looked at all that are there."""
    if situation.gang is None or situation.held or situation.has_run:
        return False
    without = [pod for pod in situation.pods if not pod.scheduled]
    looked_at = all(pod.unschedulable_message for pod in without)
    return looked_at and (bool(without) or trials.is_beyond_quota(situation))


def _room(situation: Situation) -> int:
    return sum(pod.scheduled and not pod.deleting for pod in situation.pods)


def _has_room(situation: Situation, elastic: ElasticSpec) -> bool:
    """Whether fewer nodes would do, and have room."""
    return elastic.min_nodes <= _room(situation) < situation.spec.nodes


def _shrinks_to(situation: Situation, elastic: ElasticSpec) -> int:
    """The most nodes that have room and can share the work, where `_has_room`."""
    tried = range(_room(situation), elastic.min_nodes, -1)
    return next((nodes for nodes in tried if _works(situation, nodes)), elastic.min_nodes)


def _works(situation: Situation, nodes: int) -> bool:
    """Whether so many nodes can do it: of minNodes the API's rules, and the memory planner, have said so before."""
    spec, known = situation.spec, situation.observed.accelerators
    fewer = spec.model_copy(update={"nodes": nodes})
    if spec.recipe is None:
        return True  # what a program of the user's can do is not known
    return impossible(resolved(fewer, known), load_of(fewer)) is None and misfit(fewer, known) is None
