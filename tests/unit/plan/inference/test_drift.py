"""What others added to the pod template is told once, and stays to be read."""

from dataclasses import replace

import pytest

from slipway.api.inferenceservice import InferenceServiceStatus
from slipway.plan.observed import Child, Obj
from slipway.plan.outcome import Plan

from .world import CLAIM, DEPLOYMENT, child, pod, revision_of, said, settle, spec

ADDED = ("spec.containers[name=debug] (kubectl-edit)", "spec.volumes[name=x] (kubectl-edit)")
REVISION = revision_of(settle(spec()))
READY = (pod("chat-1", REVISION, ready=True),)


def deployment(*additions: str) -> tuple[Child, ...]:
    return (replace(child(DEPLOYMENT), additions=additions),)


def drifts(outcome: Plan) -> list[str]:
    return [event.message for event in outcome.events if (event.type, event.reason) == ("Warning", "PodTemplateDrift")]


def test_additions_are_told_with_what_to_do() -> None:
    outcome = settle(spec(), children=deployment(*ADDED), pods=READY)
    listed = "spec.containers[name=debug] (kubectl-edit), spec.volumes[name=x] (kubectl-edit)"
    assert outcome.status["podTemplateAdditions"] == list(ADDED)
    assert said(outcome, "Available") == (
        "True",
        "ReplicasReady",
        f"1 of 1 replicas ready; the Deployment's pod template has additions that are not Slipway's: {listed}",
    )
    assert drifts(outcome) == [
        "Deployment 'chat' has additions in its pod template that are not Slipway's, and so has every new pod: "
        f"{listed}. Remove them there; what is wanted belongs in spec.podTemplate"
    ]
    assert said(outcome, "Ready")[:2] == ("True", "Serving")


def test_additions_are_told_once_and_again_when_there_are_others() -> None:
    first = settle(spec(), children=deployment(*ADDED), pods=READY)
    assert drifts(settle(spec(), children=deployment(*ADDED), pods=READY, status=first.status)) == []
    fewer = settle(spec(), children=deployment(ADDED[0]), pods=READY, status=first.status)
    assert len(drifts(fewer)) == 1
    none = settle(spec(), children=deployment(), pods=READY, status=fewer.status)
    assert (drifts(none), "podTemplateAdditions" in none.status) == ([], False)
    assert said(none, "Available")[2] == "1 of 1 replicas ready"


@pytest.mark.parametrize("wrong", [{"body": spec(replicas=-1)}, {"body": spec(), "objects": {CLAIM: None}}])
def test_additions_are_told_whatever_else_is_wrong(wrong: Obj) -> None:
    outcome = settle(wrong["body"], children=deployment(*ADDED), objects=wrong.get("objects", {}))
    assert outcome.status["podTemplateAdditions"] == list(ADDED)


def test_additions_to_anothers_deployment_are_not_ours_to_tell() -> None:
    foreign = (replace(deployment(*ADDED)[0], owner_uid="another"),)
    assert "podTemplateAdditions" not in settle(spec(), children=foreign).status


@pytest.mark.parametrize(("many", "last"), [(16, "spec.f15 (x)"), (17, "and 2 more"), (40, "and 25 more")])
def test_what_there_is_no_room_for_is_counted(many: int, last: str) -> None:
    names = [f"spec.f{number:02} (x)" for number in range(many)]
    status = settle(spec(), children=deployment(*names)).status
    assert len(status["podTemplateAdditions"]) == 16
    assert status["podTemplateAdditions"][-1] == last
    assert InferenceServiceStatus.model_validate(status)


def test_a_long_path_is_cut() -> None:
    status = settle(spec(), children=deployment("x" * 600)).status
    assert InferenceServiceStatus.model_validate(status).pod_template_additions == ["x" * 511 + "…"]
