"""The index: late, repeated, reordered and lost events must not make it believe something older than it knows."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipway.kube.kinds import (
    ACCELERATOR,
    CLAIM,
    DEPLOYMENT,
    INFERENCE_SERVICE,
    POD,
    PYTORCH_JOB,
    SERVICE,
    TRAINING_JOB,
    ref,
)
from slipway.plan.capacity.devices import BUILT_IN
from slipway.plan.labels import INFERENCE_SERVICE as SERVICE_LABEL
from slipway.reconcile import index as index_module
from slipway.reconcile.index import Index
from slipway.reconcile.keys import Key
from slipway.reconcile.versions import Stamp

from .build import JOB, SERVE, body, child_labels, job

Obj = dict[str, object]


def serve(version: int, source: str | None = "job", name: str = "serve") -> Obj:
    spec = {"model": {"from": {"trainingJob": source}}} if source else {"model": {"uri": "pvc://claim/model"}}
    return body(INFERENCE_SERVICE, name, uid=f"{name}-uid", version=version, spec=spec)


def pod(version: int, phase: str = "Running", *, uid: str = "pod-uid", owner: str = "job") -> Obj:
    return body(POD, "pod", uid=uid, version=version, labels=child_labels(owner), status={"phase": phase})


def phase(index: Index) -> str | None:
    found = index.pod("ns", "pod")
    return found.phase if found else None


def test_an_owner_is_kept_with_spec_and_status() -> None:
    index = Index()
    assert index.record(TRAINING_JOB, "ADDED", job(spec={"nodes": 2}, status={"attempt": 1})) == {JOB}
    owner = index.owner(JOB)
    assert owner is not None
    assert (owner.uid, owner.spec, owner.status) == ("job-uid", {"nodes": 2}, {"attempt": 1})
    assert index.keys() == [JOB]


def test_children_are_found_by_owner_and_by_name() -> None:
    index = Index()
    assert index.record(POD, "ADDED", pod(1)) == {JOB}
    assert index.record(PYTORCH_JOB, "ADDED", body(PYTORCH_JOB, "job-0", uid="g", labels=child_labels())) == {JOB}
    assert [p.name for p in index.pods(JOB)] == ["pod"]
    assert [c.ref.name for c in index.children(JOB)] == ["job-0"]
    assert index.child(ref(PYTORCH_JOB, "ns", "job-0")) is not None
    assert index.pods(Key("TrainingJob", "other", "job")) == ()


def test_a_child_of_nobody_concerns_nobody() -> None:
    index = Index()
    assert index.record(SERVICE, "ADDED", body(SERVICE, "stray")) == set()
    assert index.child(ref(SERVICE, "ns", "stray")) is not None


def test_duplicates_and_older_events_say_nothing() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(10, "Pending"))
    assert index.record(POD, "MODIFIED", pod(12, "Running")) == {JOB}
    assert index.record(POD, "MODIFIED", pod(12, "Running")) == set()
    assert index.record(POD, "MODIFIED", pod(11, "Pending")) == set()
    assert phase(index) == "Running"


def test_versions_are_compared_as_numbers() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(9, "Pending"))
    index.record(POD, "MODIFIED", pod(10, "Running"))
    assert phase(index) == "Running"


def test_versions_that_are_no_numbers_are_taken_as_they_come() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(1) | {"metadata": {**pod(1)["metadata"], "resourceVersion": "b"}})  # type: ignore[dict-item]
    changed = pod(1, "Failed")
    changed["metadata"] |= {"resourceVersion": "a"}  # type: ignore[operator]
    assert index.record(POD, "MODIFIED", changed) == {JOB}
    assert phase(index) == "Failed"


def test_a_pod_event_that_changes_nothing_we_keep_visits_nobody() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(1))
    assert index.record(POD, "MODIFIED", pod(2)) == set()
    assert index.record(POD, "MODIFIED", pod(3, "Failed")) == {JOB}


def test_the_dead_stay_dead() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(10))
    assert index.record(POD, "DELETED", pod(12)) == {JOB}
    assert index.record(POD, "MODIFIED", pod(11)) == set()
    assert phase(index) is None
    assert index.gone(Stamp("pod-uid", "11"))
    assert index.record(POD, "DELETED", pod(12)) == set()


def test_a_relabelled_object_may_come_back() -> None:
    """To a watch with a selector, losing the label looks like deletion."""
    index = Index()
    index.record(POD, "ADDED", pod(10))
    index.record(POD, "DELETED", pod(12))
    assert not index.gone(Stamp("pod-uid", "15")), "what an apply has just given its label back, before the watch tells"
    assert index.record(POD, "ADDED", pod(15)) == {JOB}
    assert not index.gone(Stamp("pod-uid", "15"))
    assert index.record(POD, "DELETED", pod(12)) == set(), "an old end, told again"
    assert phase(index) == "Running"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_successor_of_the_same_name_survives_any_order(order: tuple[int, ...]) -> None:
    """kopf works on different uids at once: the end of the old pod may be told after the birth of the new one."""
    events = [
        ("MODIFIED", pod(10, "Failed", uid="old")),
        ("DELETED", pod(20, "Failed", uid="old")),
        ("ADDED", pod(30, "Pending", uid="new")),
    ]
    index = Index()
    for number in order:
        index.record(POD, events[number][0], events[number][1])
    found = index.pod("ns", "pod")
    assert found is not None
    assert (found.uid, found.phase) == ("new", "Pending")


def test_a_complete_listing_buries_what_it_does_not_name() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(10))
    index.record(SERVICE, "ADDED", body(SERVICE, "job", uid="s", labels=child_labels()))
    index.record(POD, "ADDED", body(POD, "else", uid="e", namespace="other", labels=child_labels()))
    assert index.listed(POD, "ns", {"some-other"}, "50") == {JOB}
    assert phase(index) is None
    assert index.child(ref(SERVICE, "ns", "job")) is not None, "another kind"
    assert index.pod("other", "else") is not None, "another namespace"
    assert index.record(POD, "MODIFIED", pod(49)) == set(), "what was under way when it was listed is old"


def test_a_listing_that_names_everything_changes_nothing() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(10))
    assert index.listed(POD, None, {"pod-uid"}, "50") == set()
    assert phase(index) == "Running"


def test_a_jobs_claim_concerns_those_who_serve_from_it_even_after_the_job() -> None:
    index = Index()
    index.record(TRAINING_JOB, "ADDED", job(1))
    index.record(INFERENCE_SERVICE, "ADDED", serve(2))
    claim = body(CLAIM, "job-output", uid="c", version=3, labels=child_labels())
    assert index.record(CLAIM, "ADDED", claim) == {JOB, SERVE}
    index.record(TRAINING_JOB, "DELETED", job(4))
    going = {"deletionTimestamp": "2027-01-15T08:00:00Z"}
    ending = body(CLAIM, "job-output", uid="c", version=5, labels=child_labels(), metadata=going)
    assert index.record(CLAIM, "MODIFIED", ending) == {JOB, SERVE}
    assert index.record(CLAIM, "DELETED", ending) == {JOB, SERVE}
    assert index.record(POD, "ADDED", pod(6)) == {JOB}, "a job's pods are no concern of its servers"


def test_a_deleted_owner_concerns_itself_and_its_servers() -> None:
    index = Index()
    index.record(TRAINING_JOB, "ADDED", job(1))
    index.record(INFERENCE_SERVICE, "ADDED", serve(2))
    assert index.record(TRAINING_JOB, "DELETED", job(3)) == {JOB, SERVE}
    assert index.owner(JOB) is None


def test_a_job_visits_the_services_that_serve_it_in_its_namespace() -> None:
    index = Index()
    index.record(INFERENCE_SERVICE, "ADDED", serve(1))
    index.record(INFERENCE_SERVICE, "ADDED", serve(1, "another", name="two"))
    elsewhere = serve(1)
    elsewhere["metadata"] |= {"namespace": "elsewhere", "uid": "x"}  # type: ignore[operator]
    index.record(INFERENCE_SERVICE, "ADDED", elsewhere)
    assert index.record(TRAINING_JOB, "ADDED", job(5)) == {JOB, SERVE}
    index.record(INFERENCE_SERVICE, "MODIFIED", serve(6, source=None))
    assert index.record(TRAINING_JOB, "MODIFIED", job(7)) == {JOB}
    index.record(INFERENCE_SERVICE, "MODIFIED", serve(8))
    index.record(INFERENCE_SERVICE, "DELETED", serve(9))
    assert index.record(TRAINING_JOB, "MODIFIED", job(10)) == {JOB}


@pytest.mark.parametrize(
    "spec", [{}, {"model": "text"}, {"model": {"from": []}}, {"model": {"from": {"trainingJob": 3}}}]
)
def test_a_malformed_source_stops_no_watch(spec: Obj) -> None:
    index = Index()
    assert index.record(INFERENCE_SERVICE, "ADDED", body(INFERENCE_SERVICE, "serve", spec=spec)) == {SERVE}


def test_a_child_that_changes_hands_concerns_both() -> None:
    index = Index()
    index.record(POD, "ADDED", pod(1))
    assert index.record(POD, "MODIFIED", pod(2, owner="new")) == {JOB, Key("TrainingJob", "ns", "new")}
    assert index.pods(JOB) == ()
    orphan = pod(3)
    del orphan["metadata"]["labels"]  # type: ignore[attr-defined]
    assert index.record(POD, "MODIFIED", orphan) == {Key("TrainingJob", "ns", "new")}
    assert index.pods(Key("TrainingJob", "ns", "new")) == ()


def test_inference_children_belong_to_their_service() -> None:
    index = Index()
    labels = {SERVICE_LABEL: "serve"}
    assert index.record(DEPLOYMENT, "ADDED", body(DEPLOYMENT, "serve", labels=labels)) == {SERVE}


def test_tombstones_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_module, "TOMBSTONES", 3)
    index = Index()
    for number in range(5):
        index.record(POD, "DELETED", pod(number, uid=f"uid-{number}"))
    assert [index.gone(Stamp(f"uid-{n}", "0")) for n in range(5)] == [False, False, True, True, True]


def test_a_status_change_of_a_child_leaves_its_content_digest_alone() -> None:
    index = Index()
    place = ref(SERVICE, "ns", "job")
    index.record(SERVICE, "ADDED", body(SERVICE, "job", version=1, labels=child_labels(), spec={"port": 1}))
    first = index.stamp(place)
    index.record(
        SERVICE, "MODIFIED", body(SERVICE, "job", version=2, labels=child_labels(), spec={"port": 1}, status={"a": 1})
    )
    second = index.stamp(place)
    index.record(SERVICE, "MODIFIED", body(SERVICE, "job", version=3, labels=child_labels(), spec={"port": 2}))
    third = index.stamp(place)
    assert first is not None
    assert second is not None
    assert third is not None
    assert first.digest == second.digest != third.digest


HISTORY = st.lists(st.tuples(st.sampled_from(["Pending", "Running", "Failed"]), st.booleans()), min_size=1, max_size=8)


@given(history=HISTORY, data=st.data())
def test_any_order_and_any_repetition_ends_in_the_last_state(
    history: list[tuple[str, bool]], data: st.DataObject
) -> None:
    """Each step changes the pod, or (True) replaces it by a successor; events come shuffled, some of them twice."""
    events, uid, version = [], 0, 10
    for phase_, replaced in history:
        if replaced and version > 10:
            version += 1
            events.append(("DELETED", pod(version, uid=f"uid-{uid}")))
            uid += 1
        version += 1
        events.append(("MODIFIED", pod(version, phase_, uid=f"uid-{uid}")))
    shuffled = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=4))))
    index = Index()
    for kind, event in shuffled:
        index.record(POD, kind, event)
    found = index.pod("ns", "pod")
    assert found is not None
    assert (found.uid, found.phase) == (f"uid-{uid}", history[-1][0])
    assert [p.uid for p in index.pods(JOB)] == [f"uid-{uid}"]


def accelerator(version: int, gib: str = "80", **more: Any) -> Obj:
    rates = {"memoryGigabytesPerSecond": 2000, "linkGigabytesPerSecond": 64, "hostGigabytesPerSecond": 32}
    spec = {"memoryGib": gib, **rates, "teraflops": {"fp16": 300}, "nodeLabels": {"gpu": "mine"}}
    made = body(ACCELERATOR, "mine", uid="mine-uid", version=version, spec=spec, **more)
    del made["metadata"]["namespace"]
    return made


def test_a_class_of_gpus_concerns_everybody_and_says_what_it_said_last() -> None:
    index = Index()
    assert index.record(ACCELERATOR, None, accelerator(1)) == set(), "there is nobody yet"
    index.record(TRAINING_JOB, "ADDED", job(2))
    index.record(INFERENCE_SERVICE, "ADDED", serve(3))
    assert index.accelerators().classes["mine"].memory_bytes == 80 << 30
    assert index.record(ACCELERATOR, "MODIFIED", accelerator(5, "96")) == {JOB, SERVE}
    assert index.record(ACCELERATOR, "MODIFIED", accelerator(4, "40")) == set(), "older"
    assert index.accelerators().classes["mine"].memory_bytes == 96 << 30
    relabelled = accelerator(6, "96", metadata={"labels": {"a": "b"}})
    assert index.record(ACCELERATOR, "MODIFIED", relabelled) == set(), "nothing that is counted with"


def test_a_class_that_is_gone_is_no_class() -> None:
    index = Index()
    index.record(TRAINING_JOB, "ADDED", job(2))
    index.record(ACCELERATOR, "ADDED", accelerator(3))
    assert "mine" in index.accelerators().classes
    assert index.record(ACCELERATOR, "DELETED", accelerator(4)) == {JOB}
    assert index.accelerators() == BUILT_IN
    index.record(ACCELERATOR, "ADDED", accelerator(5, metadata={"uid": "2"}))
    assert index.listed(ACCELERATOR, None, set(), "9") == {JOB}
    assert index.accelerators() == BUILT_IN


@pytest.mark.parametrize("spec", [None, "text", {}, {"memoryGib": 1}, {"memoryGib": "9" * 200_000}])
def test_a_malformed_class_stops_no_watch(spec: Any) -> None:
    index = Index()
    index.record(ACCELERATOR, "ADDED", {**accelerator(1), "spec": spec})
    assert list(index.accelerators().unreadable) == ["mine"]
