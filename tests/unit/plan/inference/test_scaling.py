"""The Scaling condition, and what becomes of the ScaledObject."""

from typing import Any

import pytest

from slipway.kube.errors import from_answer
from slipway.plan.observed import Child, Obj
from slipway.plan.outcome import Delete, Event

from .world import (
    DEPLOYMENT,
    JOB,
    SCALED_OBJECT,
    SCALING,
    SERVICE,
    child,
    condition,
    from_job,
    said,
    settle,
    spec,
)

READY = condition("Ready", "True", "ScaledObjectReady")


def keda(*conditions: Obj, **fields: Any) -> Child:
    return child(SCALED_OBJECT, status={"conditions": list(conditions)}, **fields)


def test_not_requested() -> None:
    expected = ("False", "NotRequested", "spec.scaling is not set: replicas are what spec.replicas says")
    assert said(settle(spec()), "Scaling") == expected


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([], ("Unknown", "WaitingForKeda", "KEDA has not yet said whether the ScaledObject is ready")),
        (
            [condition("Ready", "Unknown")],
            ("Unknown", "WaitingForKeda", "KEDA has not yet said whether the ScaledObject is ready"),
        ),
        ([condition("Ready", "False", "TriggerError")], ("False", "ScaledObjectNotReady", "KEDA: TriggerError: words")),
        ([READY], ("True", "Following", "0 to 4 replicas, 8 requests for each")),
        (
            [READY, condition("Paused", "False"), condition("HPAActive", "True")],
            ("True", "Following", "0 to 4 replicas, 8 requests for each"),
        ),
        (
            [READY, condition("Paused", "True", "ScaledObjectPaused"), condition("HPAActive", "False")],
            ("False", "Paused", "KEDA: ScaledObjectPaused: words"),
        ),
        (
            [READY, condition("HPAActive", "False", "FailedGetExternalMetric")],
            ("False", "AutoscalerInactive", "KEDA: FailedGetExternalMetric: words"),
        ),
    ],
)
def test_what_keda_says(conditions: list[Obj], expected: tuple[str, str, str]) -> None:
    outcome = settle(spec(scaling=SCALING), children=(keda(*conditions),))
    assert said(outcome, "Scaling") == expected


def test_no_scaled_object_yet() -> None:
    assert said(settle(spec(scaling=SCALING)), "Scaling")[:2] == ("Unknown", "WaitingForKeda")


@pytest.mark.parametrize("answer", ["the server could not find the requested resource", "404 page not found"])
def test_cluster_without_keda(answer: str) -> None:
    """In the words that reach the plan, which are kube/errors.py's."""
    outcome = settle(spec(scaling=SCALING), refused={SCALED_OBJECT: from_answer(404, answer, {}).message})
    message = "the cluster has no scaledobjects.keda.sh: install KEDA, or leave spec.scaling out"
    assert said(outcome, "Scaling") == ("False", "KedaUnavailable", message)
    assert outcome.look_again
    assert Event("Warning", "KedaUnavailable", message) in outcome.events
    assert [entry["kind"] for entry in outcome.apply] == ["Deployment", "Service", "ScaledObject"]


def test_refused_scaled_object_is_told_though_an_older_one_scales() -> None:
    outcome = settle(spec(scaling=SCALING), children=(keda(READY),), refused={SCALED_OBJECT: "denied"})
    message = "the API server refuses the ScaledObject: denied"
    assert said(outcome, "Scaling") == ("False", "ScaledObjectRefused", message)
    assert outcome.look_again


def test_refusal_of_a_scaled_object_that_is_no_longer_asked_for_is_forgotten() -> None:
    outcome = settle(spec(), refused={SCALED_OBJECT: "denied"})
    assert said(outcome, "Scaling")[1] == "NotRequested"
    assert not outcome.look_again


def test_scaling_does_not_decide_ready() -> None:
    outcome = settle(spec(scaling=SCALING), refused={SCALED_OBJECT: "denied"})
    assert said(outcome, "Ready")[1] == "Starting"


# Removal


@pytest.mark.parametrize("objects", [{}, {JOB: None}], ids=["served", "without a model"])
def test_scaled_object_goes_when_scaling_is_left_out(objects: Obj) -> None:
    outcome = settle(from_job(), children=(child(DEPLOYMENT), child(SERVICE), keda(READY)), objects=objects)
    assert outcome.delete == (Delete(SCALED_OBJECT, "ScaledObject-uid"),)


@pytest.mark.parametrize(
    ("scaling", "children"),
    [
        (SCALING, (keda(READY),)),
        (None, ()),
        (None, (keda(uid="another"),)),
        (None, (keda(uid="zz-another"),)),
        (None, (keda(deleting=True),)),
    ],
    ids=["asked for", "absent", "not ours", "not ours either", "going already"],
)
def test_scaled_object_that_is_not_deleted(scaling: Obj | None, children: tuple[Child, ...]) -> None:
    assert settle(spec(scaling=scaling), children=children).delete == ()


# Without a model


def test_scaling_waits_for_the_model() -> None:
    outcome = settle(from_job(scaling=SCALING), objects={JOB: None})
    expected = ("Unknown", "WaitingForModel", "scaling begins when there is a model to serve")
    assert said(outcome, "Scaling") == expected
    assert [event.reason for event in outcome.events] == ["TrainingJobNotFound"]


def test_scaling_goes_on_when_the_model_went_away() -> None:
    outcome = settle(from_job(scaling=SCALING), objects={JOB: None}, children=(keda(READY),))
    assert said(outcome, "Scaling")[:2] == ("True", "Following")


def test_scaling_that_is_not_asked_for_waits_for_nothing() -> None:
    assert said(settle(from_job(), objects={JOB: None}), "Scaling")[1] == "NotRequested"
