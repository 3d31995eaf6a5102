"""What holds in every situation, tried over random ones: rest is rest, and mistakes take nothing down."""

import copy
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from inference_world import (
    CLAIM,
    DEPLOYMENT,
    JOB,
    JOB_CLAIM,
    NOW,
    SCALED_OBJECT,
    SCALING,
    SERVICE,
    World,
    child,
    claim,
    condition,
    container,
    job,
    pod,
    revision_of,
    said,
    settle,
    spec,
    world,
)

from slipway.api.inferenceservice import InferenceServiceStatus
from slipway.plan.observed import Obj
from slipway.plan.outcome import Plan

UNHURRIED = settings(deadline=None)  # a busy machine is no failure

REVISION = revision_of(settle(spec()))
MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
STATUSES = st.sampled_from(["True", "False", "Unknown"])
REFS = st.sampled_from([DEPLOYMENT, SERVICE, SCALED_OBJECT])

specs = st.fixed_dictionaries(
    {
        "model": st.sampled_from(
            [{"uri": "pvc://models/llama"}, {"from": {"trainingJob": "stdlib"}}, {"uri": "pvc://models/.."}, {}]
        )
    },
    optional={
        "replicas": st.integers(-1, 3),
        "scaling": st.sampled_from([None, SCALING]),
        "accelerator": st.sampled_from(["cpu", "nvidia"]),
        "engineArgs": st.sampled_from([[], ["--enforce-eager"], ["--port=1"]]),
        "podTemplate": st.sampled_from([{"spec": {"nodeSelector": {"a": "b"}}}, {"spec": {"hostNetwork": True}}]),
    },
)
containers = st.lists(
    st.builds(
        container,
        st.sampled_from(["main", "model-check", "slipway-engine"]),
        state=st.sampled_from(["waiting", "running", "terminated"]),
        reason=st.sampled_from(["", "ImagePullBackOff", "CrashLoopBackOff", "Error"]),
        message=st.text(max_size=20),
        exit_code=st.sampled_from([None, 0, 1]),
        last_exit_code=st.sampled_from([None, 0, 137]),
        restarts=st.integers(0, 9),
    ),
    max_size=3,
)
pods = st.lists(
    st.builds(
        lambda name, revision, inside, **fields: pod(name, revision, *inside, **fields),
        st.sampled_from(["chat-1", "chat-2", "chat-3"]),
        st.sampled_from([REVISION, "older", ""]),
        containers,
        ready=st.booleans(),
        deleting=st.booleans(),
        phase=st.sampled_from(["Pending", "Running", "Failed"]),
        scheduled=st.booleans(),
        unschedulable_message=st.sampled_from(["", "0/1 nodes are available"]),
    ),
    max_size=3,
    unique_by=lambda entry: entry.name,
).map(tuple)
children = st.lists(
    st.builds(
        lambda ref, uid, kinds: child(ref, uid=uid, status={"conditions": [condition(*kind) for kind in kinds]}),
        REFS,
        st.sampled_from(["uid-of-chat", "uid-of-chat", "another"]),
        st.lists(
            st.tuples(st.sampled_from(["Ready", "Paused", "HPAActive", "ReplicaFailure", "Progressing"]), STATUSES)
        ),
    ),
    max_size=3,
    unique_by=lambda entry: entry.ref,
).map(tuple)
jobs = st.sampled_from(
    [
        None,
        job(),
        job(condition("Failed", "True")),
        job(condition("Complete", "True")),
        job(condition("Complete", "True"), output={"claim": "stdlib-output", "path": "u/model"}),
    ]
)
claims = st.one_of(st.none(), st.sampled_from(MODES).map(claim))
objects = st.fixed_dictionaries({JOB: jobs, CLAIM: claims, JOB_CLAIM: claims}, optional={DEPLOYMENT: st.just({})})
statuses = st.sampled_from([{}, {"answeredRevision": REVISION}, {"answeredRevision": "older", "conditions": []}])


@st.composite
def worlds(draw: st.DrawFn) -> World:
    return world(
        draw(specs),
        pods=draw(pods),
        children=draw(children),
        refused=draw(st.dictionaries(REFS, st.sampled_from(["denied", "404 page not found"]), max_size=2)),
        status=draw(statuses),
        objects=draw(objects),
        complaint=draw(st.sampled_from(["", "", "", "spec is wrong"])),
    )


def fed_back(before: World, outcome: Plan, **fields: Any) -> World:
    owner = replace(before.observed.owner, status=outcome.status)
    return replace(before, observed=replace(before.observed, owner=owner), **fields)


@UNHURRIED
@given(worlds())
def test_a_status_fed_back_comes_out_the_same_at_any_time(seen: World) -> None:
    outcome = seen.settle()
    again = fed_back(seen, outcome, now=NOW + 86_400).settle()
    assert again.status == outcome.status
    assert again.events == ()
    assert again.requeue_after == outcome.requeue_after


@UNHURRIED
@given(worlds())
def test_what_is_applied_does_not_depend_on_when_and_settles(seen: World) -> None:
    first = fed_back(seen, seen.settle())
    assert first.settle().apply == replace(first, now=NOW + 5).settle().apply
    assert fed_back(first, first.settle()).settle().apply == first.settle().apply


@UNHURRIED
@given(worlds())
def test_a_service_that_is_not_accepted_touches_no_child(seen: World) -> None:
    outcome = seen.settle()
    if said(outcome, "Accepted")[0] == "False":
        assert (outcome.apply, outcome.create, outcome.delete) == ((), (), ())


@UNHURRIED
@given(worlds())
def test_without_a_model_nothing_is_applied(seen: World) -> None:
    outcome = seen.settle()
    assert (said(outcome, "ModelReady")[0] == "True") == bool(outcome.apply)


@UNHURRIED
@given(worlds())
def test_only_own_children_are_applied_or_deleted(seen: World) -> None:
    outcome = seen.settle()
    foreign = {entry.ref.kind for entry in seen.observed.children if entry.owner_uid != "uid-of-chat"}
    assert not foreign & {entry["kind"] for entry in outcome.apply}
    assert not foreign & {entry.ref.kind for entry in outcome.delete}


@UNHURRIED
@given(worlds())
def test_ready_is_true_only_when_the_newest_revision_answers_or_is_at_zero_and_did(seen: World) -> None:
    outcome = seen.settle()
    status, reason, _ = said(outcome, "Ready")
    live = [entry for entry in seen.observed.pods if not entry.deleting and entry.phase != "Failed"]
    revisions = {entry.labels.get("slipway.dev/revision") for entry in live}
    if status == "True" and reason == "Serving":
        assert revisions == {revision_of(outcome)}
        assert any(entry.ready for entry in live)
        assert outcome.status["answeredRevision"] == revision_of(outcome)
    elif status == "True":
        assert (reason, live) == ("ScaledToZero", [])
        assert outcome.status["answeredRevision"] == revision_of(outcome)


@UNHURRIED
@given(worlds())
def test_status_is_what_the_api_declares(seen: World) -> None:
    status = seen.settle().status
    assert InferenceServiceStatus.model_validate(status).model_dump(by_alias=True, exclude_none=True) == status


@UNHURRIED
@given(worlds())
def test_inputs_are_left_as_they_were(seen: World) -> None:
    before = copy.deepcopy(seen)
    seen.settle()
    assert seen == before


@UNHURRIED
@given(st.permutations(["chat-1", "chat-2", "chat-3"]))
def test_the_order_of_the_watch_does_not_matter(names: list[str]) -> None:
    crashed = container(state="terminated", exit_code=1)
    seen = tuple(pod(name, REVISION, crashed) for name in names)
    status: Obj = settle(spec(), pods=seen).status
    assert status == settle(spec(), pods=tuple(sorted(seen, key=lambda entry: entry.name))).status
