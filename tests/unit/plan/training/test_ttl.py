"""A job that is over is deleted after its time, and not a moment before."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.observed import Ref
from slipway.plan.outcome import Delete

from .builders import (
    JOB,
    NAMESPACE,
    NOW,
    RECIPE,
    UID,
    backend_condition,
    failed,
    gang_pods,
    owner,
    planned,
    pod,
    told,
    with_gang,
)

ITSELF = Ref("slipway.dev/v1alpha1", "TrainingJob", "trainingjobs.slipway.dev", NAMESPACE, JOB)
DELETION = Delete(ITSELF, UID, version="10")


def ended(one: Any = None, *, ttl: Any = 60) -> Any:
    """The status of a job that has just ended, as its own plan tells it."""
    spec = {**RECIPE, "ttlSecondsAfterFinished": ttl}
    return planned(with_gang(one or pod(phase="Succeeded"), spec=spec, backend=backend_condition("Succeeded")))


def later(seconds: float, status: Any, *, ttl: Any = 60, one: Any = None, **changes: Any) -> Any:
    spec = RECIPE if ttl is None else {**RECIPE, "ttlSecondsAfterFinished": ttl}
    what = with_gang(one or pod(phase="Succeeded"), spec=spec, backend=backend_condition("Succeeded"), status=status)
    return planned(what, NOW + seconds)


@pytest.mark.parametrize("ttl", [60, 0])
def test_the_end_is_told_before_the_job_is_deleted(ttl: Any) -> None:
    made = ended(ttl=ttl)
    assert told(made)["Complete"][0] == "True"
    assert made.delete == ()
    assert made.requeue_after == (ttl or None)


@pytest.mark.parametrize(("seconds", "goes"), [(0, False), (59.5, False), (60, True), (10**6, True)])
def test_it_goes_when_its_time_has_come_and_asks_to_be_looked_at_exactly_then(seconds: Any, goes: Any) -> None:
    made = later(seconds, ended().status)
    assert made.delete == ((DELETION,) if goes else ())
    assert made.requeue_after == (None if goes else 60 - seconds)
    assert made.events == ()


def test_a_time_of_zero_is_as_soon_as_the_end_is_told() -> None:
    assert later(0, ended(ttl=0).status, ttl=0).delete == (DELETION,)


def test_a_failed_job_goes_too() -> None:
    made = planned(with_gang(failed(code=2), spec={**RECIPE, "ttlSecondsAfterFinished": 60}))
    assert told(made)["Failed"][0] == "True"
    again = later(60, made.status, one=failed(code=2))
    assert DELETION in again.delete


def test_without_a_time_it_stays() -> None:
    made = later(10**9, ended().status, ttl=None)
    assert (made.delete, made.requeue_after) == ((), None)


def test_a_job_that_is_not_over_stays() -> None:
    made = planned(with_gang(*gang_pods(), spec={**RECIPE, "ttlSecondsAfterFinished": 0}))
    assert (told(made)["Running"][0], made.delete) == ("True", ())


def test_it_does_not_go_while_its_status_has_something_new_to_tell() -> None:
    """The evaluation came late, or the spec was changed: first the status, whose write changes the version."""
    status = ended().status
    stale = {**status, "observedGeneration": 0}
    made = later(60, stale)
    assert made.delete == ()
    assert made.status == status


def test_a_completion_time_that_cannot_be_read_is_long_ago() -> None:
    status = {**ended().status, "completionTime": "long ago"}
    assert later(0, status).delete == (DELETION,)


def test_a_clock_that_is_behind_waits() -> None:
    made = later(-3600, ended().status)
    assert (made.delete, made.requeue_after) == ((), 3660)
    assert rfc3339(NOW) == ended().status["completionTime"]


def test_the_version_is_the_one_that_was_looked_at() -> None:
    spec = {**RECIPE, "ttlSecondsAfterFinished": 0}
    what = with_gang(pod(phase="Succeeded"), backend=backend_condition("Succeeded"))
    seen = replace(what, owner=owner(spec, ended(ttl=0).status, resource_version="77"))
    assert planned(seen).delete == (Delete(ITSELF, UID, version="77"),)
