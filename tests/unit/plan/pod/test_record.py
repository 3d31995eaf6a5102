"""From Pod objects to records."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.kube.kinds import POD
from slipway.plan.observed import Container
from slipway.plan.pod import record

from ...loop.build import body


def test_a_pod_that_runs() -> None:
    labels = {
        "slipway.dev/training-job": "job",
        "slipway.dev/attempt": "1",
        "app.kubernetes.io/managed-by": "slipway",
        "training.kubeflow.org/replica-type": "master",
        "pod-template-hash": "abc",
        "theirs": "no",
    }
    status = {
        "phase": "Running",
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "1970-01-01T00:00:09Z"},
            {"type": "Ready", "status": "True"},
        ],
        "initContainerStatuses": [
            {"name": "init", "state": {"terminated": {"exitCode": 0, "startedAt": "1970-01-01T00:00:10Z"}}}
        ],
        "containerStatuses": [
            {
                "name": "main", "ready": True, "restartCount": 2,
                "state": {"running": {"startedAt": "1970-01-01T00:02:00Z"}},
                "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "m",
                                             "startedAt": "1970-01-01T00:01:00Z"}},
            }
        ],
    }  # fmt: skip
    meta = {"creationTimestamp": "1970-01-01T00:00:05Z"}
    pod = record.pod(body(POD, "p", labels=labels, spec={"nodeName": "n"}, status=status, metadata=meta))
    assert (pod.phase, pod.node, pod.ready, pod.scheduled, pod.deleting) == ("Running", "n", True, True, False)
    assert (pod.created, pod.started) == (5.0, 60.0), "running began with the main container, before its restart"
    assert pod.bound == 9.0
    assert "theirs" not in pod.labels
    assert len(pod.labels) == 5
    assert pod.containers[0].name == "init"
    assert pod.containers[1] == Container(
        "main", True, 2, "running", last_reason="OOMKilled", last_message="m", last_exit_code=137, since=120.0
    )


def test_a_pod_that_waits_says_why() -> None:
    since = "1970-01-01T00:00:09Z"
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes", "lastTransitionTime": since}]
    waiting = [{"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    pod = record.pod(body(POD, "p", status={"conditions": conditions, "containerStatuses": waiting}))
    assert (pod.phase, pod.scheduled, pod.unschedulable_message, pod.started) == ("Pending", False, "0/3 nodes", None)
    assert pod.bound is None, "the time is that of the refusal"
    assert pod.containers == (Container("main", False, 0, "waiting", "ImagePullBackOff", "no such image"),)


def test_a_container_that_ended_says_when() -> None:
    ended = {"terminated": {"exitCode": 0, "finishedAt": "1970-01-01T00:03:00Z"}}
    pod = record.pod(body(POD, "p", status={"containerStatuses": [{"name": "main", "state": ended}]}))
    assert [each.finished for each in pod.containers] == [180.0]


def test_a_container_that_runs_says_since_when_and_when_it_ended_before() -> None:
    state = {"running": {"startedAt": "1970-01-01T00:03:00Z"}}
    before = {"terminated": {"exitCode": 3, "finishedAt": "1970-01-01T00:02:00Z"}}
    entry = {"name": "main", "state": state, "lastState": before, "started": True}
    [found] = record.pod(body(POD, "p", status={"containerStatuses": [entry]})).containers
    assert (found.since, found.started, found.finished, found.last_finished) == (180.0, True, None, 120.0)


def test_when_a_pod_should_have_gone() -> None:
    assert record.pod(body(POD, "p")).gone_by is None
    going = record.pod(body(POD, "p", metadata={"deletionTimestamp": "1970-01-01T00:01:00Z"}))
    assert (going.deleting, going.gone_by) == (True, 60.0)


@pytest.mark.parametrize(("status", "seen"), [("True", "EvictionByEvictionAPI"), ("False", "")])
def test_who_takes_a_pod_away(status: str, seen: str) -> None:
    conditions = [{"type": "DisruptionTarget", "status": status, "reason": "EvictionByEvictionAPI"}]
    assert record.pod(body(POD, "p", status={"conditions": conditions})).disruption == seen


def test_a_pod_without_a_status_is_pending() -> None:
    pod = record.pod({"metadata": {"name": "p"}})
    assert (pod.phase, pod.containers, pod.ready) == ("Pending", (), False)


def test_an_empty_running_state_is_running() -> None:
    pod = record.pod(
        body(POD, "p", status={"containerStatuses": [{"name": "m", "state": {"running": {}}}, {"name": "n"}]})
    )
    assert [c.state for c in pod.containers] == ["running", "unknown"]


@given(status=st.fixed_dictionaries({}, optional={
    "phase": st.just("Running"), "reason": st.just(""), "conditions": st.none() | st.just([]) | st.just([{}]),
    "containerStatuses": st.none() | st.lists(st.fixed_dictionaries({}, optional={
        "name": st.just("m"), "state": st.none() | st.just({}) | st.just({"terminated": {"exitCode": 1}}),
        "lastState": st.none() | st.just({"terminated": None})}), max_size=2)}))  # fmt: skip
def test_half_a_status_stops_no_watch(status: dict[str, Any]) -> None:
    assert record.pod(body(POD, "p", status=status)).name == "p"
