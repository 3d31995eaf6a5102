"""Pods of a gang that do not come: the API server is asked why, after a while and ever more seldom, and the refusal is
told as the API server words it."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.observed import Observed, Verdict
from slipway.plan.training.trials import LATER_MAX_SECONDS, PATIENCE_SECONDS

from .builders import (
    NOW,
    asked,
    backend_condition,
    claim_child,
    failed,
    gang,
    gang_pods,
    observed,
    owner,
    pod,
    running_status,
    told,
)

QUOTA = "exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1"


def made(*pods: Any, age_seconds: float = 60.0, status: Any = None, backend: Any = None) -> Observed:
    """A gang of two that was made so long ago, with these pods."""
    children = (claim_child(), gang(status=backend, created=NOW - age_seconds))
    return observed(owner(status=status), children=children, pods=pods)


def answered(what: Observed, verdict: Verdict) -> Any:
    ((digest, _),) = asked(what).templates
    return asked(replace(what, verdicts={digest: verdict}))


def volumes(template: Any) -> list[str]:
    return [volume["name"] for volume in template["spec"]["volumes"]]


def test_a_gang_is_given_a_moment_to_make_its_pods() -> None:
    plan = asked(made(age_seconds=1.0))
    assert (plan.templates, plan.requeue_after) == ((), PATIENCE_SECONDS)
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
    assert plan.requeue_after is None


def test_an_accepted_pod_that_does_not_come_is_the_backends_affair() -> None:
    plan = answered(made(), Verdict())
    assert told(plan)["Running"][1] == "WaitingForPods"
    assert "its events say why if this lasts" in told(plan)["Running"][2]


@pytest.mark.parametrize(("age", "pause"), [(3.0, 3.0), (10.0, 10.0), (50.0, 50.0), (5000.0, LATER_MAX_SECONDS)])
def test_it_is_asked_ever_more_seldom(age: float, pause: float) -> None:
    assert answered(made(age_seconds=age), Verdict(QUOTA)).requeue_after == pause


@pytest.mark.parametrize(
    "what",
    [
        made(*gang_pods()),
        made(failed()),
        made(backend=backend_condition("Suspended")),
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
