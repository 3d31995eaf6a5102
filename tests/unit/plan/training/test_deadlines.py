"""Deadlines: what counts as running and as waiting to run, when the job has had its time, and what is done then."""

from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.outcome import Delete

from .builders import (
    EARLIER_TEXT,
    NOW,
    NOW_TEXT,
    RECIPE,
    Obj,
    claim_child,
    conditions,
    container,
    failed,
    fresh,
    gang,
    gang_pods,
    gang_ref,
    live,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)
from .world import World

NOT_OVER: Any = {pod_ref("demo-0-master-0"): {"status": {"phase": "Running"}}, gang_ref(): {"status": {}}}


def since(seconds: float, status: str = "True", **more: Any) -> Obj:
    """A status that says Running, or not, for so long."""
    (condition,) = conditions(Running=(status, "Running" if status == "True" else "WaitingForPods", ""))
    return {"conditions": [{**condition, "lastTransitionTime": rfc3339(NOW - seconds)}], "attempt": 0, **more}


def running(deadline: Any, status: Any, *, now: float = NOW, pods: Any = None, read: Any = NOT_OVER) -> Any:
    spec = {**RECIPE, "deadlineSeconds": deadline} if deadline else RECIPE
    return planned(with_gang(*(gang_pods() if pods is None else pods), spec=spec, status=status, read=read), now)


# Running time


@pytest.mark.parametrize(
    ("ran", "recorded", "over"),
    [(99, None, False), (100, None, True), (40, 59, False), (40, 60, True), (-5, 99, False)],
)
def test_all_attempts_count_and_the_present_one_until_now(ran: Any, recorded: Any, over: Any) -> None:
    status = since(ran, **({} if recorded is None else {"runningSeconds": recorded}))
    made = running(100, status)
    assert (told(made)["Failed"][0] == "True") == over
    left = 100 - (recorded or 0) - max(ran, 0)
    assert made.requeue_after == (None if over else left)
    assert made.status.get("runningSeconds") == ((recorded or 0) + ran if over else recorded)


def test_the_end_says_why_and_stops_the_gang() -> None:
    made = running(100, since(100, startTime=EARLIER_TEXT))
    message = "deadlineSeconds is 100, and the job has run for as long"
    assert told(made)["Failed"] == ("True", "DeadlineExceeded", message)
    assert told(made)["Ready"] == ("False", "DeadlineExceeded", message)
    assert told(made)["Running"] == ("False", "DeadlineExceeded", "")
    assert made.delete == (Delete(gang_ref(), "gang-0"),)
    assert (made.status["completionTime"], made.status["attempt"]) == (NOW_TEXT, 0)
    assert "lastFailure" not in made.status
    assert ("Warning", "DeadlineExceeded") in [(event.type, event.reason) for event in made.events]


def test_before_the_end_it_is_read_whether_the_job_is_done() -> None:
    assert running(100, since(100), read={}).reads == (pod_ref("demo-0-master-0"), gang_ref())
    made = running(100, since(100), read={**NOT_OVER, pod_ref("demo-0-master-0"): live("Succeeded")})
    assert told(made)["Complete"][0] == "True"


def test_a_gang_that_has_only_just_begun_to_run_has_all_its_time() -> None:
    assert running(100, {}).requeue_after == 100
    assert running(100, {"runningSeconds": 30}).requeue_after == 70


def test_without_a_deadline_nothing_is_waited_for() -> None:
    made = running(None, since(10**6))
    assert (told(made)["Running"][0], made.requeue_after) == ("True", None)


def test_what_has_run_is_recorded_when_it_ends() -> None:
    made = running(None, since(70, runningSeconds=5), pods=(failed(), pod("worker-0")))
    assert (made.status["attempt"], made.status["runningSeconds"]) == (1, 75)
    again = planned(fresh(status=made.status))
    assert again.status["runningSeconds"] == 75, "and once only"


def test_restarting_and_waiting_do_not_count() -> None:
    status = since(500, "False", runningSeconds=99)
    made = running(100, status, pods=gang_pods(phase="Pending"))
    assert (told(made)["Failed"][0], made.requeue_after) == ("False", None)
    resting = planned(fresh({**RECIPE, "deadlineSeconds": 100}, status=status))
    assert (told(resting)["Failed"][0], resting.status["runningSeconds"]) == ("False", 99)


def test_a_job_that_used_all_its_time_makes_no_further_gang() -> None:
    made = planned(fresh({**RECIPE, "deadlineSeconds": 100}, status={"attempt": 1, "runningSeconds": 100}))
    assert (told(made)["Failed"][1], made.create) == ("DeadlineExceeded", ())


@pytest.mark.parametrize("broken", ["long", None, {}])
def test_an_unreadable_sum_counts_as_none(broken: Any) -> None:
    assert running(100, since(40, runningSeconds=broken)).requeue_after == 60


def test_a_running_condition_without_a_time_began_long_ago() -> None:
    status = running_status()
    status["conditions"][0]["lastTransitionTime"] = "soon"
    assert told(running(100, status))["Failed"][1] == "DeadlineExceeded"


# Waiting to run


def starting(limit: Any, *pods: Any, created: float, status: Any = None, read: Any = NOT_OVER) -> Any:
    spec = {**RECIPE, "startDeadlineSeconds": limit}
    what = with_gang(*pods, spec=spec, status=status, read=read, children=(claim_child(), gang(created=NOW - created)))
    return planned(what)


PENDING = gang_pods(phase="Pending")


@pytest.mark.parametrize(("waited", "over"), [(59, False), (60, True)])
def test_an_attempt_that_does_not_run_in_time(waited: Any, over: Any) -> None:
    made = starting(60, *PENDING, created=waited)
    assert (told(made)["Failed"][0] == "True") == over
    assert made.requeue_after == (None if over else 1)


def test_what_it_waited_for_is_told() -> None:
    stuck = pod(phase="Pending", containers=(container("waiting", reason="ErrImagePull", message="x:1 not found"),))
    made = starting(60, stuck, pod("worker-0"), created=60)
    message = (
        "startDeadlineSeconds is 60, and attempt 0 did not run by then: ImagePullFailed: container pytorch of pod "
        "demo-0-master-0 cannot pull its image: x:1 not found"
    )
    assert told(made)["Failed"] == ("True", "StartDeadlineExceeded", message)
    assert made.delete == (Delete(gang_ref(), "gang-0"),)


def test_an_attempt_that_runs_is_not_waiting() -> None:
    made = starting(60, *gang_pods(), created=3600)
    assert (told(made)["Running"][0], made.requeue_after) == ("True", None)
    assert starting(60, *gang_pods(), created=3600, status=since(3000)).requeue_after is None


def test_a_gang_that_ran_waits_from_when_it_did_not() -> None:
    made = starting(60, *gang_pods(phase="Unknown"), created=3600, status=since(50, "False"))
    assert (told(made)["Failed"][0], made.requeue_after) == ("False", 10)


def test_each_attempt_has_its_time() -> None:
    status = since(3600, "False", attempt=1)
    spec = {**RECIPE, "startDeadlineSeconds": 60}
    what = with_gang(spec=spec, status=status, attempt=1, children=(claim_child(), gang(1, created=NOW - 1)))
    assert told(planned(what))["Failed"][0] == "False"


def test_a_gang_that_is_not_made_waits_for_nothing() -> None:
    assert len(planned(fresh({**RECIPE, "startDeadlineSeconds": 1}, status=since(3600, "False"))).create) == 1


# In the small cluster


def test_the_time_of_all_attempts_adds_up_and_ends_the_job() -> None:
    world = World(spec={**RECIPE, "deadlineSeconds": 300, "failurePolicy": {"maxRestarts": 9}})
    ran = 0.0
    for turn in range(200):
        if world.over:
            break
        before = world.now
        world.visit()
        runs = any(c["type"] == "Running" and c["status"] == "True" for c in world.status["conditions"])
        world.backend()
        world.start_pods()
        if turn % 13 == 12:
            world.end_pod("worker-0", 1)
        world.collect()
        world.check()
        world.now += 10
        ran += (world.now - before) * runs
    assert world.reason == "DeadlineExceeded"
    assert 300 <= ran <= 320
    assert world.status["runningSeconds"] == pytest.approx(ran, abs=20)
    world.settle()
    assert not world.pods
