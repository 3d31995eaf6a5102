"""Apply, create, delete, status, events: what is sent, what is not sent, and in which cases."""

import logging

import pytest

from slipway.kube.client import KubeClient
from slipway.kube.errors import ApiError, NotLeader, Stale
from slipway.kube.kinds import POD, PYTORCH_JOB, SERVICE, TRAINING_JOB, ref
from slipway.plan.observed import Owner
from slipway.plan.outcome import Delete, Event, Plan
from slipway.reconcile import observe
from slipway.reconcile.apply import Applier
from slipway.reconcile.events import SERIES_SECONDS, Recorder
from slipway.reconcile.gate import Gate
from slipway.reconcile.index import Index
from slipway.reconcile.memory import LAG_SECONDS, OwnerMemory
from slipway.reconcile.once import Once
from slipway.reconcile.status import StatusWriter
from slipway.telemetry.metrics import Metrics

from .build import GANG_PATH, JOB, JOB_PATH, SERVICE_PATH, body, child_labels, gang, job, open_gate, service
from .fakeapi import FakeApi

SERVICE_REF, GANG_REF = ref(SERVICE, "ns", "job"), ref(PYTORCH_JOB, "ns", "job-0")


class Bench:
    """The parts that write, with an index that is told only what a test tells it."""

    def __init__(self, client: KubeClient, fake: FakeApi) -> None:
        self.fake, self.index, self.metrics, self.now, self.wall = fake, Index(), Metrics(), 0.0, 1_000_000.0
        gate = open_gate(self.metrics)
        self.applier = Applier(client, self.index, gate, self.metrics, clock=lambda: self.now)
        self.once = Once(client, self.index, gate, clock=lambda: self.now)
        self.events = Recorder(client, gate, instance="pod", clock=lambda: self.wall)
        self.status = StatusWriter(client, gate, self.events, clock=lambda: self.now)
        self.memory = OwnerMemory("job-uid")

    async def apply(self, port: int = 80) -> bool:
        """Whether something was sent."""
        return await self.applier.apply(self.memory, service(port)) is not None

    def tell(self, path: str, event: str = "MODIFIED") -> None:
        """The watch catches up with one object."""
        resource = SERVICE if path == SERVICE_PATH else PYTORCH_JOB
        self.index.record(resource, event, self.fake.objects[path])

    def owner(self) -> Owner:
        return observe.owner(self.fake.objects[JOB_PATH])


@pytest.fixture
def bench(client: KubeClient, fake: FakeApi) -> Bench:
    fake.put(JOB_PATH, job())
    return Bench(client, fake)


# ---------------------------------------------------------------------------- apply


async def test_an_apply_is_forced_under_our_name(bench: Bench) -> None:
    assert await bench.apply()
    request = bench.fake.requests[-1]
    assert str(request) == f"PATCH {SERVICE_PATH}"
    assert request.query == {"fieldManager": "slipway", "force": "true"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.headers["Authorization"] == "bearer of-the-test"


async def test_an_apply_is_utf_8_since_yaml_does_not_know_jsons_surrogates(bench: Bench) -> None:
    made = service(80)
    made["metadata"]["annotations"] = {"text": "fl\u00f6at\U0001f4a5"}
    assert await bench.applier.apply(bench.memory, made)
    assert "fl\u00f6at\U0001f4a5" in bench.fake.requests[-1].text
    assert "\\u" not in bench.fake.requests[-1].text


async def test_the_same_again_is_not_sent_before_and_after_the_watch_tells(bench: Bench) -> None:
    await bench.apply()
    assert not await bench.apply(), "the watch has not told yet"
    bench.tell(SERVICE_PATH, "ADDED")
    assert not await bench.apply()
    bench.now += 10 * LAG_SECONDS
    assert not await bench.apply(), "and for ever after"
    assert len(bench.fake.writes) == 1
    assert "slipway_apply_cache_hits_total 3.0" in bench.metrics.exposition().decode()


async def test_an_object_that_is_never_told_is_applied_again_in_the_end(bench: Bench) -> None:
    """Somebody deleted it before the watch had told of it at all."""
    await bench.apply()
    bench.now += LAG_SECONDS - 1
    assert not await bench.apply()
    bench.now += 1
    assert await bench.apply()


async def test_a_new_intent_is_sent(bench: Bench) -> None:
    await bench.apply(80)
    assert await bench.apply(81)
    assert await bench.apply(80), "and back: the cache holds the last intent only"


async def test_an_index_that_is_behind_our_write_causes_no_second_one(bench: Bench) -> None:
    await bench.apply(80)
    bench.tell(SERVICE_PATH, "ADDED")
    await bench.apply(81)  # the index still shows port 80
    assert not await bench.apply(81)
    bench.now += LAG_SECONDS
    assert await bench.apply(81), "an index that stays behind is believed in the end"


async def test_an_edit_is_repaired(bench: Bench) -> None:
    await bench.apply()
    bench.tell(SERVICE_PATH, "ADDED")
    edited = bench.fake.put(SERVICE_PATH, bench.fake.objects[SERVICE_PATH] | {"spec": {"port": 9}})
    bench.tell(SERVICE_PATH)
    assert edited["spec"]["port"] == 9
    assert await bench.apply()
    assert bench.fake.objects[SERVICE_PATH]["spec"]["port"] == 80


async def test_an_owner_reference_that_was_removed_is_put_back(bench: Bench) -> None:
    wanted = gang()
    await bench.applier.apply(bench.memory, wanted)
    bench.tell(GANG_PATH, "ADDED")
    assert not await bench.applier.apply(bench.memory, wanted)
    orphan = {**bench.fake.objects[GANG_PATH]}
    orphan["metadata"] = {k: v for k, v in orphan["metadata"].items() if k != "ownerReferences"}
    bench.fake.put(GANG_PATH, orphan)
    bench.tell(GANG_PATH)
    assert [child.owner_uid for child in bench.index.children(JOB)] == [""], "it is shown without an owner"
    assert await bench.applier.apply(bench.memory, wanted)
    assert bench.fake.objects[GANG_PATH]["metadata"]["ownerReferences"] == wanted["metadata"]["ownerReferences"]


async def test_a_status_change_of_the_child_is_no_reason_to_apply(bench: Bench) -> None:
    await bench.apply()
    bench.fake.put(SERVICE_PATH, bench.fake.objects[SERVICE_PATH] | {"status": {"loadBalancer": {}}})
    bench.tell(SERVICE_PATH)
    assert not await bench.apply()


async def test_a_deleted_child_is_made_anew_as_soon_as_it_is_told(bench: Bench) -> None:
    await bench.apply()
    bench.tell(SERVICE_PATH, "ADDED")
    gone = bench.fake.objects.pop(SERVICE_PATH)
    gone["metadata"]["resourceVersion"] = "999"
    bench.index.record(SERVICE, "DELETED", gone)
    assert await bench.apply()


async def test_a_child_that_is_going_is_left_alone(bench: Bench) -> None:
    going = body(SERVICE, "job", labels=child_labels(), metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    bench.index.record(SERVICE, "MODIFIED", going)
    assert not await bench.apply()
    assert bench.fake.writes == []


async def test_an_unanswered_apply_is_sent_again(bench: Bench) -> None:
    await bench.apply(80)
    bench.tell(SERVICE_PATH, "ADDED")
    bench.fake.fail("PATCH .*services", 504, after=True)
    with pytest.raises(ApiError):
        await bench.apply(81)
    assert await bench.apply(80), "what the failed one did is not known"


async def test_what_others_wrote_in_our_way_is_overruled(bench: Bench) -> None:
    await bench.apply()
    bench.tell(SERVICE_PATH, "ADDED")
    bench.fake.put(SERVICE_PATH, bench.fake.objects[SERVICE_PATH] | {"spec": {"port": 9}})
    bench.tell(SERVICE_PATH)
    bench.fake.fail("PATCH .*services", 422)
    bench.fake.clear()
    assert await bench.apply()
    kinds = [r.headers["Content-Type"].partition("/")[2] for r in bench.fake.requests]
    assert kinds == ["apply-patch+yaml", "merge-patch+json", "apply-patch+yaml"]


async def test_an_object_of_ours_that_is_invalid_is_refused_with_the_first_answer(bench: Bench) -> None:
    bench.index.record(SERVICE, "ADDED", body(SERVICE, "job", labels=child_labels()))
    bench.fake.put(SERVICE_PATH, body(SERVICE, "job"))
    bench.fake.fail("PATCH .*services", 422, message="first")
    bench.fake.fail("PATCH .*services", 422, message="second")
    with pytest.raises(ApiError, match="first") as caught:
        await bench.apply()
    assert caught.value.refused


async def test_without_the_lease_nothing_is_sent(client: KubeClient, fake: FakeApi) -> None:
    metrics = Metrics()
    closed = Gate(lambda: 0.0, rate=1.0, burst=1, metrics=metrics)
    with pytest.raises(NotLeader):
        await Applier(client, Index(), closed, metrics).apply(OwnerMemory("u"), service())
    assert fake.requests == []


# ---------------------------------------------------------------------------- create once, delete


async def test_a_gang_is_created_once(bench: Bench) -> None:
    assert bench.once.needed(bench.memory, bench.owner(), gang())
    await bench.once.create(bench.memory, bench.owner(), gang())
    assert not bench.once.needed(bench.memory, bench.owner(), gang()), "the watch has not told yet"
    bench.tell(GANG_PATH, "ADDED")
    bench.now += 10 * LAG_SECONDS
    assert not bench.once.needed(bench.memory, bench.owner(), gang())
    assert bench.fake.writes == [f"POST {GANG_PATH.removesuffix('/job-0')}"]


async def test_that_it_exists_and_is_ours_is_success(bench: Bench) -> None:
    bench.fake.put(GANG_PATH, gang())
    await bench.once.create(bench.memory, bench.owner(), gang())
    assert GANG_REF in bench.memory.created


async def test_another_ones_object_is_refused_by_name(bench: Bench) -> None:
    bench.fake.put(GANG_PATH, gang(owner_uid="somebody"))
    with pytest.raises(ApiError, match="PyTorchJob ns/job-0 exists and belongs to something else") as caught:
        await bench.once.create(bench.memory, bench.owner(), gang())
    assert caught.value.refused


async def test_a_namesake_that_is_going_is_waited_for(bench: Bench) -> None:
    going = gang()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    bench.fake.put(GANG_PATH, going)
    with pytest.raises(Stale, match="being deleted"):
        await bench.once.create(bench.memory, bench.owner(), gang())


async def test_no_gang_while_a_pod_of_another_attempt_is_left(bench: Bench) -> None:
    """Asked live: the watch may not have told of the pod, and two gangs would write the same checkpoints."""
    old = child_labels(**{"slipway.dev/attempt": "0"})
    bench.fake.put("/api/v1/namespaces/ns/pods/old", body(POD, "old", labels=old))
    with pytest.raises(Stale, match="1 pods of other attempts are still there: old"):
        await bench.once.create(bench.memory, bench.owner(), gang(1))
    assert bench.fake.writes == []
    own = child_labels(**{"slipway.dev/attempt": "1"})
    bench.fake.put("/api/v1/namespaces/ns/pods/old", body(POD, "old", labels=own))
    await bench.once.create(bench.memory, bench.owner(), gang(1))


async def test_the_first_gang_asks_for_no_listing_of_pods(bench: Bench) -> None:
    """There is no other attempt before it; and each listing goes through all pods of the namespace."""
    await bench.once.create(bench.memory, bench.owner(), gang(0))
    assert [str(request) for request in bench.fake.requests] == [f"POST {GANG_PATH.removesuffix('/job-0')}"]


async def test_the_owner_must_be_what_was_planned_from(bench: Bench) -> None:
    planned = bench.owner()
    await bench.once.confirm_owner(JOB, planned)
    bench.fake.put(JOB_PATH, job(status={"attempt": 1}))
    with pytest.raises(Stale, match="has changed"):
        await bench.once.confirm_owner(JOB, planned)
    bench.fake.put(JOB_PATH, job(uid="another"))
    with pytest.raises(Stale, match="gone"):
        await bench.once.confirm_owner(JOB, planned)
    del bench.fake.objects[JOB_PATH]
    with pytest.raises(Stale, match="gone"):
        await bench.once.confirm_owner(JOB, planned)


async def test_a_going_owner_gets_nothing_new(bench: Bench) -> None:
    planned = bench.owner()
    bench.fake.objects[JOB_PATH]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    with pytest.raises(Stale):
        await bench.once.confirm_owner(JOB, planned)


async def test_a_delete_names_the_uid_and_spares_a_successor(bench: Bench) -> None:
    bench.fake.put(GANG_PATH, gang() | {"metadata": gang()["metadata"] | {"uid": "old"}})
    await bench.once.delete(Delete(GANG_REF, "another"))
    assert bench.fake.writes == []
    await bench.once.delete(Delete(GANG_REF, "old"))
    request = bench.fake.requests[-1]
    assert request.body["preconditions"] == {"uid": "old"}
    assert request.body["propagationPolicy"] == "Background"
    assert GANG_PATH not in bench.fake.objects


async def test_a_delete_that_comes_too_late_is_done(bench: Bench) -> None:
    bench.fake.put(GANG_PATH, gang() | {"metadata": gang()["metadata"] | {"uid": "old"}})
    bench.fake.fail("DELETE", 404)
    await bench.once.delete(Delete(GANG_REF, "old"))


async def test_a_delete_that_conflicts_is_looked_at_again(bench: Bench) -> None:
    """Taken for done, it left a gang that should go, and nothing ever came back to it."""
    bench.fake.put(GANG_PATH, gang() | {"metadata": gang()["metadata"] | {"uid": "old"}})
    bench.fake.fail("DELETE", 409)
    with pytest.raises(ApiError, match="409"):
        await bench.once.delete(Delete(GANG_REF, "old"))


async def test_what_is_gone_or_going_is_not_deleted(bench: Bench) -> None:
    await bench.once.delete(Delete(GANG_REF, "old"))
    going = gang()["metadata"] | {"uid": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    bench.fake.put(GANG_PATH, gang() | {"metadata": going})
    await bench.once.delete(Delete(GANG_REF, "old"))
    assert bench.fake.writes == []


async def test_a_delete_of_one_state_carries_its_version(bench: Bench) -> None:
    """Not the version that the live read found: whoever changed the object since has a reason to keep it."""
    await bench.once.delete(Delete(ref(TRAINING_JOB, "ns", "job"), "job-uid", version="1"))
    assert bench.fake.requests[-1].body["preconditions"] == {"uid": "job-uid", "resourceVersion": "1"}


# ---------------------------------------------------------------------------- status, then events

MADE = Event("Normal", "Made", "all is made")


async def write(bench: Bench, status: dict[str, object], *events: Event) -> bool:
    return await bench.status.write(JOB, bench.owner(), Plan(status=status, events=events), bench.memory)


async def test_one_status_write_then_the_events(bench: Bench) -> None:
    version = bench.owner().resource_version
    assert await write(bench, {"attempt": 1, "gone": None}, MADE, MADE)
    assert bench.fake.writes == [f"PATCH {JOB_PATH}/status", "POST /apis/events.k8s.io/v1/namespaces/ns/events"]
    request = bench.fake.requests[0]
    assert request.query["fieldManager"] == "slipway-status"
    assert request.body["metadata"] == {"name": "job", "namespace": "ns", "uid": "job-uid", "resourceVersion": version}
    assert request.body["status"] == {"attempt": 1}
    event = bench.fake.requests[1].body
    assert (event["regarding"]["uid"], event["reason"], event["note"]) == ("job-uid", "Made", "all is made")


async def test_the_same_status_is_not_written_and_tells_no_event(bench: Bench) -> None:
    await write(bench, {"attempt": 1})
    bench.fake.clear()
    assert not await write(bench, {"attempt": 1}, MADE)
    assert bench.fake.requests == []


async def test_a_field_that_somebody_else_wrote_is_written_over(bench: Bench) -> None:
    await write(bench, {"attempt": 1})
    stored = bench.fake.objects[JOB_PATH]
    stored["status"] = {"attempt": 1, "defaulted": 0}
    assert await write(bench, {"attempt": 1}), "not what the API server answered: somebody else wrote it"


async def test_a_status_stored_with_defaults_is_recognised(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def with_default(path: str, body: dict[str, object], put: object = bench.fake.put) -> object:
        body["status"] = {**body.get("status", {}), "defaulted": 0}  # type: ignore[dict-item]
        return put(path, body)  # type: ignore[operator]

    monkeypatch.setattr(bench.fake, "put", with_default)
    assert await write(bench, {"attempt": 1})
    assert bench.owner().status == {"attempt": 1, "defaulted": 0}
    assert not await write(bench, {"attempt": 1})


async def test_a_status_from_an_older_state_is_a_conflict_and_tells_nothing(bench: Bench) -> None:
    old = bench.owner()
    bench.fake.put(JOB_PATH, job(status={"attempt": 2}))
    bench.fake.clear()
    with pytest.raises(ApiError) as caught:
        await bench.status.write(JOB, old, Plan(status={"attempt": 1}, events=(MADE,)), bench.memory)
    assert caught.value.status == 409
    assert not caught.value.refused
    assert bench.fake.objects[JOB_PATH]["status"] == {"attempt": 2}
    assert bench.fake.writes == [f"PATCH {JOB_PATH}/status"]


async def test_the_same_event_is_counted_in_its_series(bench: Bench) -> None:
    for _ in range(3):
        await bench.events.record(JOB, bench.owner(), MADE)
    methods = [r.method for r in bench.fake.requests]
    assert methods == ["POST", "PATCH", "PATCH"]
    assert bench.fake.requests[-1].body["series"]["count"] == 3
    bench.wall += SERIES_SECONDS + 1
    await bench.events.record(JOB, bench.owner(), MADE)
    await bench.events.record(JOB, bench.owner(), Event("Normal", "Made", "something else"))
    assert [r.method for r in bench.fake.requests][3:] == ["POST", "POST"]


async def test_an_event_that_is_refused_is_dropped(bench: Bench) -> None:
    bench.fake.fail("POST .*events", 403)
    await bench.events.record(JOB, bench.owner(), MADE)
    await bench.events.record(JOB, bench.owner(), MADE)
    assert [r.method for r in bench.fake.requests] == ["POST", "POST"], "not counted in a series that is not there"


async def test_a_long_message_is_cut_to_what_an_event_holds(bench: Bench) -> None:
    await bench.events.record(JOB, bench.owner(), Event("Warning", "Long", "x" + "é" * 5000))
    assert bench.fake.requests[-1].body["note"] == "x" + "é" * 511, "the API server counts bytes: 1,024 of them"


@pytest.mark.parametrize(("message", "level"), [("it is being terminated", logging.DEBUG), ("no", logging.WARNING)])
async def test_a_namespace_that_goes_is_no_news(
    bench: Bench, caplog: pytest.LogCaptureFixture, message: str, level: int
) -> None:
    caplog.set_level(logging.DEBUG, "slipway")
    bench.fake.fail("POST .*events", 403, message=message)
    await bench.events.record(JOB, bench.owner(), MADE)
    assert [record.levelno for record in caplog.records if "could not be recorded" in record.message] == [level]
