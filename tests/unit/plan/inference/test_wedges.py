"""A wedged engine: told once for each time, counted, and kept apart from engines that ended by themselves."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.api.inferenceservice import InferenceServiceStatus
from slipway.plan.clock import rfc3339
from slipway.plan.inference.problems import pod_problem
from slipway.plan.inference.wedges import engine_wedged, wedge
from slipway.plan.observed import Container, Obj, Pod
from slipway.plan.outcome import Plan

from .world import NOW, container, pod, revision_of, said, settle, spec

REVISION = revision_of(settle(spec()))
WORDS = "no token for 12 s: 3 requests are in the engine"
ENDED = NOW - 30


def sidecar(ended: float = ENDED, **fields: Any) -> Container:
    """One that ended with the engine and runs again."""
    told: dict[str, Any] = {"last_exit_code": 3, "last_message": f"{WORDS}\n", "last_finished": ended, "restarts": 1}
    return container("slipway-engine", **{**told, **fields})


def engine(ended: float = ENDED - 1, **fields: Any) -> Container:
    """One that the kubelet ended and started again."""
    return container(**{"last_exit_code": 137, "last_reason": "Error", "last_finished": ended, "restarts": 1, **fields})


def wedged(name: str = "chat-1", *, ready: bool = False, ended: float = ENDED) -> Pod:
    return pod(name, REVISION, sidecar(ended), engine(ended - 1), ready=ready)


def wedge_events(outcome: Plan) -> list[str]:
    return [event.message for event in outcome.events if (event.type, event.reason) == ("Warning", "EngineWedged")]


def sentence(restarts: int = 1) -> str:
    return f"the engine of pod chat-1 was wedged and restarted (restarts: {restarts}): {WORDS}"


def test_while_it_starts_again_the_conditions_say_why() -> None:
    outcome = settle(spec(), pods=(wedged(),))
    assert said(outcome, "Available") == ("False", "EngineWedged", f"0 of 1 replicas ready; {sentence()}")
    words = f"pod chat-1: the engine was wedged and is restarted: {WORDS}"
    assert said(outcome, "Ready") == ("False", "EngineWedged", words)
    assert outcome.status["wedges"] == [{"pod": "chat-1", "time": rfc3339(ENDED), "restarts": 1, "message": WORDS}]
    assert wedge_events(outcome) == [sentence()]
    assert InferenceServiceStatus.model_validate(outcome.status)


def test_beside_another_replica_the_service_stays_ready() -> None:
    both = spec(replicas=2)
    other = pod("chat-2", revision_of(settle(both)), ready=True)
    outcome = settle(both, pods=(wedged(), other))
    assert said(outcome, "Ready")[:2] == ("True", "Serving")
    assert said(outcome, "Available")[:2] == ("False", "EngineWedged")
    assert wedge_events(outcome) == [sentence()]


def test_it_is_told_once_and_stays_to_be_read_while_its_pod_is_there() -> None:
    first = settle(spec(), pods=(wedged(),))
    later = settle(spec(), pods=(wedged(ready=True),), status=first.status)
    assert wedge_events(later) == []
    assert later.status["wedges"] == first.status["wedges"]
    assert said(later, "Available") == ("True", "ReplicasReady", f"1 of 1 replicas ready; {sentence()}")
    gone = settle(spec(), pods=(pod("chat-9", REVISION, ready=True),), status=later.status)
    assert "wedges" not in gone.status


def test_each_time_is_counted_and_told() -> None:
    status = settle(spec(), pods=(wedged(),)).status
    pods = (pod("chat-1", REVISION, sidecar(NOW - 5, restarts=2), engine(NOW - 6)),)
    again = settle(spec(), pods=pods, status=status)
    assert again.status["wedges"][0]["restarts"] == 2
    assert wedge_events(again) == [sentence(restarts=2)]
    settled = settle(spec(), pods=pods, status=again.status)
    assert (settled.status, wedge_events(settled)) == (again.status, [])


@pytest.mark.parametrize("state", ["terminated", "waiting"])
def test_a_sidecar_that_is_to_be_restarted_counts_as_restarted(state: str) -> None:
    now: dict[str, Any] = {"exit_code": 3, "finished": ENDED, "message": WORDS} if state == "terminated" else {}
    found = wedge(pod("chat-1", "", sidecar(state=state, restarts=1, **now)))
    assert found is not None
    assert found.restarts == 2


def test_there_is_room_for_sixteen_pods_the_latest() -> None:
    pods = tuple(wedged(f"chat-{number:02}", ended=NOW - 60 + number) for number in range(20))
    status = settle(spec(replicas=20), pods=pods).status
    assert [entry["pod"] for entry in status["wedges"]] == [f"chat-{number:02}" for number in range(4, 20)]
    assert InferenceServiceStatus.model_validate(status)


@pytest.mark.parametrize(
    "found",
    [
        container("slipway-engine"),
        container("slipway-engine", last_exit_code=1, last_finished=ENDED),
        container("slipway-engine", state="terminated", exit_code=0, finished=ENDED),
        sidecar(last_finished=None),
        container("other", last_exit_code=3, last_finished=ENDED),
    ],
    ids=["never ended", "ended otherwise", "ended with the pod", "no time", "another container"],
)
def test_what_is_no_wedge(found: Container) -> None:
    assert wedge(pod("chat-1", "", found)) is None
    assert engine_wedged(pod("chat-1", "", found)) is None


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (sidecar(state="terminated", exit_code=3, message=WORDS, finished=ENDED, last_exit_code=None), WORDS),
        (sidecar(state="waiting", reason="CrashLoopBackOff"), WORDS),
        (sidecar(last_message=""), "no last words"),
        (sidecar(last_message="x" * 300), "x" * 255 + "…"),
    ],
    ids=["just now", "waiting", "silent", "long"],
)
def test_what_the_sidecar_said_last(found: Container, words: str) -> None:
    told = wedge(pod("chat-1", "", found))
    assert told is not None
    assert (told.ended, told.words) == (ENDED, words)


def test_an_engine_that_ended_by_itself_since_is_told_as_that() -> None:
    crashed = engine(ENDED + 60, last_exit_code=1, last_message="CUDA error")
    found = pod_problem([pod("chat-1", "", sidecar(), crashed)])
    assert found is not None
    assert found.reason == "EngineCrashed"


@pytest.mark.parametrize("main", [container(), engine(ENDED), engine()], ids=["not seen to end", "then", "just before"])
def test_the_end_before_the_sidecars_is_the_wedges(main: Container) -> None:
    found = pod_problem([pod("chat-1", "", sidecar(), main)])
    assert found is not None
    assert found.reason == "EngineWedged"


@pytest.mark.parametrize("record", ["x", 7, [7], [{}], [{"pod": "chat-1", "count": "many", "time": 5}]])
def test_a_record_that_somebody_spoiled_is_written_anew(record: object) -> None:
    status: Obj = settle(spec(), pods=(wedged(),)).status
    again = settle(spec(), pods=(wedged(),), status={**status, "wedges": record})
    assert again.status["wedges"] == status["wedges"]


def test_pods_that_end_are_left_out() -> None:
    assert "wedges" not in settle(spec(), pods=(replace(wedged(), deleting=True),)).status
