"""An attempt on its way: what Running says, progress, cleaning up before the next, the plan at rest."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.outcome import Delete, Event

from .builders import (
    EARLIER_TEXT,
    NOW,
    NOW_TEXT,
    RECIPE,
    UID,
    asked,
    claim,
    claim_child,
    claim_ref,
    conditions,
    container,
    fresh,
    gang,
    gang_pods,
    gang_ref,
    owner,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)


def running(*pods: Any, **changes: Any) -> Any:
    return told(planned(with_gang(*pods, **changes)))["Running"]


NONE_YET = (
    "the training operator has made no pod of PyTorchJob demo-0 yet; its events say why if this lasts: "
    "kubectl describe pytorchjob demo-0"
)
ONE_YET = (
    "1 of 2 pods exist; the events of PyTorchJob demo-0 say why the others are not made if this lasts: "
    "kubectl describe pytorchjob demo-0"
)


def test_all_pods_run() -> None:
    made = planned(with_gang(*gang_pods()))
    assert told(made)["Running"] == ("True", "Running", "attempt 0 runs on 2 pods")
    assert told(made)["Ready"] == ("False", "Running", "attempt 0 runs on 2 pods")
    assert made.status["startTime"] == NOW_TEXT
    assert made.events == (
        Event("Normal", "Accepted", "the spec can be carried out"),
        Event("Normal", "Running", "attempt 0 runs on 2 pods"),
    )
    assert [body["kind"] for body in made.apply] == ["PersistentVolumeClaim"]
    assert (made.create, made.delete, made.requeue_after) == ((), (), None)


def test_a_claim_that_is_deleted_under_the_gang_is_told_once_and_it_runs_on() -> None:
    children = (claim_child(deleting=True), gang())
    made = planned(with_gang(*gang_pods(), status=running_status(), children=children))
    message = (
        "attempt 0 runs on 2 pods, but PersistentVolumeClaim demo-output is being deleted and goes with the "
        "job's last pod: copy the output away while they run, or set its PersistentVolume's reclaim policy to Retain"
    )
    assert told(made)["Running"] == ("True", "ClaimTerminating", message)
    assert told(made)["Ready"] == ("False", "ClaimTerminating", message)
    warnings = [event for event in made.events if event.type == "Warning"]
    assert warnings == [Event("Warning", "ClaimTerminating", message)]
    again = planned(with_gang(*gang_pods(), status=made.status, children=children))
    assert (again.status, again.events) == (made.status, ())


def test_a_gang_of_one() -> None:
    assert running(pod(), spec={**RECIPE, "nodes": 1}) == ("True", "Running", "attempt 0 runs on 1 pod")


def test_a_peer_that_has_succeeded_did_run() -> None:
    assert running(pod(), pod("worker-0", phase="Succeeded"))[0] == "True"


def test_the_start_is_the_first_run_of_all() -> None:
    made = planned(with_gang(*gang_pods(1), attempt=1, status={"attempt": 1, "startTime": EARLIER_TEXT}))
    assert made.status["startTime"] == EARLIER_TEXT
    assert told(made)["Running"] == ("True", "Running", "attempt 1 runs on 2 pods")


@pytest.mark.parametrize(
    ("pods", "message"),
    [
        ((), NONE_YET),
        ((pod(),), ONE_YET),
        ((pod(phase="Pending"),), ONE_YET),
        ((pod(), pod("worker-0", phase="Pending")), "1 of 2 pods run: waiting for demo-0-worker-0"),
        (gang_pods(phase="Pending"), "0 of 2 pods run: waiting for demo-0-master-0, demo-0-worker-0"),
        ((pod(), pod("worker-0", deleting=True)), "1 of 2 pods run: waiting for demo-0-worker-0"),
        ((pod(), pod("worker-0", phase="Unknown")), "1 of 2 pods run: waiting for demo-0-worker-0"),
    ],
)
def test_waiting_for_pods(pods: Any, message: Any) -> None:
    made = planned(with_gang(*pods))
    assert told(made)["Running"] == ("False", "WaitingForPods", message)
    assert told(made)["Ready"] == ("False", "WaitingForPods", message)
    assert [event.reason for event in made.events] == ["Accepted"]
    assert "startTime" not in made.status


def test_a_gang_that_somebody_suspended_says_so_and_recovers() -> None:
    made = planned(with_gang(children=(claim_child(), gang(suspended=True))))
    message = "PyTorchJob demo-0 is suspended: it goes on when its spec.runPolicy.suspend is false"
    assert told(made)["Running"] == told(made)["Ready"] == ("False", "GangSuspended", message)
    assert Event("Warning", "GangSuspended", message) in made.events
    resumed = planned(with_gang(*gang_pods(), status=made.status))
    assert told(resumed)["Running"][0] == "True"


def test_a_missing_image_is_named_and_told_once() -> None:
    bad = pod(phase="Pending", containers=(container("waiting", reason="ErrImagePull", message="x:1 not found"),))
    message = "container pytorch of pod demo-0-master-0 cannot pull its image: x:1 not found"
    made = planned(with_gang(bad, pod("worker-0")))
    assert told(made)["Running"] == ("False", "ImagePullFailed", message)
    assert told(made)["Ready"] == ("False", "ImagePullFailed", message)
    assert Event("Warning", "ImagePullFailed", message) in made.events
    again = planned(with_gang(bad, pod("worker-0"), status=made.status))
    assert (again.status, again.events) == (made.status, ())


def test_a_pod_without_a_node_is_named_and_recovers() -> None:
    bad = pod(phase="Pending", scheduled=False, unschedulable_message="0/1 nodes have nvidia.com/gpu")
    made = planned(with_gang(bad, pod("worker-0", phase="Pending")))
    message = "pod demo-0-master-0 finds no node: 0/1 nodes have nvidia.com/gpu"
    assert told(made)["Running"] == ("False", "Unschedulable", message)
    mended = planned(with_gang(*gang_pods(), status=made.status))
    assert told(mended)["Running"][0] == "True"


def unmounted(seconds: float) -> Any:
    return pod(phase="Pending", scheduled=True, unprepared=True, bound=NOW - seconds)


def test_a_pod_whose_volumes_are_not_mounted_is_named_and_recovers() -> None:
    made = planned(with_gang(unmounted(20.0), pod("worker-0")))
    message = (
        "pod demo-0-master-0 has a node, but its volumes are not mounted or its network is not set up (a Secret, "
        "ConfigMap or claim that is not there, or a claim that another node holds); its events say which: kubectl "
        "describe pod demo-0-master-0"
    )
    assert told(made)["Running"] == ("False", "VolumesNotMounted", message)
    assert Event("Warning", "VolumesNotMounted", message) in made.events
    mended = planned(with_gang(*gang_pods(), status=made.status))
    assert told(mended)["Running"][0] == "True"


def test_a_pod_that_has_just_got_its_node_is_looked_at_again() -> None:
    made = planned(with_gang(unmounted(17.0), pod("worker-0")))
    assert told(made)["Running"][1] == "WaitingForPods"
    assert made.requeue_after == 3.0


def test_how_many_of_many_pods_run() -> None:
    pods = [pod(), *(pod(f"worker-{index}") for index in range(2)), pod("worker-2", phase="Pending")]
    found = running(*pods, spec={**RECIPE, "nodes": 4})
    assert found == ("False", "WaitingForPods", "3 of 4 pods run: waiting for demo-0-worker-2")


def test_a_missing_image_is_at_rest_while_the_kubelet_tries_and_pauses() -> None:
    def seen(reason: str, message: str) -> Any:
        return pod(phase="Pending", containers=(container("waiting", reason=reason, message=message),))

    failed = planned(with_gang(seen("ErrImagePull", "x:1 not found")))
    pausing = planned(with_gang(seen("ImagePullBackOff", 'Back-off pulling image "x:1"'), status=failed.status))
    assert (pausing.status, pausing.events) == (failed.status, ())


WHY = "restart 1 of 3: why"
RESTARTED = {
    "attempt": 1,
    "conditions": conditions(Running=("False", "Restarting", WHY), Restarting=("True", "PodFailed", WHY)),
}


@pytest.mark.parametrize(
    ("pods", "waits"),
    [
        ((), " (waiting for 2 of 2 pods to be made; if this lasts: kubectl describe pytorchjob demo-1)"),
        ((pod(attempt=1),), " (waiting for 1 of 2 pods to be made; if this lasts: kubectl describe pytorchjob demo-1)"),
        (gang_pods(1, phase="Pending"), ""),
    ],
)
def test_the_reason_of_a_restart_stands_until_the_new_pods_run(pods: Any, waits: str) -> None:
    made = planned(with_gang(*pods, attempt=1, status=RESTARTED))
    assert told(made)["Running"] == ("False", "Restarting", f"restart 1 of 3: why{waits}")
    again = planned(with_gang(*gang_pods(1, phase="Pending"), attempt=1, status=made.status))
    assert told(again)["Running"] == ("False", "Restarting", "restart 1 of 3: why")


def test_the_new_pods_troubles_are_news() -> None:
    bad = pod(attempt=1, phase="Pending", scheduled=False, unschedulable_message="full")
    assert running(bad, attempt=1, status=RESTARTED)[1] == "Unschedulable"


# Before the gang


def pod_delete(who: Any) -> Any:
    return Delete(pod_ref(who.name), who.uid)


def test_what_is_left_of_another_attempt_goes_first() -> None:
    old = gang_pods(0, phase="Failed")
    what = fresh(status=RESTARTED, children=(claim_child(), gang(0)), pods=old)
    made = planned(what)
    assert made.delete == (Delete(gang_ref(0), "gang-0"),)
    assert (made.create, made.apply, made.requeue_after) == ((), (), None)
    waits = "(waiting for PyTorchJob demo-0, pod demo-0-master-0, pod demo-0-worker-0 to go)"
    assert told(made)["Running"] == ("False", "Restarting", f"restart 1 of 3: why {waits}")
    assert [event.reason for event in made.events] == ["Accepted"]


def test_pods_are_deleted_when_their_gang_is_gone() -> None:
    old, going = pod(attempt=0), pod("worker-0", 0, deleting=True)
    status = planned(fresh(status=RESTARTED, children=(claim_child(), gang(0)), pods=(old, going))).status
    made = planned(fresh(status=status, pods=(old, going)))
    assert made.delete == (pod_delete(old),)
    waits = "(waiting for pod demo-0-master-0, pod demo-0-worker-0 to go)"
    assert told(made)["Running"][2] == f"restart 1 of 3: why {waits}"
    assert made.create == ()


def test_when_nothing_is_left_the_next_gang_is_made() -> None:
    status = planned(fresh(status=RESTARTED, pods=(pod(attempt=0),))).status
    made = planned(fresh(status=status))
    assert [body["metadata"]["name"] for body in made.create] == ["demo-1"]
    assert made.delete == ()
    waits = "(waiting for 2 of 2 pods to be made; if this lasts: kubectl describe pytorchjob demo-1)"
    assert told(made)["Running"] == ("False", "Restarting", f"restart 1 of 3: why {waits}")
    assert made.status["attempt"] == 1


def test_a_gang_that_is_going_already_is_not_deleted_again() -> None:
    made = planned(fresh(status=RESTARTED, children=(claim_child(), gang(0, deleting=True))))
    assert made.delete == ()
    assert made.create == ()


def test_a_gang_that_a_user_deleted_is_made_again_when_its_pods_are_gone() -> None:
    made = planned(fresh(status=running_status(), pods=gang_pods()))
    assert made.delete == tuple(pod_delete(each) for each in gang_pods())
    message = "the gang is made again (waiting for pod demo-0-master-0, pod demo-0-worker-0 to go)"
    assert told(made)["Running"] == ("False", "WaitingForCleanup", message)
    assert Event("Warning", "WaitingForCleanup", message) in made.events
    after = planned(fresh(status=made.status))
    assert [body["metadata"]["name"] for body in after.create] == ["demo-0"]
    assert after.status["attempt"] == 0
    assert told(after)["Running"][:2] == ("False", "WaitingForPods")
    assert "has made no pod of PyTorchJob demo-0 yet" in told(after)["Running"][2]


@pytest.mark.parametrize("older", ["0", "older"])
def test_the_gang_of_an_earlier_job_of_that_name_goes_and_its_pods_too(older: str) -> None:
    other = pod(labels={"slipway.dev/owner-uid": older, "slipway.dev/attempt": "0"})
    old = gang(0, owner_uid=older)
    made = planned(fresh(children=(claim_child(), old), pods=(other,)))
    assert made.delete == (Delete(gang_ref(0), "gang-0"),)
    after = planned(fresh(pods=(other,)))
    assert after.delete == (pod_delete(other),)
    assert after.create == ()


def test_leftovers_go_while_the_gang_runs() -> None:
    old = pod(attempt=0, phase="Failed")
    made = planned(with_gang(*gang_pods(1), old, attempt=1, status=running_status(1), read={gang_ref(): None}))
    assert made.delete == (pod_delete(old),)
    made = planned(with_gang(*gang_pods(1), status=running_status(1), children=(claim_child(), gang(0), gang(1))))
    assert made.delete == (Delete(gang_ref(0), "gang-0"),)
    assert told(made)["Running"][0] == "True"


def test_of_very_many_leftovers_some_go_at_each_visit() -> None:
    """Whoever may label pods may label ten thousand of them as a job's; a visit deletes one after the other."""
    pods = tuple(pod(f"worker-{number}", uid=f"uid-{number}", labels={}) for number in range(250))
    made = planned(fresh(pods=pods))
    assert [each.uid for each in made.delete] == [f"uid-{number}" for number in range(100)]
    assert made.requeue_after == 1.0
    made = planned(fresh(pods=pods[:100]))
    assert (len(made.delete), made.requeue_after) == (100, None)


# At rest


def test_a_job_that_is_being_deleted_is_left_to_its_owner_references() -> None:
    status = running_status()
    made = planned(replace(with_gang(*gang_pods()), owner=owner(status=status, deleting=True)))
    assert made.status == status
    assert (made.apply, made.create, made.delete, made.events, made.reads) == ((), (), (), (), ())


def test_the_generation_is_told() -> None:
    made = planned(replace(with_gang(*gang_pods()), owner=owner(generation=4)))
    assert made.status["observedGeneration"] == 4
    assert {each["observedGeneration"] for each in made.status["conditions"]} == {4}


def test_the_order_of_the_status() -> None:
    made = planned(fresh())
    assert list(made.status) == ["conditions", "observedGeneration", "attempt"]
    assert [each["type"] for each in made.status["conditions"]] == [
        "Accepted",
        "Queued",
        "Running",
        "Restarting",
        "Complete",
        "Failed",
        "Ready",
    ]


def test_long_events_are_cut() -> None:
    bad = pod(phase="Pending", scheduled=False, unschedulable_message="x" * 2000)
    made = planned(with_gang(bad))
    (event,) = [each for each in made.events if each.reason == "Unschedulable"]
    assert len(event.message) == 1024
    assert len(told(made)["Running"][2]) > 2000


def test_a_second_restart_for_the_same_reason_is_told_again() -> None:
    status = {"attempt": 1, "restarts": 1, "conditions": RESTARTED["conditions"]}
    broken = pod(attempt=1, phase="Failed")
    made = planned(with_gang(broken, attempt=1, status=status))
    message = "restart 2 of 3: pod demo-1-master-0: it failed, and Kubernetes does not say why"
    assert made.events == (
        Event("Normal", "Accepted", "the spec can be carried out"),
        Event("Warning", "Restarting", message),
    )


def untold(*read: Any) -> Any:
    """A running gang whose claim is in no watch."""
    spec = {**RECIPE, "output": {"whenDeleted": "Delete"}}
    return with_gang(*gang_pods(), spec=spec, children=(gang(),), read={claim_ref(): each for each in read})


def test_a_claim_that_no_watch_tells_of_is_read_before_it_is_applied() -> None:
    made = asked(untold())
    assert (made.reads, made.apply) == ((claim_ref(),), ())


TAKEN = claim(labels={"slipway.dev/training-job": "demo"})
OWNED = claim(ownerReferences=[{"controller": True, "uid": UID}])


@pytest.mark.parametrize(("read", "applied"), [(None, 1), (OWNED, 1), (TAKEN, 0), (claim(), 0)])
def test_a_claim_that_a_user_has_taken_is_left_alone(read: Any, applied: int) -> None:
    """One that is gone is made again, and one that has only lost its label gets it back."""
    made = planned(untold(read))
    assert len(made.apply) == applied
    assert told(made)["Running"][0] == "True"
