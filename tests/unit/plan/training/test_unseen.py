"""A PyTorchJob that no watch tells of, since a user took its label off: a live read finds it, and it counts as any."""

from dataclasses import replace
from typing import Any

from slipway.plan.outcome import Delete

from .builders import (
    NOTHING_THERE,
    NOW_TEXT,
    UID,
    backend_condition,
    conditions,
    fresh,
    gang_pods,
    gang_ref,
    observed,
    owner,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)

FAILED = {"attempt": 1, "conditions": conditions(Failed=("True", "BackoffLimitExceeded", ""))}


def live(controller: str = UID, status: Any = None, **metadata: Any) -> Any:
    references = [{"uid": controller, "controller": True}]
    named = {"uid": "live", "creationTimestamp": NOW_TEXT, "ownerReferences": references, **metadata}
    return {"metadata": named, "spec": {}, "status": status or {}}


def unseen(body: Any, *pods: Any, **status: Any) -> Any:
    return planned(fresh(read=NOTHING_THERE | {gang_ref(): body}, pods=pods, status=status or None))


def test_it_runs_and_is_looked_at_again() -> None:
    made = unseen(live(), *gang_pods())
    assert told(made)["Running"][0] == "True"
    assert (made.create, made.delete, made.look_again) == ((), (), True)


def test_its_end_is_noticed() -> None:
    assert told(unseen(live(status=backend_condition("Failed")), pod(phase="Failed")))["Restarting"][1] == "PodFailed"


def test_one_of_an_attempt_that_is_over_goes_before_its_pods() -> None:
    """Or the backend would make them again as fast as they are deleted, for ever."""
    status = {"attempt": 1, "conditions": conditions()}
    what = fresh(read={}, pods=gang_pods(0), status=status)
    assert planned(what).reads == (gang_ref(0),)
    made = planned(replace(what, read=NOTHING_THERE | {gang_ref(0): live()}))
    assert (made.delete, made.look_again) == ((Delete(gang_ref(0), "live"),), True)
    gone = planned(replace(what, read=NOTHING_THERE | {gang_ref(0): None}))
    assert gone.delete == tuple(Delete(pod_ref(each.name), each.uid) for each in gang_pods(0))


def test_one_goes_beside_a_gang_that_runs() -> None:
    made = planned(
        with_gang(*gang_pods(1), pod(attempt=0), attempt=1, status=running_status(1), read={gang_ref(0): live()})
    )
    assert made.delete == (Delete(gang_ref(0), "live"),)


def test_one_of_a_job_that_is_over_goes() -> None:
    what = observed(owner(status=FAILED), pods=gang_pods(1))
    assert planned(what).reads == (gang_ref(1),)
    assert planned(replace(what, read={gang_ref(1): live()})).delete == (Delete(gang_ref(1), "live"),)


def test_pods_that_are_going_ask_for_nothing() -> None:
    status = {"attempt": 1, "conditions": conditions()}
    assert planned(fresh(pods=(pod(deleting=True),), status=status)).reads == ()


def test_pods_of_one_that_a_user_made_his_own_are_his() -> None:
    """Its name is in the way only if an attempt needs it; but two gangs at once there must not be."""
    made = planned(
        fresh(
            read=NOTHING_THERE | {gang_ref(0): live("user"), gang_ref(1): None},
            pods=gang_pods(0),
            status={"attempt": 1, "conditions": conditions()},
        )
    )
    assert (made.create, made.delete) == ((), ())
    assert told(made)["Accepted"][1] == "GangConflict"
    assert "PyTorchJob 'demo-0' exists and is not this job's" in told(made)["Accepted"][2]
