"""spec.suspend: a gang is stopped without a failure, nothing is left of it, and going on costs nothing."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.observed import Verdict
from slipway.plan.outcome import Delete, Event

from .builders import (
    EARLIER_TEXT,
    NOTHING_THERE,
    NOW_TEXT,
    RECIPE,
    asked,
    conditions,
    failed,
    fresh,
    gang_pods,
    gang_ref,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)
from .world import World

SUSPENDED = {**RECIPE, "suspend": True}
READ = {pod_ref("demo-0-master-0"): {"status": {"phase": "Running"}}, gang_ref(): {}}

STOPPING = "spec.suspend is true: the gang is stopped"
STOPPED = "spec.suspend is true and no pod of the job is left: it goes on when that is false"


def suspending(*pods: Any, status: Any = None, **changes: Any) -> Any:
    what = with_gang(*pods, spec=SUSPENDED, status=running_status() if status is None else status, read=READ)
    return planned(replace(what, **changes))


def test_stopping_a_gang_is_the_next_attempt_and_no_failure() -> None:
    made = suspending(*gang_pods(), status=running_status(startTime=EARLIER_TEXT, restarts=1))
    assert told(made)["Running"] == ("False", "Suspending", STOPPING)
    assert told(made)["Ready"] == ("False", "Suspending", STOPPING)
    assert (made.status["attempt"], made.status["restarts"], made.status["startTime"]) == (1, 1, EARLIER_TEXT)
    assert "lastFailure" not in made.status
    assert made.status["runningSeconds"] == 3600
    assert [event.reason for event in made.events] == ["Accepted"]
    assert (made.apply, made.create, made.delete) == ((), (), ()), "the number is written before anything is deleted"


def test_before_a_gang_is_stopped_it_is_read_whether_it_is_done() -> None:
    what = with_gang(*gang_pods(), spec=SUSPENDED, status=running_status())
    assert planned(what).reads == (pod_ref("demo-0-master-0"), gang_ref())


def test_what_is_done_stays_done() -> None:
    made = suspending(pod(phase="Succeeded"), pod("worker-0"))
    assert told(made)["Complete"][0] == "True"
    over = {"conditions": conditions(Failed=("True", "RecipeError", "why")), "attempt": 0}
    assert told(suspending(status=over))["Failed"] == ("True", "RecipeError", "why")


def test_a_failure_counts_though_the_job_is_to_be_suspended() -> None:
    made = suspending(failed(), pod("worker-0"), status={})
    assert (made.status["attempt"], made.status["restarts"]) == (1, 1)
    assert told(made)["Running"][1] == "Restarting"


def left_over(*pods: Any, **changes: Any) -> Any:
    status = {"attempt": 1, "conditions": conditions(Running=("False", "Suspending", STOPPING))}
    return planned(fresh(SUSPENDED, status=status, pods=pods, **changes))


def test_it_is_not_suspended_before_the_last_pod_has_gone() -> None:
    going = pod("worker-0", deleting=True)
    made = left_over(pod(), going)
    waits = f"{STOPPING} (waiting for pod demo-0-master-0, pod demo-0-worker-0 to go)"
    assert told(made)["Running"] == ("False", "Suspending", waits)
    assert made.delete == (Delete(pod_ref("demo-0-master-0"), "uid-demo-0-master-0"),)
    assert made.create == ()


def test_then_it_says_so_once_and_rests() -> None:
    made = left_over()
    assert told(made)["Running"] == told(made)["Ready"] == ("False", "Suspended", STOPPED)
    assert Event("Normal", "Suspended", STOPPED) in made.events
    assert (made.apply, made.create, made.delete, made.requeue_after) == ((), (), (), None)
    again = planned(fresh(SUSPENDED, status=made.status))
    assert (again.status, again.events) == (made.status, ())


def test_a_job_may_begin_suspended() -> None:
    made = planned(fresh(SUSPENDED, children=()))
    assert told(made)["Accepted"][0] == "True"
    assert told(made)["Running"] == ("False", "Suspended", STOPPED)
    assert (made.apply, made.create, made.status["attempt"]) == ((), (), 0)


def test_a_gang_that_no_watch_tells_of_is_stopped_as_any_other() -> None:
    ours = {"metadata": {"ownerReferences": [{"uid": "11111111-2222-3333-4444-555555555555", "controller": True}]}}
    what = fresh(SUSPENDED, read={**NOTHING_THERE, gang_ref(): ours})
    assert planned(what).reads == (pod_ref("demo-0-master-0"),)
    made = planned(replace(what, read={**what.read, pod_ref("demo-0-master-0"): None}))
    assert (told(made)["Running"][1], made.status["attempt"]) == ("Suspending", 1)


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict("spec.x: Invalid value", invalid=True), "InvalidPodTemplate"),
        (Verdict("exceeded quota: q"), "Suspended"),
    ],
)
def test_what_is_wrong_is_told_while_it_is_suspended_but_not_what_others_leave_of_a_quota(
    verdict: Any, reason: Any
) -> None:
    what = fresh(SUSPENDED)
    ((digest, _),) = asked(what).templates
    made = planned(replace(what, verdicts={digest: verdict}))
    assert told(made)["Ready"][1] == reason
    assert made.requeue_after is None


def resumed(**status: Any) -> Any:
    before = conditions(Accepted=("True", "Accepted", ""), Running=("False", "Suspended", STOPPED))
    return planned(fresh(status={"attempt": 1, "conditions": before, **status}))


def test_going_on_is_an_attempt_that_uses_no_budget() -> None:
    made = resumed(restarts=3, lastFailure={"attempt": 0, "time": NOW_TEXT, "reason": "PodFailed", "pauseSeconds": 0})
    assert [body["metadata"]["name"] for body in made.create] == ["demo-1"]
    assert told(made)["Running"][1] == "WaitingForPods"
    assert made.status["restarts"] == 3


def test_a_pause_goes_on_after_a_suspension_that_was_shorter() -> None:
    made = resumed(lastFailure={"attempt": 0, "time": NOW_TEXT, "reason": "PodFailed", "pauseSeconds": 30})
    assert (made.create, made.requeue_after) == ((), 30)
    suspended = planned(
        fresh(SUSPENDED, status={"attempt": 1, "lastFailure": {"attempt": 0, "time": NOW_TEXT, "pauseSeconds": 30}})
    )
    assert (told(suspended)["Running"][1], suspended.requeue_after) == ("Suspended", None)


def test_in_the_small_cluster() -> None:
    world = World()
    world.settle()
    for attempt in (1, 2, 3, 4, 5):
        world.user_suspends(True)
        world.settle()
        assert (world.reason, world.gangs, world.pods) == ("Suspended", {}, {})
        assert world.status["attempt"] == attempt
        world.user_suspends(False)
        world.settle()
        assert world.reason == "Running"
    assert "restarts" not in world.status
    world.end_pod("worker-0", 1)
    world.settle()
    assert (world.status["attempt"], world.status["restarts"]) == (6, 1)
