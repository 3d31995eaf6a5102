"""A gang that makes no step: how long a step takes, since when none came, and what is done about it."""

import json
from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.observed import Reported

from .builders import (
    COMMAND,
    NOW,
    NOW_TEXT,
    RECIPE,
    conditions,
    failed,
    gang_pods,
    gang_ref,
    live,
    planned,
    pod,
    pod_ref,
    told,
    with_gang,
)

RANK_0 = "uid-demo-0-master-0"
READ: Any = {pod_ref("demo-0-master-0"): {"status": {"phase": "Running"}}, gang_ref(): {"status": {}}}
RAN = 5000.0  # seconds for which the gang has run


def pace(*, steps: int, took: float, idle: float, pod_uid: str = RANK_0, first: int = 100) -> Any:
    """A status with so many steps in so many seconds, the last of them `idle` seconds ago."""
    begun = {"podUID": pod_uid, "fromStep": first, "fromTime": rfc3339(NOW - idle - took)}
    newest = rfc3339(NOW - idle)
    return {"pace": {**begun, "stepTime": newest}, "progress": {"step": first + steps, "updated": newest}}


def running(**more: Any) -> Any:
    (condition,) = conditions(Running=("True", "Running", ""))
    return {"conditions": [{**condition, "lastTransitionTime": rfc3339(NOW - RAN)}], "attempt": 0, **more}


def visited(
    before: Any, *, spec: Any = None, factor: Any = 10, floor: Any = 60, status: Any = None, **changes: Any
) -> Any:
    whole = {**(spec or RECIPE), "stall": {"factor": factor, "floorSeconds": floor}}
    told_before = running(**{**(before or {}), **(status or {})})
    what = with_gang(*gang_pods(), spec=whole, status=told_before, **{"read": READ, **changes})
    return planned(what)


def stalls(*arguments: Any, **changes: Any) -> Any:
    made = visited(*arguments, **changes)
    last = made.status.get("lastFailure")
    assert last is None or last["reason"] == "Stalled"
    return last is not None


# When


@pytest.mark.parametrize(
    ("steps", "took", "factor", "floor", "bound"),
    [
        (10, 200, 10, 60, 200),  # 20 s a step
        (10, 200, 3, 60, 60),
        (1000, 100, 10, 600, 600),
        (1, 70, 5, 1, 350),
        (10, 0, 10, 5, 5),
    ],
)
def test_no_step_for_so_many_times_as_long_as_a_step_takes(
    steps: Any, took: Any, factor: Any, floor: Any, bound: Any
) -> None:
    """And a minute more, in which the trainer's own watchdog comes first."""
    policy = {"factor": factor, "floor": floor}
    made = visited(pace(steps=steps, took=took, idle=bound + 59), **policy)
    assert (made.requeue_after, "lastFailure" in made.status) == (1, False)
    assert stalls(pace(steps=steps, took=took, idle=bound + 60), **policy)


def test_the_restart_says_what_was_waited_for() -> None:
    made = visited(pace(steps=10, took=205, idle=300))
    message = (
        "step 110 was the last that rank 0 reported, 265 s ago or more: a step takes 20.5 s, and stall.factor is 10"
    )
    assert told(made)["Running"] == ("False", "Restarting", f"restart 1 of 3: {message}")
    last = {"attempt": 0, "time": NOW_TEXT, "reason": "Stalled", "message": message, "pauseSeconds": 10}
    assert made.status["lastFailure"] == last


def test_rules_decide_about_a_stall_as_about_any_failure() -> None:
    spec = {**RECIPE, "failurePolicy": {"rules": [{"reasons": ["Stalled"], "action": "Fail"}]}}
    assert told(visited(pace(steps=10, took=200, idle=300), spec=spec))["Failed"][1] == "FailedByRule"


def test_before_it_counts_it_is_read_whether_the_job_is_done() -> None:
    made = visited(pace(steps=10, took=200, idle=300), read={})
    assert made.reads == (pod_ref("demo-0-master-0"), gang_ref())
    made = visited(pace(steps=10, took=200, idle=300), read={**READ, pod_ref("demo-0-master-0"): live("Succeeded")})
    assert told(made)["Complete"][0] == "True"


def test_factor_0_is_never() -> None:
    made = visited(pace(steps=10, took=200, idle=4000), factor=0)
    assert ("lastFailure" in made.status, made.requeue_after) == (False, None)


def test_a_program_of_the_users_own_that_reports_steps_may_stall_too() -> None:
    assert stalls(pace(steps=10, took=200, idle=300), spec={**COMMAND, "nodes": 2})


# What does not count


@pytest.mark.parametrize(
    "before",
    [
        None,
        pace(steps=10, took=200, idle=4000, pod_uid="of-an-earlier-attempt"),
        {"pace": {}},
        {"pace": {"podUID": RANK_0}},
    ],
)
def test_nothing_stalls_before_the_gang_has_reported_a_step(before: Any) -> None:
    made = visited(before)
    assert ("lastFailure" in made.status, made.requeue_after) == (False, None)


def test_nothing_stalls_before_all_of_it_runs() -> None:
    status = {"conditions": conditions(Running=("False", "WaitingForPods", "")), "attempt": 0}
    what = with_gang(*gang_pods(), status={**status, **pace(steps=10, took=200, idle=4000)}, read=READ)
    assert "lastFailure" not in planned(what).status


def test_the_clock_begins_when_all_of_it_runs() -> None:
    made = visited(pace(steps=10, took=0, idle=RAN + 1000), floor=6000)
    assert made.requeue_after == 6060 - RAN


@pytest.mark.parametrize(("since", "stall"), [(300, True), (100, False)])
def test_what_was_said_while_nobody_listened_does_not_count(since: Any, stall: Any) -> None:
    """A new leader has heard no step; that does not mean that there was none."""
    assert stalls(pace(steps=10, took=200, idle=4000), listening_since=NOW - since) == stall


def test_after_the_last_step_there_is_none_to_wait_for() -> None:
    done = {"progress": {"step": 110, "totalSteps": 110, "updated": rfc3339(NOW - 4000)}}
    assert not stalls(pace(steps=10, took=200, idle=4000), status=done)
    not_done = {"progress": {"step": 110, "totalSteps": 111, "updated": rfc3339(NOW - 4000)}}
    assert stalls(pace(steps=10, took=200, idle=4000), status=not_done)
    unknown = {"progress": {"step": 110, "updated": rfc3339(NOW - 4000)}}
    assert stalls(pace(steps=10, took=200, idle=4000), status=unknown)


def test_a_gang_that_waits_for_its_first_step_after_a_report_waits_as_long_as_that_took() -> None:
    """Warm-up is the best that is known then: here 1000 s to the first report."""
    first = pace(steps=0, took=0, idle=RAN - 1000)
    assert not stalls(first, factor=10)
    assert visited(first, factor=10).requeue_after == 10_060 - (RAN - 1000)
    assert stalls(first, factor=3)


# What is heard


def report(step: int, *, ago: float = 1, pod_uid: str = RANK_0, total: int = 1000) -> Reported:
    return Reported(pod_uid=pod_uid, received=NOW - ago, step=step, total_steps=total)


def test_the_first_report_of_a_pod_begins_the_measure() -> None:
    made = visited(None, reported=report(40))
    begun = {"podUID": RANK_0, "fromStep": 40, "fromTime": rfc3339(NOW - 1)}
    assert made.status["pace"] == {**begun, "stepTime": rfc3339(NOW - 1)}
    assert made.status["progress"]["step"] == 40


@pytest.mark.parametrize(
    "before", [pace(steps=9, took=9, idle=30, pod_uid="old"), pace(steps=9, took=9, idle=30, first=500)]
)
def test_so_does_that_of_another_pod_or_of_a_step_before(before: Any) -> None:
    """Rank 0 was made anew, and goes on from a checkpoint."""
    assert visited(before, reported=report(400)).status["pace"]["fromStep"] == 400


def test_a_further_step_moves_the_measure_on_and_no_step_does_not() -> None:
    before = pace(steps=10, took=200, idle=100)
    further = visited(before, reported=report(115)).status
    assert further["pace"] == {**before["pace"], "stepTime": rfc3339(NOW - 1)}
    assert further["progress"]["step"] == 115
    same = visited(before, reported=report(110)).status
    assert same["pace"] == before["pace"]
    assert same["progress"]["updated"] == rfc3339(NOW - 1), "it was heard"


def test_a_step_that_is_not_shown_yet_counts_all_the_same() -> None:
    """The status is written every half minute at most, and the measure with it."""
    shown = {"progress": {"step": 110, "totalSteps": 1000, "updated": rfc3339(NOW - 10)}}
    before = pace(steps=10, took=200, idle=4000)
    made = visited(before, reported=report(111, ago=2), status=shown)
    assert "lastFailure" not in made.status
    assert (made.status["pace"], made.status["progress"]) == (before["pace"], shown["progress"])
    assert not stalls(before, reported=report(1000, ago=4000), status=shown)


def test_another_pods_report_is_not_heard() -> None:
    before = pace(steps=10, took=200, idle=300)
    assert stalls(before, reported=report(200, pod_uid="other"))


def test_planning_again_writes_the_same() -> None:
    made = visited(None, reported=report(40))
    spec = {**RECIPE, "stall": {"factor": 10, "floorSeconds": 60}}
    again = planned(with_gang(*gang_pods(), spec=spec, status=made.status, reported=report(40)), NOW + 25)
    assert again.status == made.status


# The watchdog's own end


def test_a_pod_that_its_watchdog_ended_tells_where_its_ranks_were() -> None:
    first = {"rank": 1, "exitCode": 75, "message": "stalled: no step for 300 s"}
    message = json.dumps({"failures": [first], "stacks": "rank 0: all_reduce\nrank 1: read"})
    made = planned(with_gang(failed(message=message, code=75), pod("worker-0")))
    last = made.status["lastFailure"]
    assert (last["reason"], last["exitCode"]) == ("Stalled", 75)
    said = "rank 1 exited with 75: stalled: no step for 300 s\nrank 0: all_reduce\nrank 1: read"
    assert last["message"] == f"pod demo-0-master-0: {said}"


@pytest.mark.parametrize(("stacks", "shown"), [(None, ""), ({"0": ["f"]}, '\n{"0": ["f"]}'), ([], ""), (" \n", "")])
def test_stacks_of_any_shape(stacks: Any, shown: Any) -> None:
    message = json.dumps({"failures": [{"rank": 0, "exitCode": 75, "message": "stalled"}], "stacks": stacks})
    made = planned(with_gang(failed(message=message, code=75)))
    assert made.status["lastFailure"]["message"] == f"pod demo-0-master-0: rank 0 exited with 75: stalled{shown}"


def test_the_pod_that_its_watchdog_ended_is_the_cause() -> None:
    pods = (failed("master-0", code=1), failed("worker-0", code=75))
    assert planned(with_gang(*pods)).status["lastFailure"]["reason"] == "Stalled"
