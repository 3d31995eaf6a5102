"""What the API server says of a job's pods: before the gang is made, and when some of its pods do not come. It is asked
ever more seldom, and the refusal is told as it words it."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.observed import Observed, Verdict
from slipway.plan.training.trials import PATIENCE_SECONDS

from .builders import (
    JOB,
    NOTHING_THERE,
    NOW,
    NOW_TEXT,
    RECIPE,
    UID,
    asked,
    claim_child,
    failed,
    fresh,
    gang,
    gang_pods,
    gang_ref,
    observed,
    owner,
    planned,
    pod,
    running_status,
    told,
)
from .test_accepted import assert_accepted, assert_refused

TEMPLATED = {**RECIPE, "podTemplate": {"spec": {"runtimeClassName": "low"}}}
OURS = {"ownerReferences": [{"uid": UID, "controller": True}]}
OURS_JUST_MADE: Any = {"metadata": {**OURS, "creationTimestamp": NOW_TEXT}}


def verdict(answer: Any, spec: Any = TEMPLATED) -> Any:
    ((digest, _),) = asked(fresh(spec)).templates
    return fresh(spec, verdicts={digest: answer})


def test_the_api_server_is_asked_whether_it_would_take_rank_0s_pod() -> None:
    made = asked(fresh(TEMPLATED))
    ((digest, body),) = made.templates
    assert body["kind"] == "Pod"
    assert body["metadata"]["name"] == f"slipway-trial-{digest}"
    assert body["metadata"]["namespace"] == "team"
    assert body["spec"]["runtimeClassName"] == "low"
    assert body["spec"]["restartPolicy"] == "Never"
    assert body["spec"]["containers"][0]["name"] == "pytorch"
    assert "output" in [volume["name"] for volume in body["spec"]["volumes"]]
    assert (made.status, made.create, made.apply, made.reads) == ({}, (), (), ())


@pytest.mark.parametrize(
    "changes",
    [
        {"children": (claim_child(), gang(0, owner_uid="x"))},
        {"pods": gang_pods()},
        {"read": NOTHING_THERE | {gang_ref(): OURS_JUST_MADE}},
        {"read": NOTHING_THERE | {gang_ref(): {}}},
    ],
    ids=["a gang is left", "pods are left", "the gang is there", "the name is taken"],
)
def test_nobody_is_asked_before_a_gang_can_be_made(changes: Any) -> None:
    made = asked(fresh(TEMPLATED, **changes))
    assert (made.templates, made.create) == ((), ())
    assert made.status != {}


def test_a_template_that_the_api_server_accepts() -> None:
    assert_accepted(verdict(Verdict()))


def test_a_template_that_the_api_server_rejects() -> None:
    message = "the API server finds the pod template invalid: spec.podTemplate.spec.runtimeClassName: Invalid value"
    made = assert_refused(
        verdict(Verdict("spec.runtimeClassName: Invalid value", invalid=True)),
        "InvalidPodTemplate",
        message,
        again=False,
    )
    assert made.apply == ()


def test_a_template_that_a_quota_refuses_is_tried_again() -> None:
    message = "the API server refuses the pods: exceeded quota: pods"
    made = assert_refused(verdict(Verdict("exceeded quota: pods")), "PodsRefused", message, again=True)
    assert made.apply == ()


def test_a_refusal_that_only_counts_anew_is_not_written_anew() -> None:
    """A thousand jobs wait for one quota, of which another pod is used every second."""
    first = planned(verdict(Verdict("exceeded quota: q, used: pods=7, limited: pods=9")))
    again = verdict(Verdict("exceeded quota: q, used: pods=18, limited: pods=19"))
    assert planned(replace(again, owner=owner(TEMPLATED, first.status))).status == first.status
    other = verdict(Verdict("exceeded quota: q, used: cpu=18, limited: cpu=19"))
    assert "cpu=18" in str(planned(replace(other, owner=owner(TEMPLATED, first.status))).status)


def test_jobs_of_one_shape_share_an_answer() -> None:
    """Also attempts of one job: whose pod it is makes no difference to a quota, nor to the cost of asking."""
    this, other = fresh(), fresh()
    later = replace(other, owner=owner(name="other", uid="other-uid", status={"attempt": 3}))
    later = replace(later, read=dict.fromkeys(asked(observed(later.owner)).reads), children=())
    assert len(later.read) == 2
    assert asked(this).templates == asked(later).templates
    assert asked(this).templates != asked(fresh({**RECIPE, "image": "another"})).templates
    assert JOB not in str(asked(this).templates)
    assert UID not in str(asked(this).templates)


# Pods of a gang that was made

QUOTA = "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"


def made(*pods: Any, age_seconds: float = 60.0, status: Any = None, **backend: Any) -> Observed:
    """A gang of two that was made so long ago, with these pods."""
    children = (claim_child(), gang(created=NOW - age_seconds, **backend))
    return observed(owner(status=status), children=children, pods=pods)


def answered(what: Observed, verdict: Verdict) -> Any:
    ((digest, _),) = asked(what).templates
    return asked(replace(what, verdicts={digest: verdict}))


def volumes(template: Any) -> list[str]:
    return [volume["name"] for volume in template["spec"]["volumes"]]


def test_a_gang_is_given_a_moment_to_make_its_pods() -> None:
    plan = asked(made(age_seconds=1.0))
    assert (plan.templates, plan.requeue_after, plan.look_again) == ((), PATIENCE_SECONDS - 1.0, False)
    assert told(plan)["Running"][1] == "WaitingForPods"


def test_then_the_pod_that_is_missing_is_tried() -> None:
    ((_, of_master),) = asked(made(age_seconds=PATIENCE_SECONDS)).templates
    assert "output" in volumes(of_master)
    ((_, of_worker),) = asked(made(pod("master-0"))).templates
    assert of_worker["kind"] == "Pod"
    assert "output" not in volumes(of_worker), "rank 0 is there: what is missing is another's"


def test_a_gang_of_two_against_a_quota_of_one() -> None:
    plan = answered(made(pod("master-0", phase="Pending")), Verdict(QUOTA))
    message = f"1 of 2 pods exist; the API server refuses the pods: {QUOTA}"
    assert told(plan)["Running"] == ("False", "PodsRefused", message)
    assert told(plan)["Ready"] == ("False", "PodsRefused", message)
    assert told(plan)["Accepted"][0] == "True", "what was accepted stays so"
    assert [event.reason for event in plan.events if event.type == "Warning"] == ["PodsRefused"]
    assert (plan.create, plan.delete) == ((), ())


def test_when_the_quota_is_mended_the_pods_themselves_say_so() -> None:
    refused = answered(made(pod("master-0")), Verdict(QUOTA))
    plan = asked(made(*gang_pods(), status=refused.status))
    assert told(plan)["Running"][:2] == ("True", "Running")
    assert (plan.requeue_after, plan.look_again) == (None, False)


def test_an_accepted_pod_that_does_not_come_is_the_backends_affair() -> None:
    plan = answered(made(), Verdict())
    assert told(plan)["Running"][1] == "WaitingForPods"
    assert "its events say why if this lasts" in told(plan)["Running"][2]


@pytest.mark.parametrize("verdict", [Verdict(QUOTA), Verdict()])
def test_it_is_asked_again(verdict: Verdict) -> None:
    plan = answered(made(), verdict)
    assert (plan.look_again, plan.requeue_after) == (True, None)


@pytest.mark.parametrize(
    "what",
    [
        made(*gang_pods()),
        made(failed()),
        made(suspended=True),
        made(status={"conditions": [{"type": "Complete", "status": "True", "reason": "Complete"}]}),
    ],
    ids=["all are there", "one has failed", "another asks", "over"],
)
def test_nobody_is_asked_where_no_pod_is_waited_for(what: Observed) -> None:
    assert asked(what).templates == ()


def test_a_pod_that_was_lost_is_no_pod_that_does_not_come() -> None:
    what = made(pod("master-0"), status=running_status())
    assert [ref.name for ref in asked(what).reads] == ["demo-0-worker-0"]
    assert asked(what).templates == ()
