"""Why replicas do not answer: each reason in its words, and which of several comes first."""

import pytest

from slipway.plan.conditions import Finding
from slipway.plan.inference.problems import (
    engine_crashed,
    model_check_failed,
    no_progress,
    pod_problem,
    pods_refused,
)
from slipway.plan.inference.replicas import Replicas, count, serving
from slipway.plan.observed import Container

from .world import DEPLOYMENT, child, condition, container, pod

CHECK = "model-check"
PULLING = container(state="waiting", reason="ImagePullBackOff", message='Back-off pulling image "x:1"')


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (container(CHECK, state="terminated", exit_code=1, message=" no config.json \n"), "no config.json"),
        (container(CHECK, state="waiting", last_exit_code=1, last_message="no weights"), "no weights"),
        (container(CHECK, state="running", last_exit_code=137), "exit code 137"),
        (container(CHECK, state="running", last_exit_code=-1), "exit code -1"),
    ],
)
def test_model_check_is_quoted(ended: Container, message: str) -> None:
    expected = Finding("ModelCheckFailed", f"pod chat-1: {message}")
    assert model_check_failed(pod("chat-1", "", container(), ended)) == expected


@pytest.mark.parametrize(
    "state",
    [
        container(CHECK, state="terminated", exit_code=0, last_exit_code=1, last_message="a claim came late"),
        container(CHECK, state="running"),
        container(CHECK, state="waiting", reason="PodInitializing"),
        container("other", state="terminated", exit_code=1),
    ],
)
def test_model_check_that_did_not_fail(state: Container) -> None:
    assert model_check_failed(pod("chat-1", "", state)) is None


@pytest.mark.parametrize(
    ("ended", "message"),
    [
        (
            container(state="terminated", exit_code=1, reason="Error", message="CUDA out of memory", restarts=0),
            "the engine ended (exit code 1, Error, restarts: 0): CUDA out of memory",
        ),
        (
            container(state="waiting", last_exit_code=137, last_reason="OOMKilled", restarts=3),
            "the engine ended (exit code 137, OOMKilled, restarts: 3): no last words",
        ),
        (
            container(state="waiting", last_exit_code=137, last_reason="Error", last_message="loading", restarts=1),
            "the engine ended (exit code 137, Error, a signal: spec.startupSeconds may be over, restarts: 1): loading",
        ),
        (
            container(state="running", last_exit_code=0, last_message="bye", restarts=1),
            "the engine ended (exit code 0, restarts: 1): bye",
        ),
    ],
)
def test_engine_crash_is_told_while_it_waits_and_runs_again(ended: Container, message: str) -> None:
    found = engine_crashed(pod("chat-1", "", container("a", restarts=9), ended, container("side", restarts=9)))
    assert found == Finding("EngineCrashed", f"pod chat-1: {message}")


def test_engine_that_never_ended() -> None:
    assert engine_crashed(pod("chat-1", "", container())) is None
    assert engine_crashed(pod("chat-1")) is None


def test_last_words_are_kept_from_their_end() -> None:
    words = "x" * 1500 + "ValueError: no"
    found = engine_crashed(pod("a", "", container(state="terminated", exit_code=1, message=words)))
    last = "x" * (1500 - len("ValueError: no")) + "ValueError: no"
    assert found == Finding("EngineCrashed", f"pod a: the engine ended (exit code 1, restarts: 0): {last}")


def test_a_ready_pod_has_no_problem() -> None:
    crashed = container(state="running", last_exit_code=1)
    assert pod_problem([pod("a", "", crashed, ready=True)]) is None
    assert pod_problem([]) is None


def test_first_pod_by_name_speaks() -> None:
    crashed = container(state="running", last_exit_code=1)
    found = pod_problem([pod("b", "", crashed), pod("a", "", crashed)])
    assert found is not None
    assert found.message.startswith("pod a: ")


def test_model_check_before_crash_before_what_every_pod_has() -> None:
    checked = pod("c", "", container(CHECK, state="terminated", exit_code=1))
    crashed = pod("b", "", container(state="terminated", exit_code=1))
    pulling = pod("a", "", PULLING)
    reasons = []
    for pods in ([pulling, crashed, checked], [pulling, crashed], [pulling]):
        found = pod_problem(pods)
        assert found is not None
        reasons.append(found.reason)
    assert reasons == ["ModelCheckFailed", "EngineCrashed", "ImagePullFailed"]


def test_unschedulable_pod_is_named() -> None:
    found = pod_problem([pod("a", "", scheduled=False, unschedulable_message="0/1 nodes: Insufficient nvidia.com/gpu")])
    assert found == Finding("Unschedulable", "pod a finds no node: 0/1 nodes: Insufficient nvidia.com/gpu")


def test_quota_refuses_the_pods() -> None:
    failing = child(DEPLOYMENT, status={"conditions": [condition("ReplicaFailure", "True", message="over quota")]})
    assert pods_refused(failing) == Finding("PodsRefused", "the API server refuses the pods: over quota")
    assert pods_refused(child(DEPLOYMENT, status={"conditions": [condition("ReplicaFailure", "False")]})) is None
    assert pods_refused(child(DEPLOYMENT)) is None
    assert pods_refused(None) is None


def test_deployment_without_progress() -> None:
    stuck = child(DEPLOYMENT, status={"conditions": [condition("Progressing", "False", message="timed out")]})
    assert no_progress(stuck) == Finding("NoProgress", "the Deployment makes no progress: timed out")
    assert no_progress(child(DEPLOYMENT, status={"conditions": [condition("Progressing", "True")]})) is None
    assert no_progress(child(DEPLOYMENT)) is None
    assert no_progress(None) is None


# Counting


def test_pods_are_told_apart_by_revision() -> None:
    new, old, bare = pod("new", "r2"), pod("old", "r1"), pod("bare")
    assert count([old, new, bare], "r2") == Replicas(current=(new,), older=(old, bare))


def test_without_a_revision_all_are_older() -> None:
    pods = (pod("a", "r1"), pod("bare"))
    assert count(pods, None) == Replicas(current=(), older=pods)


@pytest.mark.parametrize("fields", [{"deleting": True}, {"phase": "Failed"}, {"phase": "Succeeded"}])
def test_pods_that_end_do_not_count(fields: dict[str, object]) -> None:
    assert count([pod("a", "r1", ready=True, **fields)], "r1") == Replicas((), ())


def test_ready_pods_of_both_revisions_count() -> None:
    replicas = count([pod("a", "r1", ready=True), pod("b", "r2"), pod("c", "r2", ready=True)], "r2")
    assert (len(replicas.active), replicas.ready, replicas.current_ready) == (3, 2, True)
    assert not count([pod("a", "r1", ready=True), pod("b", "r2")], "r2").current_ready


# Whether something serves that must not all go


def test_a_ready_pod_serves_whatever_its_revision() -> None:
    assert serving(count([pod("a", "r1", ready=True)], "r2"), "")


def test_a_pod_of_the_revision_that_answered_is_trusted_until_something_is_wrong() -> None:
    assert serving(count([pod("a", "r1", container())], "r2"), "r1")
    assert not serving(count([pod("a", "r1", PULLING)], "r2"), "r1")
    assert not serving(count([pod("a", "r1", container())], "r2"), "r0")


def test_pods_that_never_answered_do_not_serve() -> None:
    assert not serving(count([pod("a", "r1", container()), pod("b")], "r2"), "")
    assert not serving(count([], "r2"), "r2")
