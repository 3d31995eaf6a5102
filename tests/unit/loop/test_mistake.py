"""A mistake of the operator's shows on the object that it is made over: once, and until a visit succeeds."""

from typing import Any

import pytest

from slipway.plan.conditions import TYPES
from slipway.plan.observed import Observed, Owner
from slipway.plan.outcome import Defaults, Plan
from slipway.reconcile import observe
from slipway.reconcile.queue import Again
from slipway.reconcile.trouble import mistake

from .bench import Bench
from .build import JOB, JOB_PATH, job
from .fakeapi import FakeApi

STATUS = f"PATCH {JOB_PATH}/status"
EVENTS = "POST /apis/events.k8s.io/v1/namespaces/ns/events"


def broken(words: str = "list index out of range") -> Any:
    def planner(observed: Observed, now: float, defaults: Defaults) -> Plan:
        raise IndexError(words)

    return planner


def ready(fake: FakeApi) -> Any:
    (found,) = [c for c in fake.objects[JOB_PATH]["status"]["conditions"] if c["type"] == "Ready"]
    return found


async def fails(bench: Bench) -> None:
    with pytest.raises(IndexError):
        await bench.visit()
    bench.told()


async def test_a_mistake_in_a_plan_is_told_once_and_taken_back(bench: Bench) -> None:
    bench.planner = broken()
    await fails(bench)
    assert bench.fake.writes == [STATUS, EVENTS]
    assert ready(bench.fake)["reason"] == "OperatorError"
    assert "(IndexError: list index out of range): see the operator's log" in ready(bench.fake)["message"]
    assert bench.fake.requests[-1].body["note"] == ready(bench.fake)["message"]
    for number in range(5):  # whatever the next one's words are
        bench.planner = broken(f"at 0x{number}")
        await fails(bench)
    assert bench.fake.writes == [STATUS, EVENTS], "no storm"
    bench.always(status={"conditions": [{"type": "Ready", "status": "True", "reason": "Serving"}]})
    assert await bench.visit() == Again()
    assert ready(bench.fake)["reason"] == "Serving"


async def test_that_it_cannot_be_told_does_not_hide_the_mistake(bench: Bench) -> None:
    bench.planner = broken()
    bench.fake.fail(STATUS, 500, times=9)
    await fails(bench)
    assert "status" not in bench.fake.objects[JOB_PATH]


def owner(*conditions: Any, **status: Any) -> Owner:
    return observe.owner(job(status={"conditions": list(conditions), **status}))


def test_what_else_the_status_says_stays() -> None:
    accepted = {"type": "Accepted", "status": "True", "reason": "Accepted"}
    was = {"type": "Ready", "status": "False", "reason": "Running", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    plan = mistake(JOB, owner(accepted, was, attempt=3), KeyError(), 0.0)
    assert plan is not None
    assert plan.status["attempt"] == 3
    first, *others, last = plan.status["conditions"]
    assert first == accepted
    assert {(c["status"], c["reason"], c["message"]) for c in others} == {
        ("Unknown", "OperatorError", "see condition Ready")
    }
    assert [c["type"] for c in (first, *others, last)] == [*TYPES["TrainingJob"]]
    assert (last["status"], last["reason"]) == ("False", "OperatorError")
    assert last["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert "(KeyError): see" in last["message"]
    assert "(ValueError: " + "x" * 199 + "…)" in str(mistake(JOB, owner(), ValueError("x" * 1000), 0.0))


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_job_that_is_over_stays_over(kind: str) -> None:
    assert mistake(JOB, owner({"type": kind, "status": "True", "reason": kind}), KeyError(), 0.0) is None
    assert mistake(JOB, owner({"type": kind, "status": "False", "reason": kind}), KeyError(), 0.0) is not None
