"""From Kubernetes objects to records."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.kube.kinds import DEPLOYMENT, INFERENCE_SERVICE, POD, PYTORCH_JOB
from slipway.plan.observed import Container
from slipway.reconcile import observe

from .build import body


def test_times_are_seconds_since_the_epoch() -> None:
    assert observe.epoch("1970-01-01T00:01:00Z") == 60.0
    assert observe.epoch("1970-01-01T01:00:00.500000+01:00") == 0.5
    assert [observe.epoch(text) for text in (None, "", "yesterday")] == [None, None, None]


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
    pod = observe.pod(body(POD, "p", labels=labels, spec={"nodeName": "n"}, status=status, metadata=meta))
    assert (pod.phase, pod.node, pod.ready, pod.scheduled, pod.deleting) == ("Running", "n", True, True, False)
    assert (pod.created, pod.started) == (5.0, 60.0), "running began with the main container, before its restart"
    assert pod.bound == 9.0
    assert "theirs" not in pod.labels
    assert len(pod.labels) == 5
    assert pod.containers[0].name == "init"
    assert pod.containers[1] == Container(
        "main", True, 2, "running", last_reason="OOMKilled", last_message="m", last_exit_code=137
    )


def test_a_pod_that_waits_says_why() -> None:
    since = "1970-01-01T00:00:09Z"
    conditions = [{"type": "PodScheduled", "status": "False", "message": "0/3 nodes", "lastTransitionTime": since}]
    waiting = [{"name": "main", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}]
    pod = observe.pod(body(POD, "p", status={"conditions": conditions, "containerStatuses": waiting}))
    assert (pod.phase, pod.scheduled, pod.unschedulable_message, pod.started) == ("Pending", False, "0/3 nodes", None)
    assert pod.bound is None, "the time is that of the refusal"
    assert pod.containers == (Container("main", False, 0, "waiting", "ImagePullBackOff", "no such image"),)


def test_a_container_that_ended_says_when() -> None:
    ended = {"terminated": {"exitCode": 0, "finishedAt": "1970-01-01T00:03:00Z"}}
    pod = observe.pod(body(POD, "p", status={"containerStatuses": [{"name": "main", "state": ended}]}))
    assert [each.finished for each in pod.containers] == [180.0]


def test_when_a_pod_should_have_gone() -> None:
    assert observe.pod(body(POD, "p")).gone_by is None
    going = observe.pod(body(POD, "p", metadata={"deletionTimestamp": "1970-01-01T00:01:00Z"}))
    assert (going.deleting, going.gone_by) == (True, 60.0)


@pytest.mark.parametrize(("status", "seen"), [("True", "EvictionByEvictionAPI"), ("False", "")])
def test_who_takes_a_pod_away(status: str, seen: str) -> None:
    conditions = [{"type": "DisruptionTarget", "status": status, "reason": "EvictionByEvictionAPI"}]
    assert observe.pod(body(POD, "p", status={"conditions": conditions})).disruption == seen


def test_a_pod_without_a_status_is_pending() -> None:
    pod = observe.pod({"metadata": {"name": "p"}})
    assert (pod.phase, pod.containers, pod.ready) == ("Pending", (), False)


def test_an_empty_running_state_is_running() -> None:
    pod = observe.pod(
        body(POD, "p", status={"containerStatuses": [{"name": "m", "state": {"running": {}}}, {"name": "n"}]})
    )
    assert [c.state for c in pod.containers] == ["running", "unknown"]


def test_a_child_keeps_the_few_fields_of_its_status() -> None:
    status = {"conditions": [], "readyReplicas": 2, "observedGeneration": 3, "collisionCount": 1, "loadBalancer": {}}
    meta = {"generation": 3, "ownerReferences": [{"uid": "other"}, {"uid": "ours", "controller": True}]}
    child = observe.child(DEPLOYMENT, body(DEPLOYMENT, "d", status=status, metadata=meta))
    assert child.status == {"conditions": [], "readyReplicas": 2, "observedGeneration": 3}
    assert (child.generation, child.owner_uid, child.ref.plural) == (3, "ours", "deployments.apps")


@pytest.mark.parametrize(
    ("spec", "suspended"),
    [
        ({"runPolicy": {"suspend": True}}, True),
        ({"runPolicy": {"suspend": False}}, False),
        ({"runPolicy": {}}, False),
        ({"runPolicy": None}, False),
        ({"runPolicy": "x"}, False),
        (None, False),
    ],
)
def test_whether_a_gang_is_held_back(spec: Any, suspended: bool) -> None:
    assert observe.child(PYTORCH_JOB, body(PYTORCH_JOB, "g", spec=spec)).suspended is suspended


@pytest.mark.parametrize(
    ("references", "controlled"),
    [(None, False), ([], False), ([{"uid": "a"}], False), ([{"uid": "a"}, {"uid": "b", "controller": True}], True)],
)
def test_whether_a_child_has_a_controller(references: list[dict[str, Any]] | None, controlled: bool) -> None:
    meta = {"ownerReferences": references}
    assert observe.child(DEPLOYMENT, body(DEPLOYMENT, "d", metadata=meta)).controlled is controlled


@pytest.mark.parametrize(
    ("references", "uid"),
    [(None, ""), ([], ""), ([{"uid": "a"}], "a"), ([{"uid": "a"}, {"uid": "b", "controller": True}], "b")],
)
def test_whose_child_it_is(references: list[dict[str, Any]] | None, uid: str) -> None:
    assert observe.owner_uid({"metadata": {"ownerReferences": references}}) == uid


def test_an_owner_is_whole() -> None:
    meta = {"generation": 4, "annotations": {"a": "b"}, "deletionTimestamp": "2026-01-01T00:00:00Z"}
    owner = observe.owner(body(INFERENCE_SERVICE, "s", version=9, spec={"replicas": 0}, metadata=meta))
    assert (owner.generation, owner.annotations, owner.deleting, owner.resource_version) == (4, {"a": "b"}, True, "9")
    assert (owner.spec, owner.status) == ({"replicas": 0}, {})


@given(status=st.fixed_dictionaries({}, optional={
    "phase": st.just("Running"), "reason": st.just(""), "conditions": st.none() | st.just([]) | st.just([{}]),
    "containerStatuses": st.none() | st.lists(st.fixed_dictionaries({}, optional={
        "name": st.just("m"), "state": st.none() | st.just({}) | st.just({"terminated": {"exitCode": 1}}),
        "lastState": st.none() | st.just({"terminated": None})}), max_size=2)}))  # fmt: skip
def test_half_a_status_stops_no_watch(status: dict[str, Any]) -> None:
    assert observe.pod(body(POD, "p", status=status)).name == "p"
