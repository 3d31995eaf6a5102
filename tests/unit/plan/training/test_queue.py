"""spec.queue and spec.scheduling: what Kueue is told; waiting is not running, and losing a place is no failure."""

from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.outcome import Event

from .builders import (
    EARLIER_TEXT,
    NOW,
    NOW_TEXT,
    RECIPE,
    Obj,
    all_told,
    claim_child,
    conditions,
    ended,
    failed,
    fresh,
    gang,
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
from .world import World

QUEUED: Obj = {**RECIPE, "queue": "gpus"}
READ: Any = {pod_ref("demo-0-master-0"): {"status": {"phase": "Running"}}, gang_ref(): {"status": {}}}


def resumed(when: str = EARLIER_TEXT) -> Obj:
    return {"conditions": [{"type": "Suspended", "status": "False", "lastTransitionTime": when}]}


def in_queue(
    *pods: Any,
    held: bool = True,
    status: Any = None,
    spec: Any = QUEUED,
    read: Any = READ,
    backend: Any = None,
    created: float = NOW - 60,
) -> Any:
    children = (claim_child(), gang(0, backend, suspended=held, created=created))
    return planned(observed(owner(spec, status), children=children, pods=pods, read=read))


def made(spec: Obj, **status: Any) -> Any:
    (body,) = planned(fresh(spec, status=status)).create
    return body


# What is made


def test_a_gang_is_made_suspended_and_with_its_queue() -> None:
    body = made(QUEUED)
    assert body["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpus"
    assert body["spec"]["runPolicy"] == {"cleanPodPolicy": "Running", "suspend": True}
    templates = [role["template"] for role in body["spec"]["pytorchReplicaSpecs"].values()]
    assert not any("kueue" in str(template) for template in templates), (
        "Kueue would take a pod with its label for a job"
    )


def test_without_a_queue_kueue_is_told_nothing() -> None:
    assert "kueue" not in str(made(RECIPE))
    assert made(RECIPE)["spec"]["runPolicy"] == {"cleanPodPolicy": "Running"}


@pytest.mark.parametrize("kind", ["required", "preferred"])
@pytest.mark.parametrize("nodes", [1, 2])
def test_a_topology_is_for_all_pods_together(kind: Any, nodes: Any) -> None:
    body = made({**QUEUED, "nodes": nodes, "scheduling": {"topology": {kind: "example.com/rack"}}})
    expected = {f"kueue.x-k8s.io/podset-{kind}-topology": "example.com/rack"}
    if nodes > 1:
        expected["kueue.x-k8s.io/podset-group-name"] = "gang"
    roles = body["spec"]["pytorchReplicaSpecs"]
    assert [role["template"]["metadata"]["annotations"] for role in roles.values()] == [expected] * len(roles)


def test_the_users_annotations_stay_beside_ours() -> None:
    template = {"metadata": {"annotations": {"note": "x"}}}
    body = made({**QUEUED, "scheduling": {"topology": {"required": "rack"}}, "podTemplate": template})
    annotations = body["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["metadata"]["annotations"]
    assert (annotations["note"], annotations["kueue.x-k8s.io/podset-required-topology"]) == ("x", "rack")


@pytest.mark.parametrize(
    ("scheduling", "policy", "pods"),
    [
        ({}, None, {}),
        ({"priorityClass": "high"}, None, {"priorityClassName": "high"}),
        ({"scheduler": "volcano"}, {"minAvailable": 2}, {"schedulerName": "volcano"}),
        (
            {"scheduler": "volcano", "priorityClass": "high"},
            {"minAvailable": 2, "priorityClass": "high"},
            {"schedulerName": "volcano", "priorityClassName": "high"},
        ),
    ],
)
def test_scheduler_and_priority(scheduling: Any, policy: Any, pods: Any) -> None:
    body = made({**RECIPE, "scheduling": scheduling})
    assert body["spec"]["runPolicy"].get("schedulingPolicy") == policy
    for role in body["spec"]["pytorchReplicaSpecs"].values():
        spec = role["template"]["spec"]
        assert {name: spec[name] for name in ("priorityClassName", "schedulerName") if name in spec} == pods


def test_kueues_priority_goes_with_its_queue() -> None:
    spec = {**QUEUED, "scheduling": {"queuePriorityClass": "nightly"}}
    assert made(spec)["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "nightly"


@pytest.mark.parametrize(
    ("field", "instead"),
    [("priorityClassName", "spec.scheduling.priorityClass"), ("schedulerName", "spec.scheduling.scheduler")],
)
def test_a_pod_template_has_no_second_way_to_say_it(field: Any, instead: Any) -> None:
    refused = planned(fresh({**RECIPE, "podTemplate": {"spec": {field: "x"}}}))
    message = f"spec.podTemplate.spec.{field}: use {instead}"
    assert told(refused)["Accepted"] == ("False", "InvalidPodTemplate", message)


# Waiting is not running

WAITS = (
    "attempt 0 waits in queue gpus until Kueue admits it; "
    "its events say why if this lasts: kubectl describe pytorchjob demo-0"
)


def test_a_gang_that_is_made_waits_from_the_first_status_on() -> None:
    first = planned(fresh(QUEUED))
    assert all_told(first)["Queued"] == ("True", "WaitingForAdmission", WAITS)
    assert told(first)["Running"] == told(first)["Ready"] == ("False", "Queued", WAITS)
    assert Event("Normal", "WaitingForAdmission", WAITS) in first.events
    again = in_queue(status=first.status)
    assert (again.status, again.events) == (first.status, ()), "the gang's own event changes nothing"
    assert again.requeue_after is None


def test_what_has_no_queue_says_so() -> None:
    assert all_told(planned(with_gang(*gang_pods())))["Queued"] == ("False", "NoQueue", "")
    suspended = planned(observed(owner(RECIPE), children=(claim_child(), gang(suspended=True)), pods=()))
    assert told(suspended)["Running"][1] == "GangSuspended"
    assert all_told(suspended)["Queued"] == ("False", "NoQueue", "")


def test_an_admitted_gang_starts_and_then_runs() -> None:
    waits = in_queue().status
    starts = in_queue(held=False, status=waits)
    assert all_told(starts)["Queued"] == ("False", "Admitted", "")
    assert told(starts)["Running"][1] == "WaitingForPods"
    assert "startTime" not in starts.status
    runs = in_queue(*gang_pods(), held=False, status=starts.status)
    assert told(runs)["Running"][0] == "True"
    assert runs.status["startTime"] == NOW_TEXT


def test_a_gang_that_waits_has_pods_no_longer() -> None:
    """Kueue has just taken its place away: some pods still run."""
    assert told(in_queue(*gang_pods(), status=running_status()))["Running"] == ("False", "Queued", WAITS)


@pytest.mark.parametrize("field", ["deadlineSeconds", "startDeadlineSeconds"])
def test_no_clock_goes_while_it_waits(field: Any) -> None:
    spec = {**QUEUED, field: 60}
    first = planned(fresh(spec)).status
    first["conditions"] = [{**each, "lastTransitionTime": rfc3339(NOW - 9000)} for each in first["conditions"]]
    waits = in_queue(spec=spec, status=first, created=NOW - 9000)
    assert (told(waits)["Failed"][0], waits.requeue_after) == ("False", None)
    admitted = in_queue(spec=spec, status=waits.status, held=False, created=NOW - 9000)
    assert told(admitted)["Failed"][0] == "False"
    assert admitted.requeue_after == 3, "when a pod that does not come is asked about"


def test_a_pod_that_does_not_come_is_not_asked_about_before_the_gang_is_let_run() -> None:
    waits = in_queue(created=NOW - 9000)
    assert (waits.templates, waits.requeue_after) == ((), None)
    admitted = in_queue(status=waits.status, held=False, created=NOW - 9000)
    assert (admitted.templates, admitted.requeue_after) == ((), 3)


# Losing a place is no failure


GOING = (pod(deleting=True), pod("worker-0", deleting=True))


@pytest.mark.parametrize(
    "pods",
    [
        GOING,
        (),
        (pod(deleting=True, phase="Failed", containers=(ended(143),)), pod("worker-0", deleting=True)),
        (failed(code=143), failed("worker-0", code=143)),
    ],
)
def test_a_gang_that_kueue_puts_back_has_not_failed(pods: Any) -> None:
    back = in_queue(*pods, status=running_status())
    assert told(back)["Running"] == ("False", "Queued", WAITS)
    assert (back.status["attempt"], back.delete) == (0, ())
    assert not {"lastFailure", "restarts"} & set(back.status)
    assert back.status["runningSeconds"] == 3600


def test_nor_if_its_pods_are_told_of_before_it_is() -> None:
    """Two watches: the gang is read live before any failure counts."""
    asked = in_queue(*GOING, held=False, status=running_status(), read={})
    assert asked.reads == (pod_ref("demo-0-master-0"), gang_ref())
    read = {**READ, gang_ref(): {"spec": {"runPolicy": {"suspend": True}}}}
    assert told(in_queue(*GOING, held=False, status=running_status(), read=read))["Running"][1] == "Queued"


HOLDS: Any = {"conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": NOW_TEXT}]}


@pytest.mark.parametrize("before", [None, EARLIER_TEXT])
@pytest.mark.parametrize("backend", [HOLDS, resumed(NOW_TEXT)])
@pytest.mark.parametrize("pods", [GOING, gang_pods(phase="Pending")])
def test_nor_if_it_has_been_let_run_again_when_it_is_read(pods: Any, backend: Any, before: Any) -> None:
    """Put back and admitted before the watch told of either."""
    status = running_status(**({"admissionTime": before} if before else {}))
    live = {"spec": {"runPolicy": {"suspend": False}}, "status": backend}
    read = {**READ, gang_ref(): live, pod_ref("demo-0-worker-0"): None}
    old = resumed(before) if before else None
    made = in_queue(*pods, held=False, status=status, read=read, backend=old)
    assert (made.status["attempt"], told(made)["Running"][1]) == (0, "WaitingForPods")


@pytest.mark.parametrize("live", [{"spec": {"runPolicy": {"suspend": False}}}, {"spec": {"runPolicy": None}}, {}, None])
def test_otherwise_a_pod_that_goes_is_a_failure_as_ever(live: Any) -> None:
    lost = in_queue(*GOING, held=False, status=running_status(), read={**READ, gang_ref(): live})
    assert (lost.status["attempt"], lost.status["lastFailure"]["reason"]) == (1, "PodLost")


def test_a_gang_that_was_put_back_and_admitted_while_nobody_looked_has_not_failed() -> None:
    """Its new pods have not started; the status still says that it runs."""
    pods = gang_pods(phase="Pending")
    runs = in_queue(*gang_pods(), held=False, status=running_status(), backend=resumed())
    assert runs.status["admissionTime"] == EARLIER_TEXT
    again = in_queue(*pods, held=False, status=runs.status, backend=resumed(NOW_TEXT))
    assert (again.status["attempt"], told(again)["Running"][1]) == (0, "WaitingForPods")
    same = in_queue(*pods, held=False, status=runs.status, backend=resumed())
    assert same.reads == (pod_ref("demo-0-worker-0"),), "read live before it counts as lost"


# A restart queues again


def test_a_restart_waits_in_the_queue_and_says_what_for() -> None:
    why = "restart 1 of 3: pod demo-0-master-0: it failed"
    before = conditions(Running=("False", "Restarting", why), Restarting=("True", "PodFailed", why))
    status = {"attempt": 1, "restarts": 1, "conditions": before}
    first = planned(fresh(QUEUED, status=status))
    assert first.create[0]["spec"]["runPolicy"]["suspend"] is True
    said = all_told(first)
    assert said["Queued"][:2] == ("True", "WaitingForAdmission")
    assert said["Running"][1] == "Queued"
    assert said["Restarting"] == ("True", "PodFailed", why)
    assert said["Ready"][1] == "Queued"


def test_while_what_is_left_goes_it_is_not_queued_yet() -> None:
    left = planned(fresh(QUEUED, status={"attempt": 1}, pods=(pod(phase="Failed"),)))
    assert all_told(left)["Queued"] == ("False", "NotQueued", "")


@pytest.mark.parametrize("spec", [QUEUED, RECIPE])
def test_after_the_end_nothing_waits(spec: Any) -> None:
    over = planned(with_gang(failed(code=2), spec=spec))
    assert all_told(over)["Queued"][:2] == ("False", "RecipeError" if "queue" in spec else "NoQueue")
    assert all_told(over)["Restarting"] == ("False", "RecipeError", "")


def test_in_the_small_cluster() -> None:
    world = World(spec=dict(QUEUED))
    world.settle()
    assert (world.reason, world.pods) == ("Queued", {})
    for _ in range(3):
        world.queue_admits(True)
        world.settle()
        assert world.reason == "Running"
        world.queue_admits(False)
        world.settle()
        assert (world.reason, world.pods) == ("Queued", {})
    world.queue_admits(True)
    world.settle()
    assert world.created == ["demo-0"]
    assert world.status["attempt"] == 0
    world.end_pod("worker-0", 1)
    world.settle()
    assert (world.reason, world.created) == ("Queued", ["demo-0", "demo-1"])
    assert world.status["restarts"] == 1
