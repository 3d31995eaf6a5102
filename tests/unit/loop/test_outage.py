"""What an object says of itself while the API server keeps failing: once, after a minute, if nothing else is said."""

from typing import Any

import pytest

from slipway.kube.errors import ApiError
from slipway.plan.conditions import TYPES
from slipway.plan.observed import Observed, Owner
from slipway.plan.training import plan as plan_training
from slipway.reconcile import observe
from slipway.reconcile.trouble import PATIENCE_SECONDS, outage

from ..plan.inference.world import world
from .bench import Bench
from .build import DEFAULTS, JOB, JOB_PATH, SERVE, SERVICE_PATH, job, service

STATUS = f"PATCH {JOB_PATH}/status"
EVENTS = "POST /apis/events.k8s.io/v1/namespaces/ns/events"
ERROR = ApiError(503, "ServiceUnavailable", "no backends", request="PATCH /api/v1/namespaces/ns/services/job")


async def fails(bench: Bench, status: int = 503, after_seconds: float = PATIENCE_SECONDS / 4) -> None:
    bench.fake.faults.clear()
    bench.fake.fail("PATCH .*services", status, message="no backends")
    bench.now += after_seconds
    with pytest.raises(ApiError) as caught:
        await bench.visit()
    assert caught.value.status == status
    bench.told()


def told(bench: Bench) -> list[str]:
    return [write for write in bench.fake.writes if write in (STATUS, EVENTS)]


def conditions(bench: Bench) -> dict[str, Any]:
    return {c["type"]: c for c in bench.fake.objects[JOB_PATH]["status"]["conditions"]}


async def test_it_is_told_once_after_a_minute_and_taken_back(bench: Bench) -> None:
    bench.always(apply=(service(),))
    for _ in range(4):
        await fails(bench)
        assert told(bench) == []
    for status in (503, 500, 503, 429):  # whatever the next one's words are
        await fails(bench, status)
    assert told(bench) == [STATUS, EVENTS], "no storm"
    said = conditions(bench)
    assert tuple(said) == TYPES["TrainingJob"]
    assert {c["status"] for kind, c in said.items() if kind != "Ready"} == {"Unknown"}
    assert (said["Ready"]["status"], said["Ready"]["reason"]) == ("False", "ApiServerError")
    assert f"last PATCH {SERVICE_PATH}: 503 Failed: no backends. It is tried again" in said["Ready"]["message"]
    assert "observedGeneration" not in bench.fake.objects[JOB_PATH]["status"], "nobody has looked at the spec"
    bench.fake.faults.clear()
    bench.always(apply=(service(),), status={"conditions": [{"type": "Ready", "status": "True", "reason": "Serving"}]})
    await bench.visit()
    assert conditions(bench)["Ready"]["reason"] == "Serving"


async def test_a_visit_that_succeeds_in_between_begins_the_minute_anew(bench: Bench) -> None:
    bench.always(apply=(service(),))
    await fails(bench)
    bench.fake.faults.clear()
    await bench.visit()
    bench.told()
    bench.fake.objects.pop(SERVICE_PATH)
    for count in range(4):
        bench.always(apply=(service(81 + count),))
        await fails(bench)
    assert told(bench) == [STATUS], "that of the visit which succeeded"


async def test_that_it_cannot_be_told_does_not_hide_the_error(bench: Bench) -> None:
    bench.always(apply=(service(),))
    await fails(bench)
    bench.now += PATIENCE_SECONDS
    bench.fake.fail("PATCH .*services", 500)
    bench.fake.fail(STATUS, 502)
    with pytest.raises(ApiError) as caught:
        await bench.visit()
    assert caught.value.status == 500
    assert "status" not in bench.fake.objects[JOB_PATH]


def owner(generation: int = 1, **status: Any) -> Owner:
    return observe.owner(job(metadata={"generation": generation}, status=status))


def entry(kind: str, value: str = "True", generation: int = 1) -> Any:
    return {"type": kind, "status": value, "reason": "Because", "observedGeneration": generation}


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 2},
        {"conditions": [entry("Ready", "False", 2)]},
        {"conditions": [entry("Complete")]},
        {"conditions": [entry("Failed")]},
    ],
    ids=["observed", "told", "complete", "failed"],
)
def test_what_has_something_to_say_says_that(status: Any) -> None:
    assert outage(JOB, owner(2, **status), ERROR, 0.0) is None


def test_of_a_new_generation_it_is_told_and_what_was_said_of_the_old_one_stays() -> None:
    accepted = entry("Accepted")
    plan = outage(JOB, owner(2, observedGeneration=1, attempt=3, conditions=[entry("Ready"), accepted]), ERROR, 0.0)
    assert plan is not None
    assert (plan.status["observedGeneration"], plan.status["attempt"]) == (1, 3)
    first, *_, ready = plan.status["conditions"]
    assert first == accepted
    assert (ready["status"], ready["reason"], ready["observedGeneration"]) == ("False", "ApiServerError", 2)
    assert outage(JOB, observe.owner(job(metadata={"generation": 2}, status=plan.status)), ERROR, 9.0) is None


def test_its_words_are_bounded() -> None:
    plan = outage(SERVE, owner(), ApiError(0, "Timeout", "x " * 1000), 0.0)
    assert plan is not None
    (event,) = plan.events
    assert len(event.message) < 700
    assert "…. It is tried again" in event.message


def test_the_conditions_are_those_of_the_planners() -> None:
    of_job = plan_training(Observed(owner=observe.owner(job(spec={"nodes": "x"}))), 0.0, DEFAULTS).status
    of_service = world().settle().status
    for kind, status in (("TrainingJob", of_job), ("InferenceService", of_service)):
        assert tuple(c["type"] for c in status["conditions"]) == TYPES[kind]
