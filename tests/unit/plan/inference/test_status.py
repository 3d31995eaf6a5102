"""Ready, Available, the counts and the Events, through every stage of a service's life."""

from dataclasses import replace

import pytest

from slipway.api.inferenceservice import InferenceServiceStatus
from slipway.plan.observed import Obj, Pod
from slipway.plan.outcome import Event

from .world import (
    DEFAULTS,
    DEPLOYMENT,
    JOB,
    NOW,
    SCALED_OBJECT,
    SCALING,
    SERVICE,
    THEN,
    applied,
    child,
    condition,
    container,
    from_job,
    pod,
    revision_of,
    said,
    settle,
    spec,
)

REVISION = revision_of(settle(spec()))
ANSWERED = {"answeredRevision": REVISION}
NEW = pod("chat-new", REVISION, ready=True)
STARTING = pod("chat-starting", REVISION)
OLD = pod("chat-old", "older", ready=True)
CRASHED = pod("chat-crashed", REVISION, container(state="terminated", exit_code=1, message="boom"))
CRASH = "pod chat-crashed: the engine ended (exit code 1, restarts: 0): boom"
PROMISE = "a replica is ready when its engine has generated a token"

Said = tuple[str, str, str]


@pytest.mark.parametrize(
    ("replicas", "pods", "ready", "available"),
    [
        (
            1,
            (),
            ("False", "Starting", f"0 of 1 replicas ready; {PROMISE}"),
            ("False", "Starting", f"0 of 1 replicas ready; {PROMISE}"),
        ),
        (
            1,
            (NEW,),
            ("True", "Serving", "the newest revision answers"),
            ("True", "ReplicasReady", "1 of 1 replicas ready"),
        ),
        (
            3,
            (NEW, STARTING),
            ("True", "Serving", "the newest revision answers"),
            ("False", "Starting", f"1 of 3 replicas ready; {PROMISE}"),
        ),
        (
            2,
            (NEW, CRASHED),
            ("True", "Serving", "the newest revision answers"),
            ("False", "EngineCrashed", f"1 of 2 replicas ready; {CRASH}"),
        ),
        (
            1,
            (CRASHED,),
            ("False", "EngineCrashed", CRASH),
            ("False", "EngineCrashed", f"0 of 1 replicas ready; {CRASH}"),
        ),
        (
            1,
            (OLD, STARTING),
            (
                "False",
                "RollingOut",
                "1 replicas of an older revision remain; they serve until the new ones answer",
            ),
            ("True", "ReplicasReady", "1 of 1 replicas ready"),
        ),
        (
            1,
            (OLD, NEW),
            (
                "False",
                "RollingOut",
                "1 replicas of an older revision remain; they serve until the new ones answer",
            ),
            ("True", "ReplicasReady", "2 of 1 replicas ready"),
        ),
        (
            1,
            (OLD, CRASHED),
            ("False", "EngineCrashed", CRASH),
            ("True", "ReplicasReady", "1 of 1 replicas ready"),
        ),
        (
            0,
            (),
            (
                "False",
                "NotAnsweredYet",
                "no replicas are asked for, and this revision has never answered a request",
            ),
            ("False", "ScaledToZero", "no replicas are asked for"),
        ),
        (
            0,
            (NEW,),
            ("True", "Serving", "the newest revision answers"),
            ("False", "ScaledToZero", "no replicas are asked for"),
        ),
    ],
)
def test_stages(replicas: int, pods: tuple[Pod, ...], ready: Said, available: Said) -> None:
    outcome = settle(spec(replicas=replicas), pods=pods)
    assert said(outcome, "Ready") == ready
    assert said(outcome, "Available") == available
    assert said(outcome, "Accepted") == ("True", "Accepted", "")
    assert said(outcome, "ModelReady") == ("True", "ModelFound", "pvc://models/llama")


def test_at_zero_is_ready_once_this_revision_has_answered() -> None:
    outcome = settle(spec(replicas=0), status=ANSWERED)
    message = "no replicas are asked for; this revision has answered before"
    assert said(outcome, "Ready") == ("True", "ScaledToZero", message)
    assert said(settle(spec(replicas=0, image="other"), status=ANSWERED), "Ready")[:2] == ("False", "NotAnsweredYet")


def test_replicas_that_went_are_not_taken_for_scaled_to_zero() -> None:
    assert said(settle(spec(replicas=1), status=ANSWERED), "Ready")[:2] == ("False", "Starting")


# The revision that answered


@pytest.mark.parametrize(
    ("pods", "before", "after"),
    [
        ((), "", ""),
        ((STARTING,), "older", "older"),
        ((OLD,), "older", "older"),
        ((OLD, NEW), "older", REVISION),
        ((NEW,), "", REVISION),
        ((replace(NEW, deleting=True),), "older", "older"),
    ],
)
def test_answered_revision(pods: tuple[Pod, ...], before: str, after: str) -> None:
    assert settle(spec(), pods=pods, status={"answeredRevision": before}).status["answeredRevision"] == after


def test_answered_revision_outlives_a_refusal_and_a_missing_model() -> None:
    assert settle({"model": {}}, status=ANSWERED, pods=(NEW,)).status["answeredRevision"] == REVISION
    outcome = settle(from_job(), status=ANSWERED, objects={JOB: None})
    assert outcome.status["answeredRevision"] == REVISION


# How the old give way to the new


@pytest.mark.parametrize(
    ("pods", "status", "unavailable"),
    [
        ((OLD,), {}, 0),
        ((replace(OLD, ready=False),), {"answeredRevision": "older"}, 0),
        ((replace(OLD, ready=False),), {}, "100%"),
        ((), ANSWERED, "100%"),
    ],
)
def test_old_replicas_stay_only_if_they_serve(pods: tuple[Pod, ...], status: Obj, unavailable: int | str) -> None:
    strategy = applied(settle(spec(), pods=pods, status=status), "Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": unavailable}


# What troubles a service as a whole

FAILING = child(
    DEPLOYMENT, status={"conditions": [condition("ReplicaFailure", "True"), condition("Progressing", "False")]}
)
STUCK = child(DEPLOYMENT, status={"conditions": [condition("Progressing", "False")]})
OLD_CRASHED = replace(CRASHED, name="chat-aaa", labels={**CRASHED.labels, "slipway.dev/revision": "older"})


def test_refused_deployment_comes_first() -> None:
    outcome = settle(spec(), children=(FAILING,), refused={DEPLOYMENT: "no", SERVICE: "neither"}, pods=(CRASHED,))
    assert said(outcome, "Ready") == ("False", "DeploymentRefused", "the API server refuses Deployment 'chat': no")
    assert outcome.look_again


def test_refused_service() -> None:
    outcome = settle(spec(), children=(FAILING,), refused={SERVICE: "no"})
    assert said(outcome, "Ready") == ("False", "ServiceRefused", "the API server refuses Service 'chat': no")
    assert outcome.look_again


@pytest.mark.parametrize(
    ("children", "pods", "reason"),
    [
        ((FAILING,), (CRASHED,), "PodsRefused"),
        ((STUCK,), (CRASHED,), "EngineCrashed"),
        ((STUCK,), (STARTING,), "NoProgress"),
        ((replace(FAILING, owner_uid="another"),), (), "NameConflict"),
    ],
)
def test_order_of_troubles(children: tuple[object, ...], pods: tuple[Pod, ...], reason: str) -> None:
    assert said(settle(spec(), children=children, pods=pods), "Ready")[1] == reason


def test_trouble_of_the_revision_asked_for_is_told_before_an_older_ones() -> None:
    both = said(settle(spec(), pods=(OLD_CRASHED, CRASHED)), "Ready")[2]
    older = said(settle(spec(), pods=(OLD_CRASHED, STARTING)), "Ready")[2]
    assert (both, older) == (CRASH, CRASH.replace("chat-crashed", "chat-aaa"))


def test_a_pod_whose_volumes_are_not_mounted_is_named() -> None:
    stuck = pod("a", REVISION, phase="Pending", ready=False, unprepared=True, bound=NOW - 20)
    outcome = settle(spec(), pods=(stuck,))
    status, reason, message = said(outcome, "Ready")
    assert (status, reason) == ("False", "VolumesNotMounted")
    assert message.startswith("pod a has a node, but its volumes are not mounted")
    assert outcome.requeue_after is None


def test_a_pod_that_has_just_got_its_node_is_looked_at_again() -> None:
    fresh = pod("a", REVISION, phase="Pending", ready=False, unprepared=True, bound=NOW - 5)
    outcome = settle(spec(), pods=(fresh,))
    assert said(outcome, "Ready")[1] != "VolumesNotMounted"
    assert outcome.requeue_after == 15.0


def test_a_model_that_is_not_there_is_named_by_its_claim_too() -> None:
    """Where the check looked is inside the pod; an older revision may have looked elsewhere."""
    empty = container("model-check", state="terminated", exit_code=1, message="/slipway/model/llama does not exist")
    words = "/slipway/model/llama does not exist"
    ours = said(settle(spec(), pods=(pod("chat-1", REVISION, empty),)), "Ready")
    assert ours == ("False", "ModelCheckFailed", f"pod chat-1: {words} (the model is pvc://models/llama)")
    older = said(settle(spec(), pods=(pod("chat-1", "older", empty),)), "Ready")
    assert older == ("False", "ModelCheckFailed", f"pod chat-1: {words}")


def test_nothing_is_requeued_while_watches_will_tell() -> None:
    assert not settle(spec(), pods=(CRASHED,)).look_again
    assert not settle(spec(), refused={JOB: "something else"}).look_again


@pytest.mark.parametrize(("uid", "replicas"), [(None, 0), ("uid-of-chat", 1), ("an-earlier-chat", 1)])
def test_a_strangers_pod_is_no_replica(uid: str | None, replicas: int) -> None:
    """It bears the labels of the selector and nothing else; what an earlier namesake left does serve."""
    labels = {"slipway.dev/owner-uid": uid} if uid else {}
    outcome = settle(spec(), pods=(pod("chat-1", ready=True, labels=labels),))
    assert (outcome.status["replicas"], outcome.status["readyReplicas"]) == (replicas, replicas)
    assert said(outcome, "Available")[0] == ("True" if replicas else "False")


# The rest of the status


def test_whole_status() -> None:
    status = settle(spec(), pods=(NEW, OLD, STARTING)).status
    conditions = status.pop("conditions")
    assert status == {
        "observedGeneration": 3,
        "replicas": 3,
        "readyReplicas": 2,
        "selector": "app.kubernetes.io/managed-by=slipway,slipway.dev/inference-service=chat",
        "modelName": "team/chat",
        "model": {"claim": "models", "path": "llama", "accessModes": ["ReadWriteMany"]},
        "answeredRevision": REVISION,
        "url": "http://gateway.example/v1",
    }
    assert [entry["type"] for entry in conditions] == ["Accepted", "ModelReady", "Available", "Scaling", "Ready"]
    assert {(entry["observedGeneration"], entry["lastTransitionTime"]) for entry in conditions} == {(3, THEN)}


@pytest.mark.parametrize(
    ("gateway", "url"), [("", None), ("http://gw/", "http://gw/v1"), ("http://gw:8000", "http://gw:8000/v1")]
)
def test_url_is_the_gateways(gateway: str, url: str | None) -> None:
    assert settle(spec(), defaults=replace(DEFAULTS, gateway_url=gateway)).status.get("url") == url


@pytest.mark.parametrize("body", [spec(), spec(scaling=SCALING), {"model": {}}])
def test_status_is_what_the_api_declares(body: Obj) -> None:
    status = settle(body, pods=(NEW,)).status
    assert InferenceServiceStatus.model_validate(status).model_dump(by_alias=True, exclude_none=True) == status


# Events


def test_events_tell_what_changed_and_only_that() -> None:
    first = settle(spec())
    assert first.events == (Event("Normal", "Starting", f"0 of 1 replicas ready; {PROMISE}"),)
    assert settle(spec(), status=first.status).events == ()
    second = settle(spec(), status=first.status, pods=(NEW,))
    assert second.events == (Event("Normal", "Serving", "the newest revision answers"),)
    third = settle(spec(), status=second.status, pods=(CRASHED,))
    assert third.events == (Event("Warning", "EngineCrashed", CRASH),)


@pytest.mark.parametrize(
    ("body", "objects", "pods", "calm"),
    [
        (from_job(), {}, (OLD,), True),
        (from_job(), {JOB: None}, (), False),
        (from_job(), {JOB: {}}, (), True),
        (spec(replicas=0), {}, (), True),
    ],
    ids=["RollingOut", "TrainingJobNotFound", "WaitingForTrainingJob", "NotAnsweredYet"],
)
def test_what_passes_by_itself_is_no_warning(body: Obj, objects: Obj, pods: tuple[Pod, ...], calm: bool) -> None:
    [event] = settle(body, objects=objects, pods=pods).events
    assert event.type == ("Normal" if calm else "Warning")


def test_scaling_speaks_for_itself() -> None:
    ready = child(SCALED_OBJECT, status={"conditions": [condition("Ready", "True")]})
    first = settle(spec(scaling=SCALING))
    assert [event.reason for event in first.events] == ["Starting"]
    second = settle(spec(scaling=SCALING), status=first.status, children=(ready,))
    assert second.events == (Event("Normal", "Following", "0 to 4 replicas, 8 requests for each"),)
    third = settle(spec(), status=second.status, children=(ready,))
    assert third.events == ()


def test_long_last_words_fit_an_event() -> None:
    wordy = pod("p", REVISION, container(state="terminated", exit_code=1, message="y" * 4000))
    [event] = settle(spec(), pods=(wordy,)).events
    assert len(event.message) == 1024


def test_transition_time_stays_while_the_status_does() -> None:
    before = settle(spec()).status
    later = settle(spec(), status=before, pods=(CRASHED,), now=NOW + 60).status
    times = {entry["type"]: entry["lastTransitionTime"] for entry in later["conditions"]}
    assert times["Ready"] == THEN
    after = settle(spec(), status=later, pods=(NEW,), now=NOW + 60).status
    times = {entry["type"]: entry["lastTransitionTime"] for entry in after["conditions"]}
    assert (times["Ready"], times["Accepted"]) == ("2027-01-15T08:01:00Z", THEN)
