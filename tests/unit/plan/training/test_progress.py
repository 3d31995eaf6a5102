"""Which attempt it is, whose pods are whose, and what of the reports is shown."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.observed import Reported
from slipway.plan.training import situation as situations

from .builders import (
    NOW,
    RECIPE,
    UID,
    backend_condition,
    claim_child,
    gang,
    gang_pods,
    gang_ref,
    observed,
    owner,
    planned,
    pod,
    running_status,
    situation,
    with_gang,
)

# The situation


def test_the_gang_with_the_highest_number_is_believed_over_an_old_status() -> None:
    where = situation(
        with_gang(children=(gang(0), gang(2), gang(1, deleting=True), gang(7, deleting=True)), status={"attempt": 1})
    )
    assert where.attempt == 2
    assert where.gang == gang(2)
    assert where.stale_gangs == (gang(0), gang(1, deleting=True), gang(7, deleting=True))
    assert where.gang_ref == gang_ref(2)


def test_the_status_is_believed_over_old_gangs() -> None:
    where = situation(with_gang(children=(gang(0),), status={"attempt": 1}))
    assert (where.attempt, where.gang, where.stale_gangs) == (1, None, (gang(0),))


@pytest.mark.parametrize("name", ["demo-x", "demo", "demo-", "demo--1"])
def test_a_gang_that_slipway_would_not_name_so_is_no_attempt(name: Any) -> None:
    odd = gang(0, ref=replace(gang_ref(), name=name))
    where = situation(with_gang(children=(odd,)))
    assert where.gang is None or name == "demo--1"
    assert where.attempt == (1 if name == "demo--1" else 0)


def test_the_gang_of_another_owner_is_not_ours() -> None:
    where = situation(with_gang(children=(gang(9, owner_uid="x"),)))
    assert (where.attempt, where.gang) == (0, None)


def test_the_claim_is_no_gang() -> None:
    assert situation(observed(children=(claim_child(owner_uid=UID),))).stale_gangs == ()


@pytest.mark.parametrize(
    ("status", "attempt"), [({}, 0), ({"attempt": 3}, 3), ({"attempt": "x"}, 0), ({"attempt": None}, 0)]
)
def test_the_recorded_attempt(status: Any, attempt: Any) -> None:
    assert situations.recorded_attempt(status) == attempt


def test_pods_are_in_the_order_of_their_ranks() -> None:
    pods = [pod(f"worker-{index}") for index in (10, 2, 0)] + [pod()]
    where = situation(with_gang(*pods))
    assert [each.name.removeprefix("demo-0-") for each in where.pods] == [
        "master-0",
        "worker-0",
        "worker-2",
        "worker-10",
    ]
    assert [situations.is_rank_0(where, each) for each in where.pods] == [True, False, False, False]


def test_many_attempts() -> None:
    status = planned(with_gang(*gang_pods(300), attempt=300, status={"attempt": 300})).status
    what = with_gang(*gang_pods(300), attempt=300, status=status)
    assert situation(what).gang == gang(300)
    made = planned(what)
    assert (made.status, made.events, made.delete) == (status, (), ())


# Progress

SHOWN = {"step": 10, "totalSteps": 200, "lastCheckpointStep": 5, "updated": rfc3339(NOW - 20)}


def reported(*, pod_uid: Any = "uid-demo-0-master-0", received: Any = NOW - 1, **said: Any) -> Any:
    return Reported(**{"pod_uid": pod_uid, "received": received, "step": 40, "total_steps": 200, **said})


def progress(before: Any, report: Any, **changes: Any) -> Any:
    status = running_status() if before is None else running_status(progress=before)
    spec = {**RECIPE, "stall": {"factor": 0}}
    made = planned(with_gang(*gang_pods(), spec=spec, status=status, reported=report, **changes))
    return made.status.get("progress"), made.requeue_after


def test_the_first_report_is_shown_at_once() -> None:
    said = {"loss": "4.1234", "tokens_per_second": 5120, "last_checkpoint_step": 20}
    assert progress(None, reported(**said)) == (
        {
            "step": 40,
            "totalSteps": 200,
            "loss": "4.1234",
            "tokensPerSecond": 5120,
            "lastCheckpointStep": 20,
            "updated": rfc3339(NOW - 1),
        },
        None,
    )


def test_no_report_shows_nothing_and_keeps_what_was_shown() -> None:
    assert progress(None, None) == (None, None)
    assert progress(SHOWN, None) == (SHOWN, None)


def test_a_report_of_another_pod_is_not_shown() -> None:
    assert progress(SHOWN, reported(pod_uid="other")) == (SHOWN, None)


def test_a_newer_report_waits_for_its_turn() -> None:
    assert progress(SHOWN, reported()) == (SHOWN, 10)


@pytest.mark.parametrize("age", [30, 31, 1000])
def test_a_newer_report_in_its_turn_keeps_what_it_does_not_say(age: Any) -> None:
    before = {**SHOWN, "updated": rfc3339(NOW - age)}
    after = {"step": 40, "totalSteps": 200, "lastCheckpointStep": 5, "updated": rfc3339(NOW - 1)}
    assert progress(before, reported()) == (after, None)


def test_what_is_shown_already_is_not_waited_for() -> None:
    before = {**SHOWN, "step": 40, "updated": rfc3339(NOW - 1)}
    assert progress(before, reported()) == (before, None)


@pytest.mark.parametrize(("updated", "due"), [("junk", None), (None, None), (rfc3339(NOW + 3600), 30)])
def test_a_time_that_cannot_be_is_no_lock(updated: Any, due: Any) -> None:
    shown, again = progress({**SHOWN, "updated": updated}, reported())
    assert again == due
    assert shown["step"] == (40 if due is None else 10)


def test_the_last_report_is_shown_at_the_end() -> None:
    status = running_status(progress=SHOWN)
    made = planned(with_gang(pod(phase="Succeeded"), status=status, reported=reported(step=200)))
    assert made.status["progress"]["step"] == 200
    assert made.requeue_after is None


def test_the_sooner_of_two_waits_counts() -> None:
    verdict = backend_condition("Failed", since=rfc3339(NOW - 3))
    what = with_gang(*gang_pods(), status=running_status(progress=SHOWN), reported=reported())
    assert planned(replace(what, children=(claim_child(), gang(0, verdict)))).requeue_after == 7
    verdict = backend_condition("Failed", since=rfc3339(NOW))
    what = replace(what, owner=owner(status=running_status(progress={**SHOWN, "updated": rfc3339(NOW - 29)})))
    assert planned(replace(what, children=(claim_child(), gang(0, verdict)))).requeue_after == 1


def test_everything_that_is_reported_is_shown() -> None:
    said = {
        "step_seconds_p50": "0.25",
        "step_seconds_p99": "0.5",
        "mfu_percent": "41.2",
        "productive_seconds": "10",
        "checkpoint_seconds": "1.5",
        "bad_rows": 0,
        "slow_rank": 1,
        "slow_node": "node-2",
    }
    shown, _ = progress(None, reported(**said))
    assert shown == {
        "step": 40,
        "totalSteps": 200,
        "stepSecondsP50": "0.25",
        "stepSecondsP99": "0.5",
        "mfuPercent": "41.2",
        "productiveSeconds": "10",
        "checkpointSeconds": "1.5",
        "badRows": 0,
        "slowRank": 1,
        "slowNode": "node-2",
        "estimatedCompletionTime": rfc3339(NOW - 1 + 160 * 0.25),
        "updated": rfc3339(NOW - 1),
    }


@pytest.mark.parametrize(("rank", "node"), [(0, "node-1"), (1, "node-1"), (2, "node-b"), (3, "node-b"), (4, None)])
def test_the_node_of_a_slow_rank_is_found(rank: Any, node: Any) -> None:
    pods = (pod(), pod("worker-0", node="node-b"))
    spec = {**RECIPE, "perNode": 2}
    made = planned(with_gang(*pods, status=running_status(), reported=reported(slow_rank=rank), spec=spec))
    shown = made.status["progress"]
    assert (shown["slowRank"], shown.get("slowNode")) == (rank, node)


def test_a_straggler_that_is_not_reported_any_more_is_none() -> None:
    before = {**SHOWN, "slowRank": 1, "slowNode": "node-2", "badRows": 3, "updated": rfc3339(NOW - 60)}
    shown, _ = progress(before, reported())
    assert shown == {**SHOWN, "step": 40, "badRows": 3, "updated": rfc3339(NOW - 1)}


PACE = {**SHOWN, "stepSecondsP50": "2.5"}
DONE_TIME = rfc3339(NOW - 20 + 475)


def test_when_the_last_step_will_end() -> None:
    assert progress(PACE, None) == ({**PACE, "estimatedCompletionTime": DONE_TIME}, None)


def test_an_estimate_stands_until_the_next_report() -> None:
    foreseen = {**PACE, "estimatedCompletionTime": DONE_TIME}
    made = planned(with_gang(*gang_pods(), status=running_status(progress=foreseen)), NOW + 1000)
    assert made.status["progress"] == foreseen


def test_a_gang_that_does_not_run_has_no_estimate() -> None:
    foreseen = {**PACE, "estimatedCompletionTime": DONE_TIME}
    suspended = backend_condition("Suspended")
    made = planned(with_gang(status={"progress": foreseen}, backend=suspended))
    assert made.status["progress"] == PACE


@pytest.mark.parametrize(
    "change",
    [
        {"totalSteps": 9},
        {"totalSteps": 0},
        {"stepSecondsP50": "soon"},
        {"stepSecondsP50": "1e99"},
        {"stepSecondsP50": "nan"},
        {"stepSecondsP50": None},
        {"stepSecondsP50": "999999999999"},
        {"totalSteps": 2**53, "stepSecondsP50": "999999999999.999999999"},
    ],
)
def test_what_cannot_be_foreseen_is_not(change: Any) -> None:
    shown, _ = progress({**PACE, **change}, None)
    assert "estimatedCompletionTime" not in shown
