"""How long a restart waits: the pause, how it grows, when it is the first again, and that it is waited for exactly."""

from typing import Any

import pytest

from slipway.plan.clock import rfc3339

from .builders import (
    NOW,
    RECIPE,
    Obj,
    conditions,
    failed,
    fresh,
    planned,
    pod,
    pod_ref,
    told,
    with_gang,
)
from .world import World


def job(**policy: Any) -> Obj:
    return {**RECIPE, "failurePolicy": policy}


def pause_after(before: Any, *, ran: float | None = None, one: Any = None, **policy: Any) -> Any:
    """The pause after a failure of attempt 1, when `before` was that after attempt 0."""
    last = {"attempt": 0, "time": rfc3339(NOW - 900), "reason": "PodFailed", "message": ""}
    status: Obj = {
        "attempt": 1,
        "restarts": 1,
        "lastFailure": last | ({} if before is None else {"pauseSeconds": before}),
    }
    if ran is not None:
        (since,) = conditions(Running=("True", "Running", ""))
        status["conditions"] = [{**since, "lastTransitionTime": rfc3339(NOW - ran)}]
    broken = one or failed(attempt=1)
    made = planned(with_gang(broken, pod("worker-0", 1), spec=job(**policy), attempt=1, status=status))
    return made.status["lastFailure"]["pauseSeconds"]


@pytest.mark.parametrize(
    ("policy", "before", "pause"),
    [
        ({}, None, 10),
        ({}, 10, 20),
        ({}, 160, 300),
        ({}, 300, 300),
        ({"backoffSeconds": 5, "backoffLimitSeconds": 12}, 5, 10),
        ({"backoffSeconds": 5, "backoffLimitSeconds": 12}, 10, 12),
        ({"backoffSeconds": 0, "backoffLimitSeconds": 0}, 0, 0),
        ({"backoffSeconds": 0}, 0, 0),
    ],
)
def test_the_pause_doubles_to_its_limit(policy: Any, before: Any, pause: Any) -> None:
    assert pause_after(before, **policy) == pause


@pytest.mark.parametrize(("ran", "pause"), [(299, 160), (300, 10), (9000, 10), (-50, 160)])
def test_an_attempt_that_ran_as_long_as_the_longest_pause_made_progress(ran: Any, pause: Any) -> None:
    assert pause_after(80, ran=ran) == pause


def test_a_gang_that_stalled_made_none() -> None:
    assert pause_after(80, ran=9000, one=failed(attempt=1, code=75)) == 160


def test_a_job_that_is_over_waits_for_nothing() -> None:
    made = planned(with_gang(failed(code=2)))
    assert "pauseSeconds" not in made.status["lastFailure"]


# Waiting


def waiting(
    *, failed_at: float = NOW, pause: Any = 20, attempt: int = 1, of: Any = 0, now: float = NOW, **more: Any
) -> Any:
    last = {"attempt": of, "time": rfc3339(failed_at), "reason": "PodFailed", "message": "", "pauseSeconds": pause}
    why = "restart 1 of 3: why"
    cause = conditions(Running=("False", "Restarting", why), Restarting=("True", "PodFailed", why))
    status = {"attempt": attempt, "restarts": 1, "lastFailure": last, "conditions": cause}
    return planned(fresh(status=status, **more), now)


def test_the_next_gang_waits_for_the_pause_and_says_until_when() -> None:
    made = waiting(now=NOW + 12.5)
    message = "restart 1 of 3: why (waiting for a pause of 20 s to end at 2027-01-15T08:00:20Z)"
    assert told(made)["Running"] == ("False", "Restarting", message)
    assert (made.create, made.apply, made.templates) == ((), (), ())
    assert made.requeue_after == 7.5
    assert told(waiting(now=NOW + 1)) == told(made), "the same words for as long as it waits"


def test_the_gang_is_made_when_the_pause_is_over() -> None:
    made = waiting(now=NOW + 20)
    assert [body["metadata"]["name"] for body in made.create] == ["demo-1"]
    assert "pause" not in told(made)["Running"][2]


def test_nothing_is_tried_nor_are_pods_asked_about_while_it_waits() -> None:
    """What is left of the attempt before goes meanwhile: the pause begins with the failure."""
    old = pod(attempt=0, phase="Failed")
    made = waiting(pods=(old,), now=NOW + 5)
    assert [each.ref for each in made.delete] == [pod_ref("demo-0-master-0")]
    assert "pod demo-0-master-0 to go" in told(made)["Running"][2]


@pytest.mark.parametrize(
    "changes",
    [
        {"pause": 0},
        {"of": 1, "attempt": 3},
        {"failed_at": NOW + 86400},
        {"pause": None},
        {"of": None},
    ],
)
def test_there_is_no_pause(changes: Any) -> None:
    """None was chosen; another attempt came between (a resumed job's); or a clock of tomorrow told the failure."""
    assert len(waiting(**changes).create) == 1


def test_a_clock_that_is_a_little_behind_waits_a_little_longer() -> None:
    made = waiting(failed_at=NOW + 30)
    assert (made.create, made.requeue_after) == ((), 50)


def test_an_unreadable_time_is_long_ago() -> None:
    last = {"attempt": 0, "time": "yesterday", "pauseSeconds": 60}
    assert len(planned(fresh(status={"attempt": 1, "lastFailure": last})).create) == 1


def test_no_gang_is_made_before_its_time() -> None:
    world = World(spec={**RECIPE, "failurePolicy": {"maxRestarts": 5, "backoffSeconds": 50}})
    made: list[tuple[str, float]] = []
    failures: list[float] = []
    for _ in range(200):
        before = len(world.created)
        world.visit()
        made += [(name, world.now) for name in world.created[before:]]
        world.backend()
        world.start_pods()
        if len(failures) < len(world.created) and len(world.pods) == 2 and world.created[-1] in world.gangs:
            failures.append(world.now)
            world.end_pod("worker-0", 1)
        world.collect()
        world.now += 7
    gaps = [at - failure for failure, (_, at) in zip(failures, made[1:], strict=False)]
    assert len(gaps) == 5
    for gap, pause in zip(gaps, (50, 100, 200, 300, 300), strict=True):
        assert pause <= gap < pause + 30
