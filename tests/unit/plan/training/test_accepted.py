"""Bad input: each complaint with its reason, its words and what the plan does meanwhile; and how it mends."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.kube.errors import from_answer
from slipway.plan.outcome import Event
from slipway.plan.training.pods import RESERVED

from .builders import (
    COMMAND,
    EARLIER_TEXT,
    GANG_PLURAL,
    JOB,
    NOTHING_THERE,
    NOW_TEXT,
    RECIPE,
    UID,
    apart,
    asked,
    claim,
    claim_child,
    claim_ref,
    conditions,
    fresh,
    gang,
    gang_pods,
    gang_ref,
    observed,
    owner,
    planned,
    running_status,
    told,
)


def nested(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = {"a": value}
    return value


WAITING = ("False", "NotAccepted", "see condition Accepted")
MINE = {**RECIPE, "output": {"claim": "mine"}}
DATA = {**RECIPE, "dataset": {"uri": "pvc://data/x"}}


def with_claims(spec: Any, **bodies: Any) -> Any:
    return fresh(spec, read=NOTHING_THERE | {claim_ref(name): body for name, body in bodies.items()})


def assert_refused(what: Any, reason: Any, message: Any, *, again: bool = True) -> Any:
    made = planned(what)
    assert told(made) == {
        "Accepted": ("False", reason, message),
        "Running": WAITING,
        "Complete": ("False", "InProgress", ""),
        "Failed": ("False", "InProgress", ""),
        "Ready": ("False", reason, message),
    }
    assert made.events == (Event("Warning", reason, message),)
    assert (made.create, made.delete, made.reads, made.templates) == ((), (), (), ())
    assert (made.look_again, made.requeue_after) == (again, None)
    return made


def assert_accepted(what: Any) -> Any:
    made = planned(what)
    assert told(made)["Accepted"] == ("True", "Accepted", "the spec can be carried out")
    assert len(made.create) == 1
    return made


@pytest.mark.parametrize("spec", [RECIPE, COMMAND, {**COMMAND, "nodes": 3}])
def test_what_is_fine_is_accepted(spec: Any) -> None:
    made = assert_accepted(fresh(spec))
    assert not made.look_again
    assert made.requeue_after is None
    assert made.events == (Event("Normal", "Accepted", "the spec can be carried out"),)


def test_a_spec_that_cannot_be_read_names_each_field() -> None:
    spec = {**RECIPE, "nodes": 0, "dataset": {"uri": "file:///x", "include": ["ok", ""]}, "zone": "x"}
    message = (
        "spec.nodes: Input should be greater than or equal to 1; "
        "spec.dataset.include[1]: String should have at least 1 character; "
        "spec.zone: Extra inputs are not permitted"
    )
    made = assert_refused(observed(owner(spec)), "InvalidSpec", message, again=False)
    assert made.apply == ()
    assert made.status["observedGeneration"] == 1


def test_a_spec_that_cannot_be_read_leaves_a_running_gang_alone() -> None:
    status = {
        "conditions": conditions(Accepted=("True", "Accepted", ""), Running=("True", "Running", "on 2 pods")),
        "attempt": 1,
        "startTime": EARLIER_TEXT,
        "observedGeneration": 1,
    }
    made = planned(observed(owner({"nodes": 0}, status, generation=2), children=(gang(1),), pods=gang_pods(1)))
    assert (made.apply, made.create, made.delete, made.requeue_after) == ((), (), (), None)
    assert made.status["attempt"] == 1
    assert made.status["startTime"] == EARLIER_TEXT
    assert made.status["observedGeneration"] == 2
    assert told(made)["Running"] == ("True", "Running", "on 2 pods")
    assert told(made)["Ready"][1] == "InvalidSpec"
    assert [(each["type"], each["lastTransitionTime"]) for each in made.status["conditions"]] == [
        ("Accepted", NOW_TEXT),
        ("Queued", NOW_TEXT),
        ("Running", EARLIER_TEXT),
        ("Restarting", NOW_TEXT),
        ("Complete", NOW_TEXT),
        ("Failed", NOW_TEXT),
        ("Ready", NOW_TEXT),
    ]
    assert [event.reason for event in made.events] == ["InvalidSpec"]


@pytest.mark.parametrize(("kind", "ready"), [("Complete", "True"), ("Failed", "False")])
def test_a_spec_that_cannot_be_read_undoes_no_end(kind: Any, ready: Any) -> None:
    status = {"conditions": conditions(**{kind: ("True", "Why", "m"), "Ready": (ready, "Why", "m")})}
    made = planned(observed(owner({"nodes": 0}, status)))
    assert told(made)[kind] == ("True", "Why", "m")
    assert told(made)["Ready"] == (ready, "Why", "m")


@pytest.mark.parametrize("spec", [{}, {**COMMAND, **RECIPE}])
def test_neither_or_both_programs(spec: Any) -> None:
    assert_refused(fresh(spec), "InvalidSpec", "spec: exactly one of recipe and command must be set", again=False)


@pytest.mark.parametrize("missing", ["dataset", "training"])
def test_a_recipe_without_its_data(missing: Any) -> None:
    spec = {name: value for name, value in RECIPE.items() if name != missing}
    assert_refused(fresh(spec), "InvalidSpec", "spec: recipe pretrain needs dataset and training", again=False)


def test_a_dataset_that_climbs_out_of_its_claim() -> None:
    message = "spec.dataset.uri: 'pvc://data/../x' leaves its claim: write the path without '..'"
    spec = {**RECIPE, "dataset": {"uri": "pvc://data/../x"}}
    made = assert_refused(observed(owner(spec)), "InvalidSpec", message, again=False)
    assert made.apply == ()


def test_what_must_be_read_before_anything_is_made() -> None:
    assert planned(observed()).reads == (gang_ref(), claim_ref())
    assert planned(observed(children=(claim_child(),))).reads == (gang_ref(),)
    assert planned(observed(owner(MINE))).reads == (gang_ref(), claim_ref("mine"))
    assert planned(observed(owner(DATA))).reads == (gang_ref(), claim_ref(), claim_ref("data"))
    both = {**DATA, "output": {"claim": "data"}}
    assert planned(observed(owner(both))).reads == (gang_ref(), claim_ref("data"))


def test_another_child_is_not_taken_for_the_claim() -> None:
    others = (gang(0, owner_uid="x"), claim_child(ref=claim_ref("other-output")))
    assert planned(observed(children=others)).reads == (gang_ref(), claim_ref())


def test_what_was_read_is_not_asked_again_and_nothing_else_happens_meanwhile() -> None:
    status = {"attempt": 0, "conditions": []}
    made = planned(observed(owner(DATA, status), read={gang_ref(): None, claim_ref(): None}))
    assert made.reads == (claim_ref("data"),)
    assert made.status == status
    assert (made.apply, made.create, made.delete, made.events, made.requeue_after) == ((), (), (), (), None)


def test_a_missing_dataset_claim() -> None:
    message = "spec.dataset.uri: the namespace has no PersistentVolumeClaim 'data': create it, or name another"
    made = assert_refused(with_claims(DATA, data=None), "ClaimNotFound", message)
    assert made.apply == ()


def test_a_dataset_claim_for_one_pod_only() -> None:
    message = (
        "spec.dataset.uri: PersistentVolumeClaim 'data' can be read by one pod only, and nodes is 2: "
        "use ReadWriteOnce, ReadOnlyMany or ReadWriteMany"
    )
    assert_refused(with_claims(DATA, data=claim("ReadWriteOncePod")), "ClaimNotShared", message)
    assert_accepted(with_claims({**DATA, "nodes": 1}, data=claim("ReadWriteOncePod")))


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany"])
def test_a_dataset_claim_for_all(mode: Any) -> None:
    assert_accepted(with_claims(DATA, data=claim(mode)))


def test_a_missing_output_claim() -> None:
    message = "spec.output.claim: the namespace has no PersistentVolumeClaim 'mine': create it, or name another"
    assert_refused(with_claims(MINE, mine=None), "ClaimNotFound", message)


def test_an_output_claim_that_is_going() -> None:
    message = "spec.output.claim: PersistentVolumeClaim 'mine' is being deleted: name another, or create it again"
    assert_refused(with_claims(MINE, mine=claim(deletionTimestamp=NOW_TEXT)), "ClaimTerminating", message)


def test_an_output_claim_that_cannot_be_written() -> None:
    message = (
        "spec.output.claim: PersistentVolumeClaim 'mine' is read-only: use one with ReadWriteOnce or ReadWriteMany"
    )
    assert_refused(with_claims(MINE, mine=claim("ReadOnlyMany")), "ClaimReadOnly", message)


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod", "ReadWriteMany"])
def test_an_output_claim_that_can_be_written(mode: Any) -> None:
    assert_accepted(with_claims(MINE, mine=claim(mode)))


@pytest.mark.parametrize(
    ("mode", "nodes", "refused"),
    [("ReadWriteOnce", 2, True), ("ReadWriteMany", 2, False), ("ReadWriteOnce", 1, False)],
)
def test_shards_need_an_output_that_every_pod_writes(mode: str, nodes: int, refused: bool) -> None:
    spec = {**MINE, "nodes": nodes, "strategy": "fsdp", "checkpoint": {"layout": "Sharded"}}
    if not refused:
        assert_accepted(with_claims(spec, mine=claim(mode)))
        return
    message = (
        "spec.output.claim: PersistentVolumeClaim 'mine' can be written by one pod only, and with checkpoint.layout "
        "Sharded all 2 write: use one with ReadWriteMany, or layout Full"
    )
    assert_refused(with_claims(spec, mine=claim(mode)), "ClaimNotShared", message)


OURS = {"app.kubernetes.io/managed-by": "slipway", "slipway.dev/training-job": JOB}


@pytest.mark.parametrize(
    "labels", [None, {}, OURS | {"slipway.dev/training-job": "x"}, OURS | {"app.kubernetes.io/managed-by": "x"}]
)
def test_a_claim_of_that_name_that_is_not_slipways(labels: Any) -> None:
    message = (
        "PersistentVolumeClaim 'demo-output' exists and is not Slipway's: name it as spec.output.claim, or delete it"
    )
    what = fresh(children=(), read=NOTHING_THERE | {claim_ref(): claim(labels=labels)})
    made = assert_refused(what, "ClaimConflict", message)
    assert made.apply == ()


def test_a_claim_kept_from_an_earlier_job_of_that_name_is_taken_up() -> None:
    made = assert_accepted(fresh(children=(), read=NOTHING_THERE | {claim_ref(): claim(labels=OURS)}))
    assert len(made.apply) == 1


@pytest.mark.parametrize("told", ["by the watch", "by a read"])
def test_a_claim_kept_from_an_earlier_job_does_not_go_with_this_one(told: str) -> None:
    """Taken up with an owner, it went with this job, and the earlier job's model with it."""
    message = (
        "spec.output.whenDeleted: PersistentVolumeClaim 'demo-output' was kept from an earlier job, whose output "
        "Delete would remove with this one: leave whenDeleted at Retain, rename the job, or delete the claim"
    )
    spec = {**RECIPE, "output": {"whenDeleted": "Delete"}}
    seen = (claim_child(),) if told == "by the watch" else ()
    what = fresh(spec, children=seen, read=NOTHING_THERE | {claim_ref(): claim(labels=OURS)})
    made = assert_refused(what, "ClaimKept", message)
    assert made.apply == ()


def test_a_claim_that_the_job_owns_goes_with_it() -> None:
    what = fresh({**RECIPE, "output": {"whenDeleted": "Delete"}}, children=(claim_child(owner_uid=UID),))
    (body,) = assert_accepted(what).apply
    assert body["metadata"]["ownerReferences"][0]["uid"] == UID


def test_a_claim_of_an_earlier_job_that_is_going() -> None:
    message = "PersistentVolumeClaim 'demo-output' of an earlier job is being deleted: the job starts when it is gone"
    made = assert_refused(fresh(children=(claim_child(deleting=True),)), "ClaimTerminating", message)
    assert made.apply == ()


def test_a_claim_of_slipways_that_a_user_names_is_the_users() -> None:
    spec = {**RECIPE, "output": {"claim": "demo-output"}}
    what = fresh(spec, children=(claim_child(deleting=True),), read=NOTHING_THERE | {claim_ref(): claim()})
    assert assert_accepted(what).apply == ()


def test_the_claim_comes_first() -> None:
    made = planned(fresh(children=()))
    assert [body["metadata"]["name"] for body in made.apply] == ["demo-output"]
    assert made.create == ()
    assert told(made)["Accepted"][0] == "True"
    assert told(made)["Running"] == ("False", "WaitingForClaim", "PersistentVolumeClaim demo-output is being made")
    assert [event.reason for event in made.events] == ["Accepted"]
    assert not made.look_again
    assert made.requeue_after is None


def test_a_claim_that_the_api_server_refuses() -> None:
    message = "the API server refuses PersistentVolumeClaim 'demo-output': exceeded quota"
    what = fresh(children=(), refused={claim_ref(): "exceeded quota"})
    made = assert_refused(what, "ClaimRefused", message)
    assert len(made.apply) == 1


@pytest.mark.parametrize(
    "answer",
    [
        "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support it",
        'PersistentVolumeClaim "demo-output" is invalid: spec: Forbidden: spec is immutable after creation except '
        "resources.requests and volumeAttributesClassName for bound claims\n  core.PersistentVolumeClaimSpec{...",
        "spec.resources.requests.storage: Forbidden: field can not be less than status.capacity",
    ],
)
def test_a_kept_claim_that_cannot_become_what_is_asked_for_holds_the_gang_back(answer: str) -> None:
    spec = {**RECIPE, "output": {"size": "20Gi", "storageClassName": "fast"}}
    made = planned(fresh(spec, refused={claim_ref(): answer}))
    message = (
        "spec.output: PersistentVolumeClaim 'demo-output' is there from before and cannot become what this job asks "
        "for (size 20Gi, storageClassName fast): a claim never shrinks nor changes its class, and grows only once it "
        "is bound, if its class allows it. Ask for what it has (kubectl get pvc demo-output), name it as "
        "spec.output.claim, or delete it"
    )
    assert told(made)["Accepted"] == ("False", "ClaimDiffers", message)
    assert (made.create, len(made.apply)) == ((), 1)
    assert "(size 10Gi)" in told(planned(fresh(refused={claim_ref(): answer})))["Accepted"][2]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({**RECIPE, "podTemplate": {"spec": nested(47)}}, "spec.podTemplate: nested more than 48 levels deep"),
        ({**RECIPE, "podTemplate": {"spec": {"x": "y" * 131_072}}}, "are more than the 131072 that it may have"),
    ],
    ids=["deep", "large"],
)
def test_a_spec_that_is_too_deep_or_too_large_is_refused_unread(spec: Any, message: str) -> None:
    made = planned(fresh(spec))
    status, reason, said = told(made)["Accepted"]
    assert (status, reason) == ("False", "InvalidSpec")
    assert message in said
    assert (made.apply, made.create, made.templates, made.look_again) == ((), (), (), False)
    assert told(planned(fresh({**RECIPE, "podTemplate": {"spec": {"x": nested(40)}}})))["Accepted"][1] != reason


def test_a_refusal_of_the_users_own_claim_is_not_ours_to_tell() -> None:
    what = with_claims(MINE, mine=claim())
    assert_accepted(replace(what, refused={claim_ref("mine"): "x"}))


@pytest.mark.parametrize("answer", ["the server could not find the requested resource", "404 page not found"])
def test_a_cluster_without_the_backend(answer: Any) -> None:
    """In the words that reach the plan, which are kube/errors.py's."""
    made = planned(fresh(refused={gang_ref(): from_answer(404, answer, {}).message}))
    message = "the cluster has no pytorchjobs.kubeflow.org: install the training operator"
    assert told(made)["Accepted"] == ("False", "BackendUnavailable", message)
    assert told(made)["Running"] == WAITING
    assert (len(made.create), len(made.apply), made.look_again) == (1, 1, True)


@pytest.mark.parametrize("answer", ['failed calling webhook "x": refused', 'no endpoints available for service "y"'])
def test_a_backend_that_does_not_answer(answer: Any) -> None:
    made = planned(fresh(refused={gang_ref(): answer}))
    message = f"the training operator does not answer: {answer}"
    assert told(made)["Accepted"] == ("False", "BackendUnavailable", message)
    assert len(made.create) == 1


def test_a_gang_that_the_api_server_refuses_is_asked_for_again() -> None:
    made = planned(fresh(refused={gang_ref(): "exceeded quota: jobs"}))
    message = "the API server refuses PyTorchJob 'demo-0': exceeded quota: jobs"
    assert told(made)["Accepted"] == ("False", "Refused", message)
    assert (len(made.create), made.look_again) == (1, True)


def live_gang(**changes: Any) -> Any:
    reference = {"uid": apart(UID), "controller": True} | changes
    return {"metadata": {"ownerReferences": [{"uid": "x"}, reference]}}


@pytest.mark.parametrize(
    "body", [{}, {"metadata": {"ownerReferences": None}}, live_gang(uid="x"), live_gang(controller=False)]
)
def test_a_gang_of_that_name_that_is_not_this_jobs(body: Any) -> None:
    message = "PyTorchJob 'demo-0' exists and is not this job's: delete it, or rename the job"
    assert_refused(fresh(read=NOTHING_THERE | {gang_ref(): body}), "GangConflict", message)


def test_an_own_claim_that_is_read_live_and_going_is_waited_for() -> None:
    """No watch has told of it yet; a gang made beside it would lose its output."""
    going = claim(labels=OURS, deletionTimestamp=NOW_TEXT)
    message = "PersistentVolumeClaim 'demo-output' of an earlier job is being deleted: the job starts when it is gone"
    assert_refused(fresh(children=(), read=NOTHING_THERE | {claim_ref(): going}), "ClaimTerminating", message)


def test_a_gang_that_no_watch_has_told_of_is_waited_for() -> None:
    made = planned(fresh(read=NOTHING_THERE | {gang_ref(): live_gang()}))
    assert (made.create, made.delete, made.look_again) == ((), (), True)
    none_yet = "the training operator has made no pod of PyTorchJob demo-0 yet; its events say why if this lasts: "
    assert told(made)["Running"] == ("False", "WaitingForPods", f"{none_yet}kubectl describe pytorchjob demo-0")


def test_a_gang_that_no_watch_has_told_of_keeps_its_pods() -> None:
    made = planned(fresh(read=NOTHING_THERE | {gang_ref(): live_gang()}, pods=gang_pods()))
    assert (made.create, made.delete) == ((), ())


def test_a_gang_that_is_going_is_waited_for() -> None:
    body = live_gang()
    body["metadata"]["deletionTimestamp"] = NOW_TEXT
    made = planned(fresh(read=NOTHING_THERE | {gang_ref(): body}))
    assert (made.create, made.look_again) == ((), True)
    going = (claim_child(), gang(deleting=True))
    made = planned(fresh(read=NOTHING_THERE | {gang_ref(): body}, children=going))
    assert told(made)["Running"][1:] == (
        "WaitingForCleanup",
        "the gang is made again (waiting for PyTorchJob demo-0 to go)",
    )
    assert (made.create, made.delete, made.look_again) == ((), (), False)


def test_the_backends_own_init_container_is_not_the_users() -> None:
    spec = {**RECIPE, "podTemplate": {"spec": {"initContainers": [{"name": "init-pytorch", "image": "x"}]}}}
    message = "spec.podTemplate.spec.initContainers[0].name: init-pytorch is Slipway's: choose another name"
    assert_refused(fresh(spec), "InvalidPodTemplate", message, again=False)


def test_a_template_that_the_policy_refuses_names_every_field() -> None:
    spec = {**RECIPE, "podTemplate": {"spec": {"hostPID": True, "containers": [{"name": "main", "image": "x"}]}}}
    message = (
        "spec.podTemplate.spec.hostPID: the host's processes are out of bounds: leave it out; "
        "spec.podTemplate.spec.containers[0].image: use spec.image"
    )
    assert_refused(fresh(spec), "InvalidPodTemplate", message, again=False)


def test_what_is_reserved_in_training_pods() -> None:
    assert RESERVED.container == "pytorch"
    assert RESERVED.gpus == "use spec.accelerator and spec.perNode"
    assert RESERVED.volumes == {"output", "dataset", "base-model", "progress-token"}
    assert RESERVED.mount_paths == {
        "/slipway/output",
        "/slipway/dataset",
        "/slipway/base-model",
        "/var/run/secrets/slipway",
    }
    assert RESERVED.env == {"MASTER_ADDR", "MASTER_PORT", "WORLD_SIZE", "RANK", "PYTHONUNBUFFERED"}
    assert RESERVED.env_prefixes == ("SLIPWAY_", "PET_")
    assert dict(RESERVED.main_fields) == {
        "image": "use spec.image",
        "command": "use spec.command",
        "args": "use spec.command",
        "terminationMessagePath": "Slipway reads the reason of a failure there: leave it out",
        "terminationMessagePolicy": "Slipway reads the reason of a failure there: leave it out",
    }


def test_bad_input_recovers_when_it_is_mended() -> None:
    refused = planned(with_claims(MINE, mine=None))
    mended = replace(with_claims(MINE, mine=claim()), owner=owner(MINE, refused.status))
    made = assert_accepted(mended)
    assert made.events == (Event("Normal", "Accepted", "the spec can be carried out"),)


def test_what_runs_was_accepted_and_nothing_is_read_any_more() -> None:
    """But for the user's own claim, of which no watch tells."""
    what = observed(owner(RECIPE, running_status()), children=(claim_child(), gang()), pods=gang_pods())
    made = asked(what)
    assert told(made)["Accepted"][0] == "True"
    assert (made.reads, made.templates, made.look_again) == ((), (), False)
    named = replace(what, owner=owner(MINE, running_status()))
    assert asked(named).reads == (claim_ref("mine"),)
    made = asked(replace(named, read={claim_ref("mine"): claim()}))
    assert told(made)["Running"][1] == "Running"
    assert (made.reads, made.look_again) == ((), True)


@pytest.mark.parametrize("body", [None, claim(deletionTimestamp="2027-01-15T07:59:00Z")], ids=["gone", "going"])
def test_the_users_claim_that_is_taken_away_under_a_running_gang_is_told(body: Any) -> None:
    what = observed(owner(MINE, running_status()), children=(gang(),), pods=gang_pods())
    made = asked(replace(what, read={claim_ref("mine"): body}))
    status, reason, message = told(made)["Running"]
    assert (status, reason) == ("True", "ClaimTerminating")
    assert "PersistentVolumeClaim mine is being deleted" in message
    assert told(made)["Ready"][1] == "ClaimTerminating"


def test_before_a_restart_everything_is_checked_again() -> None:
    what = with_claims(MINE, mine=None)
    made = planned(replace(what, owner=owner(MINE, {"attempt": 1})))
    assert told(made)["Accepted"][1] == "ClaimNotFound"
    assert made.status["attempt"] == 1


def test_the_plural_by_which_gangs_are_known() -> None:
    assert gang_ref().plural == GANG_PLURAL == "pytorchjobs.kubeflow.org"
