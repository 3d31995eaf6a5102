"""Which engines were wedged and restarted for it: read from pods, told in Available, `status.wedges` and an Event each.

Only the sidecar knows that an engine was wedged, and it has no way to the API server. So it ends with an exit code of
its own once the engine that it gave up has gone, and the kubelet writes its last words into the pod's status. A pod
remembers the last end of a container alone: the count is kept in the service's status, by the time of that end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..clock import rfc3339
from ..conditions import EVENT_MESSAGE_MAX, Finding, bounded
from ..names import MAIN_CONTAINER, SIDECAR_CONTAINER
from ..observed import Container, Obj, Owner, Pod
from ..outcome import Event

FIELD = "wedges"  # of the status
WEDGED = "EngineWedged"  # reason of the conditions and of the Event
WEDGED_EXIT = 3  # of the sidecar (slipway_engine/__main__.py)
LISTED_MAX, WORDS_MAX = 16, 256  # api.inferenceservice.EngineWedge


@dataclass(frozen=True, slots=True)
class Wedge:
    """The last one of a pod's engine. `words` are the sidecar's."""

    pod: str
    ended: float
    words: str


def wedge(pod: Pod) -> Wedge | None:
    """None also where the kubelet has not said when it was."""
    sidecar = _named(pod, SIDECAR_CONTAINER)
    if sidecar is None:
        return None
    now = sidecar.state == "terminated"
    code, ended, said = (
        (sidecar.exit_code, sidecar.finished, sidecar.message)
        if now
        else (sidecar.last_exit_code, sidecar.last_finished, sidecar.last_message)
    )
    if code != WEDGED_EXIT or ended is None:
        return None
    return Wedge(pod.name, ended, bounded(said.strip() or "no last words", WORDS_MAX))


def engine_wedged(pod: Pod) -> Finding | None:
    """The engine's last end was for a wedge: the sidecar sees it, and ends after it."""
    found, main = wedge(pod), _named(pod, MAIN_CONTAINER)
    if found is None:
        return None
    ends = [at for at in (main.finished, main.last_finished) if at is not None] if main else []
    if ends and max(ends) > found.ended:
        return None
    return Finding(WEDGED, f"pod {pod.name}: the engine was wedged and is restarted: {found.words}")


def listed(owner: Owner, pods: Iterable[Pod]) -> list[Obj]:
    """As the status holds them: by pod, the latest where there are too many."""
    found = sorted((each for pod in pods if (each := wedge(pod))), key=lambda each: each.ended)
    before = _recorded(owner.status)
    return [_entry(each, before.get(each.pod, {})) for each in sorted(found[-LISTED_MAX:], key=lambda each: each.pod)]


def told(entries: Sequence[Obj]) -> str:
    """What Available says beside its counts; "" when there is nothing to say."""
    return "".join(f"; {_sentence(entry)}" for entry in entries)


def events(owner: Owner, entries: Sequence[Obj]) -> tuple[Event, ...]:
    """One for each that has not been told yet."""
    before = _recorded(owner.status)
    fresh = (entry for entry in entries if before.get(entry["pod"], {}).get("time") != entry["time"])
    return tuple(Event("Warning", WEDGED, bounded(_sentence(entry), EVENT_MESSAGE_MAX)) for entry in fresh)


def _entry(found: Wedge, before: Mapping[str, object]) -> Obj:
    time, counted = rfc3339(found.ended), before.get("count")
    count = counted if isinstance(counted, int) else 0
    more = before.get("time") != time
    return {"pod": found.pod, "count": count + more if count else 1, "time": time, "message": found.words}


def _sentence(entry: Obj) -> str:
    times = "once" if entry["count"] == 1 else f"{entry['count']} times"
    return (
        f"the engine of pod {entry['pod']} was wedged and restarted, {times} so far, last at {entry['time']}: "
        f"{entry['message']}"
    )


def _recorded(status: Obj) -> dict[str, Obj]:
    """By pod. What somebody else wrote and is no record counts as absent."""
    found = status.get(FIELD)
    entries = found if isinstance(found, list) else []
    return {str(entry.get("pod")): entry for entry in entries if isinstance(entry, dict)}


def _named(pod: Pod, name: str) -> Container | None:
    return next((container for container in pod.containers if container.name == name), None)
