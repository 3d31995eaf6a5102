"""Which engines were wedged and restarted for it: read from pods, told in Available, `status.wedges` and an Event each.

Only the sidecar knows that an engine was wedged, and it has no way to the API server. So it ends with an exit code of
its own once the engine that it gave up has gone, and the kubelet writes its last words into the pod's status. Its
restarts are the count: it does not end otherwise, unless it fails itself.
"""

from collections.abc import Iterable, Sequence
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
    restarts: int
    words: str


def wedge(pod: Pod) -> Wedge | None:
    """None also where the kubelet has not said when it was."""
    sidecar = _named(pod, SIDECAR_CONTAINER)
    if sidecar is None:
        return None
    code, ended, said = sidecar.last_exit_code, sidecar.last_finished, sidecar.last_message
    if sidecar.state == "terminated":
        code, ended, said = sidecar.exit_code, sidecar.finished, sidecar.message
    if code != WEDGED_EXIT or ended is None:
        return None
    restarts = sidecar.restarts + (sidecar.state != "running")  # the kubelet counts one when it is done
    return Wedge(pod.name, ended, restarts, bounded(said.strip() or "no last words", WORDS_MAX))


def engine_wedged(pod: Pod) -> Finding | None:
    """The engine's last end was for a wedge: the sidecar sees it, and ends after it."""
    found, main = wedge(pod), _named(pod, MAIN_CONTAINER)
    if found is None:
        return None
    ends = [at for at in (main.finished, main.last_finished) if at is not None] if main else []
    if ends and max(ends) > found.ended:
        return None
    return Finding(WEDGED, f"pod {pod.name}: the engine was wedged and is restarted: {found.words}")


def listed(pods: Iterable[Pod]) -> list[Obj]:
    """As the status holds them: the latest, by pod."""
    found = sorted((each for pod in pods if (each := wedge(pod))), key=lambda each: (each.ended, each.pod))
    return [_entry(each) for each in sorted(found[-LISTED_MAX:], key=lambda each: each.pod)]


def told(entries: Sequence[Obj]) -> str:
    """What Available says beside its counts; "" when there is nothing to say."""
    return "".join(f"; {_sentence(entry)}" for entry in entries)


def events(owner: Owner, entries: Sequence[Obj]) -> tuple[Event, ...]:
    """One for each that has not been told yet."""
    known = owner.status.get(FIELD)
    records = [each for each in known if isinstance(each, dict)] if isinstance(known, list) else []
    before = [(each.get("pod"), each.get("time")) for each in records]
    fresh = (entry for entry in entries if (entry["pod"], entry["time"]) not in before)
    return tuple(Event("Warning", WEDGED, bounded(_sentence(entry), EVENT_MESSAGE_MAX)) for entry in fresh)


def _entry(found: Wedge) -> Obj:
    return {"pod": found.pod, "time": rfc3339(found.ended), "restarts": found.restarts, "message": found.words}


def _sentence(entry: Obj) -> str:
    how = f"wedged and restarted (restarts: {entry['restarts']})"
    return f"the engine of pod {entry['pod']} was {how}: {entry['message']}"


def _named(pod: Pod, name: str) -> Container | None:
    return next((container for container in pod.containers if container.name == name), None)
