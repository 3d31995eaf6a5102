"""A model that is served outlives its TrainingJob, and its pods its claim: the spec is followed on, and it is said."""

from typing import Any

import pytest

from slipway.plan.inference.served import Served, address, record, recorded
from slipway.plan.observed import Obj
from slipway.plan.outcome import Event, Plan
from slipway.plan.volumes import ClaimPath

from .world import (
    CLAIM,
    COMPLETE_JOB,
    DEPLOYMENT,
    JOB,
    JOB_CLAIM,
    SCALING,
    applied,
    claim,
    condition,
    from_job,
    job,
    pod,
    revision_of,
    said,
    served,
    settle,
    spec,
)

FIELD = "spec.model.from.trainingJob"
PLACE = "pvc://stdlib-output/uid-7/model"
KEEP = "to keep this model whatever becomes of the job, set spec.model.uri to that address"
GOING = claim(deletionTimestamp="2027-01-15T08:00:00Z")
ANEW = "uid-8"
COMPLETE = condition("Complete", "True")
COMPLETE_ANEW = job(COMPLETE, output={"claim": "stdlib-output", "path": "uid-8/model"}, uid=ANEW)
URI_SERVED: Obj = {"model": {"claim": "models", "path": "llama", "accessModes": ["ReadWriteMany"]}}
SOURCES: list[tuple[Obj, Obj, Any]] = [(from_job(), served(), JOB_CLAIM), (spec(), URI_SERVED, CLAIM)]


def replicas(outcome: Plan) -> int:
    asked: int = applied(outcome, "Deployment")["spec"]["replicas"]
    return asked


def path(outcome: Plan) -> str:
    argument: str = applied(outcome, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"][0]
    return argument


# The record


@pytest.mark.parametrize(
    "what",
    [
        Served(ClaimPath("models", ""), ("ReadOnlyMany", "ReadWriteOnce")),
        Served(ClaimPath("models", "llama"), (), "stdlib", "uid-7"),
    ],
)
def test_a_record_reads_back_as_it_was_written(what: Served) -> None:
    assert recorded({"model": record(what)}) == what


def test_there_is_no_record_before_the_first_time() -> None:
    assert recorded({}) is None
    assert recorded({"model": None}) is None


def test_an_address_is_what_uri_takes() -> None:
    assert address(ClaimPath("models", "llama/7b")) == "pvc://models/llama/7b"
    assert address(ClaimPath("models", "")) == "pvc://models"


def test_what_is_served_is_recorded_when_it_is_rendered() -> None:
    assert settle(from_job()).status["model"] == served()["model"]
    assert settle(spec()).status["model"] == URI_SERVED["model"]
    assert said(settle(from_job()), "ModelReady") == ("True", "ModelFound", f"{PLACE}, written by TrainingJob 'stdlib'")
    assert said(settle(spec()), "ModelReady") == ("True", "ModelFound", "pvc://models/llama")


@pytest.mark.parametrize(
    "written",
    [
        True,
        [],
        {"claim": "c", "path": "p"},
        {"claim": "c", "path": 3, "accessModes": []},
        {"claim": "c", "path": "p", "accessModes": [1]},
    ],
)
def test_what_is_no_record_is_none(written: Any) -> None:
    assert recorded({"model": written}) is None


@pytest.mark.parametrize("modes", [("ReadWriteOnce", "ReadOnlyMany"), ("ReadOnlyMany", "ReadWriteOnce")])
def test_access_modes_are_recorded_in_one_order_whatever_the_claims(modes: tuple[str, ...]) -> None:
    outcome = settle(spec(), objects={CLAIM: claim(*modes)})
    assert outcome.status["model"]["accessModes"] == ["ReadOnlyMany", "ReadWriteOnce"]


def test_nothing_is_recorded_while_the_api_server_refuses_the_deployment() -> None:
    assert "model" not in settle(from_job(), refused={DEPLOYMENT: "too large"}).status
    anew = settle(from_job(), status=served(), objects={JOB: COMPLETE_ANEW}, refused={DEPLOYMENT: "too large"})
    assert anew.status["model"] == served()["model"]
    assert [event.reason for event in anew.events if event.reason == "ModelReplaced"] == []


@pytest.mark.parametrize(
    "wrong", [from_job(engineArgs=["--port=1"]), spec(model={"from": {"trainingJob": "other"}}), {"model": {}}]
)
def test_a_mistake_does_not_forget_what_is_served(wrong: Obj) -> None:
    assert settle(wrong, status=served()).status["model"] == served()["model"]


# The job is deleted


@pytest.mark.parametrize("fields", [{"replicas": 3}, {"replicas": 0}, {"engineArgs": ["--enforce-eager"]}])
def test_without_its_job_a_service_follows_its_spec(fields: Obj) -> None:
    body = from_job(**fields)
    outcome = settle(body, status=served(), objects={JOB: None})
    assert applied(outcome, "Deployment") == applied(settle(body), "Deployment"), "the same as with its job"
    assert said(outcome, "Accepted")[0] == "True"
    assert not outcome.look_again, "nothing to be looked at again: a new job is announced by the watch"


def test_without_its_job_a_service_still_scales() -> None:
    body = from_job(scaling=SCALING)
    outcome = settle(body, status={**served(), "answeredRevision": "x"}, objects={JOB: None})
    assert applied(outcome, "ScaledObject")["spec"]["minReplicaCount"] == 0


def test_a_deleted_job_is_said_with_what_it_means() -> None:
    message = (
        f"{FIELD}: TrainingJob 'stdlib' is gone; its model is served on from {PLACE}, and new replicas start as long "
        f"as that claim is there; {KEEP}"
    )
    running = (pod("chat-1", revision_of(settle(from_job())), ready=True),)
    outcome = settle(from_job(), status=served(), objects={JOB: None}, pods=running)
    assert said(outcome, "ModelReady") == ("True", "SourceDeleted", message)
    assert said(outcome, "Ready") == ("True", "Serving", "the newest revision answers")
    assert Event("Warning", "SourceDeleted", message) in outcome.events
    assert outcome.status["model"] == served()["model"]
    again = settle(from_job(), status=outcome.status, objects={JOB: None}, pods=running)
    assert (again.events, again.status) == ((), outcome.status)


def test_a_job_that_never_wrote_what_is_served_is_not_stood_in_for() -> None:
    other = served(trainingJob="other")
    for status in ({}, other, URI_SERVED):
        outcome = settle(from_job(), status=status, objects={JOB: None})
        assert outcome.apply == ()
        assert said(outcome, "ModelReady")[:2] == ("False", "TrainingJobNotFound")


# The job is made anew


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (job(condition("Ready", "False", "Running"), uid=ANEW), "it says: Running"),
        (job(condition("Failed", "True", "BudgetSpent", "boom"), uid=ANEW), "failed (BudgetSpent): boom"),
        (job(COMPLETE, uid=ANEW), "is Complete but reports no output"),
    ],
)
def test_until_a_new_job_of_the_name_has_a_model_the_old_one_is_served(body: Obj, why: str) -> None:
    outcome = settle(from_job(replicas=2), status=served(), objects={JOB: body})
    assert (path(outcome), replicas(outcome)) == ("/slipway/model/uid-7/model", 2)
    status, reason, message = said(outcome, "ModelReady")
    assert (status, reason) == ("True", "SourceReplaced")
    assert message.startswith(f"{FIELD}: TrainingJob 'stdlib' was made anew: ")
    assert why in message
    assert message.endswith(
        f"; the model of the one before is served on from {PLACE}, until the new one is Complete and takes over; {KEEP}"
    )
    assert Event("Warning", "SourceReplaced", message) in outcome.events
    assert outcome.status["model"] == served()["model"]


def test_a_new_job_of_the_name_takes_over_when_it_is_complete_and_that_is_told() -> None:
    outcome = settle(from_job(), status=served(), objects={JOB: COMPLETE_ANEW})
    assert path(outcome) == "/slipway/model/uid-8/model"
    assert said(outcome, "ModelReady")[:2] == ("True", "ModelFound")
    assert outcome.status["model"] == served(path="uid-8/model", trainingJobUid=ANEW)["model"]
    told = [event for event in outcome.events if event.reason == "ModelReplaced"]
    message = (
        "TrainingJob 'stdlib' was made anew and is Complete: its model at pvc://stdlib-output/uid-8/model "
        f"replaces the one at {PLACE}, which spec.model.uri can still name"
    )
    assert told == [Event("Warning", "ModelReplaced", message)]
    again = settle(from_job(), status=outcome.status, objects={JOB: COMPLETE_ANEW})
    assert again.events == ()


@pytest.mark.parametrize(("before", "objects"), [(served(trainingJob="other"), {}), (URI_SERVED, {}), ({}, {})])
def test_another_model_by_the_users_own_edit_is_no_replacement(before: Obj, objects: Obj) -> None:
    outcome = settle(from_job(), status=before, objects={JOB: COMPLETE_JOB, **objects})
    assert "ModelReplaced" not in {event.reason for event in outcome.events}


def test_from_a_job_to_its_address_nothing_is_rolled() -> None:
    by_address = spec(model={"uri": PLACE})
    outcome = settle(by_address, status=served(), objects={JOB_CLAIM: claim()})
    assert applied(outcome, "Deployment") == applied(settle(from_job()), "Deployment")
    assert outcome.status["model"] == {key: served()["model"][key] for key in ("claim", "path", "accessModes")}
    assert "ModelReplaced" not in {event.reason for event in outcome.events}


def test_a_job_that_lost_its_own_status_is_stood_in_for() -> None:
    outcome = settle(from_job(), status=served(), objects={JOB: job()})
    message = (
        "waiting for TrainingJob 'stdlib' to complete; it says: not looked at yet; "
        f"what it wrote before is served on from {PLACE}; {KEEP}"
    )
    assert said(outcome, "ModelReady") == ("True", "SourceUnfinished", message)
    assert path(outcome) == "/slipway/model/uid-7/model"


# The claim is deleted


@pytest.mark.parametrize(("body", "status", "ref"), SOURCES)
@pytest.mark.parametrize(("left", "reason"), [(None, "ClaimNotFound"), (GOING, "ClaimTerminating")])
@pytest.mark.parametrize("asked", [0, 1, 3])
def test_without_its_claim_a_service_is_scaled_and_says_that_none_can_start(
    body: Obj, status: Obj, ref: Any, left: Obj | None, reason: str, asked: int
) -> None:
    outcome = settle({**body, "replicas": asked}, status=status, objects={ref: left})
    assert replicas(outcome) == asked
    told, why, message = said(outcome, "ModelReady")
    assert (told, why) == ("False", reason)
    assert message.endswith("; the replicas that run go on serving, but no new one can start")
    assert said(outcome, "Ready") == ("False", reason, message)
    assert outcome.look_again, "a claim that comes back is looked for"
    assert outcome.status["model"] == status["model"]


@pytest.mark.parametrize(("body", "status", "ref"), SOURCES)
def test_a_claim_alone_does_not_change_the_pods(body: Obj, status: Obj, ref: Any) -> None:
    template = applied(settle(body), "Deployment")["spec"]["template"]
    gone = settle(body, status=status, objects={ref: None})
    assert applied(gone, "Deployment")["spec"]["template"] == template


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteOncePod"])
def test_what_the_claim_allowed_is_remembered(mode: str) -> None:
    before = settle(spec(), objects={CLAIM: claim(mode)})
    after = settle(spec(), objects={CLAIM: None}, status=before.status)
    assert revision_of(after) == revision_of(before)


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod"])
def test_without_its_claim_no_pod_makes_way_for_one_that_cannot_start(mode: str) -> None:
    body = spec(engineArgs=["--enforce-eager"])
    status = {"model": {**URI_SERVED["model"], "accessModes": [mode]}}
    starting = (pod("chat-1", "older"),)
    outcome = settle(body, status=status, objects={CLAIM: None}, pods=starting)
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    assert applied(outcome, "Deployment")["spec"]["strategy"] == strategy


@pytest.mark.parametrize(("asked", "least"), [(0, 0), (2, 1)])
def test_without_its_claim_a_service_that_is_awake_is_not_put_to_sleep(asked: int, least: int) -> None:
    status = {**URI_SERVED, "answeredRevision": "x"}
    outcome = settle(spec(replicas=asked, scaling=SCALING), status=status, objects={CLAIM: None})
    assert applied(outcome, "ScaledObject")["spec"]["minReplicaCount"] == least


def test_job_and_claim_gone_is_said_as_the_claim() -> None:
    outcome = settle(from_job(replicas=2), status=served(), objects={JOB: None, JOB_CLAIM: GOING})
    assert replicas(outcome) == 2
    assert said(outcome, "ModelReady")[:2] == ("False", "ClaimTerminating")
    assert "SourceDeleted" not in {event.reason for event in outcome.events}


@pytest.mark.parametrize("status", [{}, {"model": {**URI_SERVED["model"], "path": "mistral"}}])
def test_a_claim_that_was_not_served_is_not_rendered(status: Obj) -> None:
    outcome = settle(spec(), status=status, objects={CLAIM: None})
    assert outcome.apply == ()
    assert said(outcome, "ModelReady")[2].endswith("create it, or name another")


def test_a_claim_that_came_back_is_served_as_before() -> None:
    outcome = settle(spec(), status=settle(spec(), status=URI_SERVED, objects={CLAIM: None}).status)
    assert said(outcome, "ModelReady")[:2] == ("True", "ModelFound")
    assert outcome.apply == settle(spec()).apply


@pytest.mark.parametrize("model", [None, True, {}, {"claim": "c"}, {"claim": "c", "path": "p"}])
def test_a_record_that_is_none_is_none(model: Any) -> None:
    assert recorded({"model": model}) is None
