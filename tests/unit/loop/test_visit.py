"""One visit: the order of its effects, and what becomes of it when something goes wrong at each of them."""

import contextlib
from dataclasses import replace

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from slipway.kube.client import KubeClient
from slipway.kube.errors import ApiError
from slipway.kube.kinds import CLAIM, POD, PYTORCH_JOB, SERVICE, TRAINING_JOB, ref
from slipway.plan.observed import Observed, Verdict
from slipway.plan.outcome import Defaults, Delete, Event, Plan
from slipway.reconcile import loop as loop_module
from slipway.reconcile.memory import LAG_SECONDS
from slipway.reconcile.queue import Again, RetryLater

from .bench import Bench
from .build import (
    GANG_PATH,
    JOB,
    JOB_PATH,
    SERVICE_PATH,
    body,
    child_labels,
    gang,
    job,
    service,
)
from .fakeapi import FakeApi

SERVICES = "/api/v1/namespaces/ns/services"
GANGS = "/apis/kubeflow.org/v1/namespaces/ns/pytorchjobs"
TEMPLATE = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "t", "namespace": "ns"}}


async def test_effects_come_in_the_promised_order(bench: Bench) -> None:
    bench.fake.put(GANG_PATH.replace("job-0", "old"), body(PYTORCH_JOB, "old", uid="old"))
    bench.always(
        apply=(service(),),
        create=(gang(),),
        delete=(Delete(ref(PYTORCH_JOB, "ns", "old"), "old"),),
        events=(Event("Normal", "Made", "made"),),
        requeue_after=7.0,
    )
    assert await bench.visit() == Again(7.0)
    assert bench.fake.writes == [
        f"PATCH {SERVICES}/job",
        f"POST {GANGS}",
        f"DELETE {GANGS}/old",
        f"PATCH {JOB_PATH}/status",
        "POST /apis/events.k8s.io/v1/namespaces/ns/events",
    ]


async def test_the_second_visit_writes_nothing(bench: Bench) -> None:
    bench.always(apply=(service(),), create=(gang(),))
    await bench.visit()
    for path in (JOB_PATH, SERVICE_PATH, GANG_PATH):
        bench.told(path)
    bench.fake.clear()
    assert await bench.visit() == Again()
    assert bench.fake.requests == [], "not even a read"


async def test_a_new_leader_has_heard_no_report_from_before_it_led(bench: Bench) -> None:
    bench.wall += 100
    bench.reconciler.begin()
    bench.wall += 100
    await bench.visit()
    assert bench.seen[-1].listening_since == 1_000_100.0


async def test_a_gone_owner_is_forgotten(bench: Bench) -> None:
    await bench.visit()
    assert len(bench.reconciler.memory) == 1
    bench.index.record(TRAINING_JOB, "DELETED", job(10_000))
    assert await bench.visit() == Again()
    assert bench.gone == [JOB]
    assert len(bench.reconciler.memory) == 0


async def test_a_going_owner_is_left_to_the_garbage_collector(bench: Bench) -> None:
    bench.index.record(TRAINING_JOB, "MODIFIED", job(10_000, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"}))
    bench.always(apply=(service(),))
    assert await bench.visit() == Again()
    assert (bench.seen, bench.fake.requests) == ([], [])


async def test_reads_and_templates_are_answered_and_planned_again(bench: Bench) -> None:
    there, missing = ref(CLAIM, "ns", "there"), ref(CLAIM, "ns", "missing")
    bench.fake.put("/api/v1/namespaces/ns/persistentvolumeclaims/there", body(CLAIM, "there"))

    def planner(observed: Observed, now: float, defaults: Defaults) -> Plan:
        if "hash" not in observed.verdicts:
            return Plan(status={}, templates=(("hash", TEMPLATE),))
        return Plan(status={"attempt": 0}, templates=(("hash", TEMPLATE),), reads=(there, missing))

    bench.planner = planner
    await bench.visit()
    last = bench.seen[-1]
    assert len(bench.seen) == 3
    assert last.verdicts == {"hash": Verdict()}
    assert last.read[missing] is None
    assert (last.read[there] or {})["metadata"]["name"] == "there"
    dry = [r for r in bench.fake.requests if r.path.endswith("podtemplates")]
    assert [r.query["dryRun"] for r in dry] == ["All"]


async def test_a_plan_that_never_stops_asking_is_a_mistake(bench: Bench) -> None:
    bench.planner = lambda observed, now, defaults: Plan(status={}, reads=(ref(CLAIM, "ns", f"c{len(observed.read)}"),))
    with pytest.raises(RuntimeError, match="still asks for more"):
        await bench.visit()
    assert 'controller_runtime_reconcile_total{controller="trainingjob",result="error"} 1.0' in str(
        bench.metrics.exposition()
    )


async def test_what_an_apply_is_answered_is_known_in_the_same_visit(bench: Bench) -> None:
    """The gang is created, and the status written, as if the applied object had been read: one visit, one status."""
    made = ref(SERVICE, "ns", "job")

    def planner(observed: Observed, now: float, defaults: Defaults) -> Plan:
        there = observed.read.get(made) is not None
        return Plan(status={"there": there}, apply=(service(),), create=(gang(),) if there else ())

    bench.planner = planner
    await bench.visit()
    assert bench.fake.writes == [f"PATCH {SERVICES}/job", f"POST {GANGS}", f"PATCH {JOB_PATH}/status"]
    assert bench.fake.objects[JOB_PATH]["status"] == {"there": True}
    assert (bench.seen[-1].read[made] or {})["metadata"]["resourceVersion"], "the API server's answer, whole"


async def test_a_plan_that_always_applies_something_else_is_a_mistake(bench: Bench) -> None:
    bench.planner = lambda observed, now, defaults: Plan(status={}, apply=(service(80 + len(bench.seen)),))
    with pytest.raises(RuntimeError, match="still changes after 6 applies"):
        await bench.visit()


def says_refused(observed: Observed, now: float, defaults: Defaults) -> Plan:
    status = {"attempt": 0, "refused": sorted(observed.refused.values())}
    return Plan(status=status, apply=(service(),), create=(gang(),))


async def test_a_refusal_is_in_the_status_of_the_same_visit(bench: Bench) -> None:
    bench.planner = says_refused
    bench.fake.fail("PATCH .*services", 403, message="quota", times=99)
    again = await bench.visit()
    assert bench.fake.objects[JOB_PATH]["status"]["refused"] == ["quota"]
    assert f"POST {GANGS}" not in bench.fake.writes, "what is created once may rest on what was refused"
    assert again == Again(5.0)


async def test_an_object_too_large_for_the_store_is_told_and_not_tried_for_ever(bench: Bench) -> None:
    bench.planner = says_refused
    bench.fake.fail("PATCH .*services", 500, message="etcdserver: request is too large", times=99)
    assert await bench.visit() == Again(5.0)
    assert bench.fake.objects[JOB_PATH]["status"]["refused"] == ["etcdserver: request is too large"]


async def test_a_refusal_holds_up_no_deletion(bench: Bench) -> None:
    bench.fake.put(GANG_PATH, gang() | {"metadata": gang()["metadata"] | {"uid": "old"}})
    bench.always(apply=(service(),), create=(gang(1),), delete=(Delete(ref(PYTORCH_JOB, "ns", "job-0"), "old"),))
    bench.fake.fail("PATCH .*services", 403)
    await bench.visit()
    assert f"DELETE {GANG_PATH}" in bench.fake.writes
    assert f"POST {GANGS}" not in bench.fake.writes


async def test_a_refused_object_is_not_sent_again_before_its_pause_is_over(bench: Bench) -> None:
    bench.planner = says_refused
    bench.fake.fail("PATCH .*services", 403, message="quota", times=2)
    sent = []
    for seconds in (0.0, 1.0, 4.0, 1.0, 8.0, 1.0):
        bench.now += seconds
        bench.told()
        await bench.visit()
        sent.append(len([r for r in bench.fake.requests if r.path == SERVICE_PATH]))
    assert sent == [1, 1, 2, 2, 2, 3]
    assert bench.fake.objects[JOB_PATH]["status"]["refused"] == []
    assert GANG_PATH in bench.fake.objects


async def test_a_refused_object_that_changed_is_sent_at_once(bench: Bench) -> None:
    bench.always(apply=(service(80),))
    bench.fake.fail("PATCH .*services", 422)
    await bench.visit()
    bench.told()
    bench.always(apply=(service(81),))
    assert await bench.visit() == Again(60.0), "nothing of it is due any more, but the watch has not told of it"
    assert bench.fake.objects[SERVICE_PATH]["spec"] == {"port": 81}


async def test_when_a_kind_arrives_refusals_are_asked_again(bench: Bench) -> None:
    bench.planner = says_refused
    bench.fake.fail("POST .*pytorchjobs", 404, message="no such kind")
    await bench.visit()
    bench.told()
    bench.reconciler.memory.hurry()
    assert await bench.visit() == Again(60.0)
    assert GANG_PATH in bench.fake.objects


TRANSIENT = [
    (r, s) for r in ("PATCH .*services", "POST .*pytorchjobs", "PATCH .*status") for s in (401, 409, 429, 500, 503)
]
TRANSIENT.remove(("POST .*pytorchjobs", 409))  # that one says that it exists


@pytest.mark.parametrize(("request_", "status"), TRANSIENT)
async def test_a_transient_error_leaves_the_status_alone_and_repeats_the_visit(
    bench: Bench, status: int, request_: str
) -> None:
    bench.planner = says_refused
    bench.fake.fail(request_, status)
    with pytest.raises(ApiError):
        await bench.visit()
    assert "status" not in bench.fake.objects[JOB_PATH]
    await bench.visit()
    assert bench.fake.objects[JOB_PATH]["status"] == {"attempt": 0, "refused": []}
    assert GANG_PATH in bench.fake.objects


async def test_retry_after_is_honoured(bench: Bench) -> None:
    bench.fake.fail("PATCH .*status", 429, headers={"Retry-After": "17"})
    with pytest.raises(RetryLater) as caught:
        await bench.visit()
    assert caught.value.after_seconds == 17.0


async def test_an_index_behind_our_own_status_is_waited_for(bench: Bench) -> None:
    """Planning from it would tell the same transition twice."""
    bench.always(status={"attempt": 1}, events=(Event("Normal", "Restarting", "attempt 1"),))
    await bench.visit()
    bench.fake.clear()
    assert await bench.visit() == Again(1.0)
    assert (bench.fake.requests, len(bench.seen)) == ([], 1)
    bench.told()
    assert await bench.visit() == Again()
    assert (bench.fake.requests, len(bench.seen)) == ([], 2)


async def test_an_index_that_stays_behind_is_believed_in_the_end(bench: Bench) -> None:
    bench.always(status={"attempt": 1})
    await bench.visit()
    bench.now += LAG_SECONDS
    with pytest.raises(ApiError) as caught:
        await bench.visit()
    assert caught.value.status == 409, "and the API server still knows better"


@pytest.mark.parametrize("plan", [{"create": (gang(),)}, {"delete": (Delete(ref(PYTORCH_JOB, "ns", "job-0"), "g"),)}])
async def test_nothing_once_only_is_done_from_a_stale_owner(bench: Bench, plan: dict[str, object]) -> None:
    """A former leader has moved the job on to attempt 1, and our index has not heard of it."""
    bench.fake.put(JOB_PATH, job(status={"attempt": 1}))
    if "delete" in plan:
        bench.fake.put(GANG_PATH, gang() | {"metadata": gang()["metadata"] | {"uid": "g"}})
    bench.always(**plan)
    assert await bench.visit() == Again(1.0)
    assert bench.fake.writes == []


async def test_what_the_watch_never_tells_is_looked_at_again(bench: Bench) -> None:
    """Made and deleted while its watch was broken, a child is in no event and in no listing."""
    bench.always(apply=(service(),))
    assert await bench.visit() == Again(60.0)
    bench.told()
    bench.fake.objects.pop(SERVICE_PATH)
    bench.now += 60.0
    await bench.visit()
    assert SERVICE_PATH in bench.fake.objects
    bench.told(SERVICE_PATH)
    assert await bench.visit() == Again()


async def looks(bench: Bench, count: int) -> list[float | None]:
    """The pauses after `count` visits, each of which comes when it is due."""
    found = []
    for _ in range(count):
        found.append((await bench.visit()).after_seconds)
        bench.told()
        bench.now += found[-1] or 0.0
    return found


async def test_what_no_watch_tells_of_is_looked_at_ever_more_seldom(bench: Bench) -> None:
    bench.always(look_again=True)
    assert await looks(bench, 6) == [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    bench.always(look_again=True, requeue_after=7.0)
    assert await looks(bench, 1) == [7.0], "what the clock tells is not put off"
    bench.always()
    assert await looks(bench, 1) == [None]
    bench.always(look_again=True)
    assert await looks(bench, 2) == [5.0, 10.0], "it had ended in between"


async def test_a_new_generation_and_a_new_status_are_looked_at_soon_again(bench: Bench) -> None:
    bench.always(look_again=True)
    await looks(bench, 4)
    bench.fake.put(JOB_PATH, job(10_000, metadata={"generation": 2}))
    bench.told()
    assert (await bench.visit()).after_seconds == 5.0
    said = {"type": "Accepted", "status": "False", "reason": "ClaimNotFound", "message": "x"}
    await looks(bench, 3)
    bench.always(look_again=True, status={"attempt": 0, "conditions": [said]})
    assert await looks(bench, 2) == [5.0, 10.0]


async def test_without_the_lease_a_visit_ends_quietly(client: KubeClient, fake: FakeApi) -> None:
    """It comes back soon, in case the lease does before anybody noticed; a standby's queue takes no such wish."""
    bench = Bench(client, fake, remaining=0.0)
    fake.put(JOB_PATH, job())
    bench.told()
    bench.always(apply=(service(),))
    assert await bench.visit() == Again(1.0)
    assert fake.requests == []


async def test_a_mistake_in_a_planner_is_logged_and_raised(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def broken(observed: Observed, now: float, defaults: Defaults) -> Plan:
        raise KeyError("conditions")

    bench.planner = broken
    with pytest.raises(KeyError):
        await bench.visit()
    assert "mistake in the operator" in caplog.text


async def test_a_crash_between_any_two_requests_converges(client: KubeClient, fake: FakeApi) -> None:
    """A new process, with an empty memory, takes over after each request of the undisturbed run."""
    for cut in range(12):
        fake.objects.clear()
        fake.put(JOB_PATH, job())
        first = Bench(client, fake)
        first.planner = says_refused
        first.told()
        fake.clear()
        fake.die_after = cut
        with contextlib.suppress(ApiError):
            await first.visit()
        fake.die_after = None
        second = Bench(client, fake)
        second.planner = says_refused
        for path in (JOB_PATH, SERVICE_PATH, GANG_PATH):
            if path in fake.objects:
                second.told(path)
        await second.visit()
        kept = {path: body for path, body in fake.objects.items() if "events" not in path}
        assert sorted(kept) == sorted([JOB_PATH, SERVICE_PATH, GANG_PATH])
        assert kept[JOB_PATH]["status"] == {"attempt": 0, "refused": []}


async def test_a_visit_is_a_span_with_children(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(loop_module, "tracer", lambda: provider.get_tracer("test"))
    await bench.visit()
    spans = exporter.get_finished_spans()
    root = next(s for s in spans if s.parent is None)
    assert root.name == "reconcile TrainingJob"
    assert dict(root.attributes or {})["slipway.uid"] == "job-uid"
    assert [s.name for s in spans if s.parent and root.context and s.parent.span_id == root.context.span_id] == [
        "plan",
        "apply",
        "status",
    ]


async def test_what_is_observed_is_the_owners_alone(bench: Bench) -> None:
    bench.index.record(POD, "ADDED", body(POD, "mine", uid="1", labels=child_labels()))
    bench.index.record(POD, "ADDED", body(POD, "other", uid="2", labels=child_labels("other")))
    await bench.visit()
    assert [p.name for p in bench.seen[0].pods] == ["mine"]
    assert replace(bench.seen[0], pods=()).children == ()
