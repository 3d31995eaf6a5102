"""What holds in every situation, tried over random ones: rest is rest, and mistakes take nothing down."""

import copy
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from slipway.api.inferenceservice import InferenceServiceStatus
from slipway.plan.observed import Obj, Pod, Ref
from slipway.plan.outcome import Plan

from .world import (
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
    served,
    settle,
    spec,
    world,
)

CURRENT = "current"  # stands for the revision that a world's spec renders
MODES = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
STATUSES = st.sampled_from(["True", "False", "Unknown"])
REFS = st.sampled_from([DEPLOYMENT, SERVICE, SCALED_OBJECT])

sources = st.sampled_from([{"uri": "pvc://models/llama"}, {"from": {"trainingJob": "stdlib"}}])
sound_specs = st.fixed_dictionaries(
    {"model": sources},
    optional={
        "replicas": st.integers(0, 3),
        "scaling": st.sampled_from([None, SCALING]),
        "accelerator": st.sampled_from(["cpu", "nvidia"]),
        "engineArgs": st.sampled_from([[], ["--enforce-eager"]]),
        "podTemplate": st.just({"spec": {"nodeSelector": {"a": "b"}}}),
    },
)
mistakes: st.SearchStrategy[Obj] = st.sampled_from(
    [
        {"model": {"uri": "pvc://models/.."}},
        {"model": {}},
        {"replicas": -1},
        {"engineArgs": ["--port=1"]},
        {"podTemplate": {"spec": {"hostNetwork": True}}},
    ]
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
        st.sampled_from([CURRENT, CURRENT, "older", ""]),
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
        lambda ref, kinds: child(ref, status={"conditions": [condition(*kind) for kind in kinds]}),
        REFS,
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
lacking: st.SearchStrategy[dict[Ref, Any]] = st.fixed_dictionaries(
    {JOB: jobs, CLAIM: claims, JOB_CLAIM: claims}, optional={DEPLOYMENT: st.just({})}
)
present = st.sampled_from(MODES[:3]).map(lambda mode: {CLAIM: claim(mode), JOB_CLAIM: claim(mode)})
statuses: st.SearchStrategy[Obj] = st.sampled_from(
    [
        {},
        {"answeredRevision": CURRENT},
        {"answeredRevision": "older", "conditions": []},
        served(),
        served(trainingJobUid="another", path="another/model"),
        {"answeredRevision": CURRENT, "model": {"claim": "models", "path": "llama", "accessModes": ["ReadWriteOnce"]}},
    ]
)


@st.composite
def sound_worlds(draw: st.DrawFn) -> World:
    """Worlds in which the service is accepted and has its model; what its pods do is another matter."""
    body, objects, seen = draw(sound_specs), draw(present), draw(pods)
    revision = revision_of(settle(body, objects=objects))
    status = {key: revision if value == CURRENT else value for key, value in draw(statuses).items()}
    return world(
        body,
        objects=objects,
        pods=tuple(_labelled(entry, revision) for entry in seen),
        children=draw(children),
        refused=draw(st.dictionaries(REFS, st.sampled_from(["denied", "404 page not found"]), max_size=1)),
        status=status,
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Any world: half of them sound, the others with a mistake of the user's or something that is not there."""
    seen = draw(sound_worlds())
    wrong = draw(st.sampled_from(["nothing", "spec", "objects", "verdict", "owner", "sound"]))
    if wrong == "spec":
        body = {**seen.observed.owner.spec, **draw(mistakes)}
        return replace(seen, observed=replace(seen.observed, owner=replace(seen.observed.owner, spec=body)))
    if wrong == "objects":
        return replace(seen, objects=draw(lacking))
    if wrong == "owner":
        foreign = tuple(replace(entry, owner_uid="another") for entry in seen.observed.children)
        return replace(seen, observed=replace(seen.observed, children=foreign))
    return replace(seen, complaint="spec is wrong" if wrong == "verdict" else "")


def _labelled(seen: Pod, revision: str) -> Pod:
    """A pod whose label CURRENT stands for the revision that the world's spec renders."""
    current = seen.labels.get("slipway.dev/revision") == CURRENT
    return replace(seen, labels={**seen.labels, "slipway.dev/revision": revision}) if current else seen


def fed_back(before: World, outcome: Plan, **fields: Any) -> World:
    owner = replace(before.observed.owner, status=outcome.status)
    return replace(before, observed=replace(before.observed, owner=owner), **fields)


@given(worlds())
def test_a_status_fed_back_comes_out_the_same_at_any_time(seen: World) -> None:
    outcome = seen.settle()
    again = fed_back(seen, outcome, now=NOW + 86_400).settle()
    assert again.status == outcome.status
    assert again.events == ()
    assert (again.look_again, again.requeue_after) == (outcome.look_again, outcome.requeue_after)


@given(worlds())
def test_what_is_applied_does_not_depend_on_when_and_settles(seen: World) -> None:
    first = fed_back(seen, seen.settle())
    assert first.settle().apply == replace(first, now=NOW + 5).settle().apply
    assert fed_back(first, first.settle()).settle().apply == first.settle().apply


@given(worlds())
def test_a_service_that_is_not_accepted_touches_no_child(seen: World) -> None:
    outcome = seen.settle()
    if said(outcome, "Accepted")[0] == "False":
        assert (outcome.apply, outcome.create, outcome.delete) == ((), (), ())


@given(worlds())
def test_without_a_model_nothing_is_applied(seen: World) -> None:
    outcome = seen.settle()
    if said(outcome, "ModelReady")[0] == "True":
        assert outcome.apply
    if "model" not in seen.observed.owner.status and said(outcome, "ModelReady")[0] != "True":
        assert not outcome.apply


@given(worlds())
def test_what_is_served_is_never_forgotten(seen: World) -> None:
    outcome = seen.settle()
    rendered = bool(outcome.apply) and DEPLOYMENT not in seen.observed.refused
    assert ("model" in outcome.status) == ("model" in seen.observed.owner.status or rendered)


@given(worlds())
def test_only_own_children_are_applied_or_deleted(seen: World) -> None:
    outcome = seen.settle()
    foreign = {entry.ref.kind for entry in seen.observed.children if entry.owner_uid != "uid-of-chat"}
    assert not foreign & {entry["kind"] for entry in outcome.apply}
    assert not foreign & {entry.ref.kind for entry in outcome.delete}


@given(sound_worlds())
def test_ready_is_true_exactly_when_the_newest_revision_alone_answers_or_is_at_zero_and_did(seen: World) -> None:
    outcome = seen.settle()
    revision = revision_of(outcome)
    live = [entry for entry in seen.observed.pods if not entry.deleting and entry.phase != "Failed"]
    alone = all(entry.labels.get("slipway.dev/revision") == revision for entry in live)
    answers = alone and any(entry.ready for entry in live)
    once_did = seen.observed.owner.status.get("answeredRevision") == revision
    at_zero = alone and seen.observed.owner.spec.get("replicas") == 0 and once_did
    assert (said(outcome, "Ready")[0] == "True") == (answers or at_zero)
    if answers:
        assert outcome.status["answeredRevision"] == revision


@given(worlds())
def test_status_is_what_the_api_declares(seen: World) -> None:
    status = seen.settle().status
    assert InferenceServiceStatus.model_validate(status).model_dump(by_alias=True, exclude_none=True) == status


@given(worlds())
def test_inputs_are_left_as_they_were(seen: World) -> None:
    before = copy.deepcopy(seen)
    seen.settle()
    assert seen == before


@given(st.permutations(["chat-1", "chat-2", "chat-3"]))
def test_the_order_of_the_watch_does_not_matter(names: list[str]) -> None:
    crashed = container(state="terminated", exit_code=1)
    seen = tuple(pod(name, "older", crashed) for name in names)
    status: Obj = settle(spec(), pods=seen).status
    assert status == settle(spec(), pods=tuple(sorted(seen, key=lambda entry: entry.name))).status
