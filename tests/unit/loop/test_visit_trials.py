"""What becomes of a template that a plan asks about: whom the API server is asked for, and how long its word stands."""

import pytest

from slipway.kube.errors import ApiError
from slipway.plan.observed import Verdict
from slipway.reconcile.trial import ACCEPTED_SECONDS, INVALID_SECONDS, REFUSAL_SECONDS, Trial

from .bench import Bench
from .build import JOB_PATH

PODS = "/api/v1/namespaces/ns/pods"
TRIED_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "t", "namespace": "ns", "labels": {"a": "b"}},
    "spec": {"containers": []},
}
TEMPLATE = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t", "namespace": "ns"}}


async def verdicts_after(bench: Bench, *pauses_seconds: float) -> list[tuple[Verdict, int]]:
    """The verdict of a visit after each pause, with how often the API server has been asked until then."""
    bench.always(templates=(("hash", TEMPLATE),))
    tries = []
    for seconds in pauses_seconds:
        bench.now += seconds
        bench.told()
        await bench.visit()
        tries.append(
            (bench.seen[-1].verdicts["hash"], len([r for r in bench.fake.requests if "podtemplates" in r.path]))
        )
    return tries


async def test_an_accepted_template_is_tried_once_and_an_invalid_one_again_later(bench: Bench) -> None:
    bench.fake.fail("POST .*podtemplates", 422, message="spec.containers: required")
    tries = await verdicts_after(bench, 0.0, REFUSAL_SECONDS, INVALID_SECONDS, 1.0, 1000.0)
    assert tries == [(Verdict("spec.containers: required", invalid=True), 1)] * 2 + [(Verdict(), 2)] * 3


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, "exceeded quota: pods"),
        (404, 'namespaces "ns" not found'),
        (400, 'admission webhook "v.example" denied the request: no'),
        (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no"),
    ],
)
async def test_what_admission_refuses_is_not_invalid_and_is_asked_again_soon(
    bench: Bench, status: int, message: str
) -> None:
    bench.fake.fail("POST .*podtemplates", status, message=message)
    tries = await verdicts_after(bench, 0.0, 1.0, 4.0, 1000.0)
    assert tries == [(Verdict(message), 1)] * 2 + [(Verdict(), 2)] * 2


async def test_a_pod_is_asked_about_as_a_pod_and_its_shape_then_stands(bench: Bench) -> None:
    """A burst of equal jobs shares an answer; after it a quota may be full."""
    verdict = Trial(bench.effects.client, clock=bench.clock).verdict
    for seconds, tries in ((0.0, 1), (ACCEPTED_SECONDS - 1, 1), (1.0, 2)):
        bench.now += seconds
        assert await verdict("hash", TRIED_POD) == Verdict()
        assert bench.fake.writes == [f"POST {PODS}"] * tries
    bench.now += 1e6
    assert await verdict("hash", TEMPLATE) == Verdict()
    assert len(bench.fake.writes) == 2, "what a pod may be, its template may be"
    assert await verdict("hash", {**TRIED_POD, "metadata": {"name": "t", "namespace": "other"}}) == Verdict()
    assert len(bench.fake.writes) == 3, "another namespace has other quotas"
    asked = {(r.query["dryRun"], r.query["fieldValidation"]) for r in bench.fake.requests}
    assert asked == {("All", "Strict")}, "nothing is stored, and no field is dropped unsaid"
    assert bench.fake.objects.keys() == {JOB_PATH}


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, 'admission webhook "x" does not support dry run'),
        (403, 'pods is forbidden: User "system:serviceaccount:s:s" cannot create resource "pods" in API group ""'),
        (409, 'pods "slipway-trial-0" already exists'),
    ],
)
async def test_where_nobody_can_say_the_shape_is_asked_about(bench: Bench, status: int, message: str) -> None:
    trial = Trial(bench.effects.client, clock=bench.clock)
    bench.fake.fail(f"POST {PODS}", status, message=message, times=2)
    bench.fake.fail("POST .*podtemplates", 422, message="template.spec.x: Invalid")
    assert await trial.verdict("bad", TRIED_POD) == Verdict("template.spec.x: Invalid", invalid=True)
    assert await trial.verdict("good", TRIED_POD) == Verdict()
    assert bench.fake.writes == [f"POST {PODS}", "POST /api/v1/namespaces/ns/podtemplates"] * 2
    shape = bench.fake.requests[-1].body
    assert shape["metadata"] == {"name": "t", "namespace": "ns"}
    assert shape["template"] == {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}


async def test_where_nobody_can_say_anything_nothing_stands_in_the_way(bench: Bench) -> None:
    bench.fake.fail("POST", 400, message='admission webhook "x" does not support dry run', times=2)
    assert await Trial(bench.effects.client, clock=bench.clock).verdict("h", TRIED_POD) == Verdict()


async def test_a_webhook_that_must_be_asked_and_is_not_there_refuses_the_pods(bench: Bench) -> None:
    message = 'Internal error occurred: failed calling webhook "w": failed to call webhook: connection refused'
    bench.fake.fail("POST", 500, message=message)
    assert await Trial(bench.effects.client, clock=bench.clock).verdict("h", TRIED_POD) == Verdict(message)


async def test_a_quota_that_somebody_else_has_just_used_is_no_verdict(bench: Bench) -> None:
    message = 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified'
    bench.fake.fail("POST", 409, message=message)
    with pytest.raises(ApiError, match="the object has been modified"):
        await Trial(bench.effects.client, clock=bench.clock).verdict("h", TRIED_POD)


async def test_a_template_that_could_not_be_tried_is_no_verdict(bench: Bench) -> None:
    bench.always(templates=(("hash", TEMPLATE),))
    bench.fake.fail("POST .*podtemplates", 500)
    with pytest.raises(ApiError):
        await bench.visit()
    assert f"PATCH {JOB_PATH}/status" not in bench.fake.writes
