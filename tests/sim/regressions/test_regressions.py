"""Scripts that once failed, as small as they could be made. Each says what was wrong."""

import pytest

from ..crashes import crashes
from ..faults import Answer, Crash, Fault, Kill, Late, Meddling, Silence, Slow, Storm
from ..judge import expectations, judge, undisturbed
from ..script import Script


def wrong(
    scenario: str, seed: int, timing: str, *faults: Fault, without: tuple[int, ...] = (), operators: int = 1
) -> list[str]:
    script = Script(scenario, seed=seed, timing=timing, faults=faults, without=without, operators=operators)
    return [str(violation) for violation in judge(script).violations]


def test_a_pod_that_has_succeeded_is_not_deleted_as_one_that_runs() -> None:
    """The backend's verdict was told before the pod's end; the pod went, and with it its evaluation and its logs."""
    assert wrong("two jobs", 29, "busy") == []


@pytest.mark.parametrize(
    ("scenario", "seed", "timing"),
    [("leaf of a job: podTemplate.spec.tolerations", 397, "disorder"), ("many at once", 389, "hostile")],
)
def test_a_job_that_has_succeeded_is_not_trained_again(scenario: str, seed: int, timing: str) -> None:
    """The backend deletes the peers once rank 0 has succeeded; told of first, they counted as lost."""
    assert wrong(scenario, seed, timing) == []


def test_a_visit_that_a_lapse_of_the_lease_cut_short_comes_back() -> None:
    """The lease lapsed in the elector's pause and came back in the same step: nobody had lost or gained anything."""
    storm, slow = Storm(17.5, 12.0, 429, 100), Slow(34.8, 25.7, 4.0)
    assert wrong("leaf of a new job: model.contextLength", 521, "disorder", slow, storm, without=(0, 1)) == []


def test_a_child_that_no_watch_ever_told_of_is_made_again() -> None:
    """Made, deleted and told of in the wrong order after a long silence: no visit was due for ten hours."""
    late, silence = Late(12, 20.6), Silence("deployments.apps", 44.4, 99.2, False)
    assert wrong("the Deployment is deleted, its pods kept", 1, "disorder", late, silence) == []


def test_an_evaluation_is_not_lost_with_the_pod_that_told_it() -> None:
    """The backend's verdict came first, Complete was told, and the user deleted the gang before the pod's own event."""
    assert wrong("the gang is deleted when all is done", 1764500841, "hostile", Slow(54.6, 19.6, 15.0)) == []


def test_what_has_its_label_back_is_not_taken_for_gone() -> None:
    """A Service was given its label back; until the watch told, it was applied again and again: a mistake, it said."""
    unlabelled = Meddling(58.2, "unlabel", "services", 3)
    assert (
        wrong("the Deployment is paused, scaled and spoiled", 1764520108, "hostile", unlabelled, without=(2, 3)) == []
    )


def test_a_conflict_over_a_quota_is_no_yes() -> None:
    """409 to a dry run was taken for an object of the same name, so for no answer, and a claim was made in vain."""
    assert wrong("a quota has no room, and stays so", 1764520683, "disorder", Storm(0.9, 34.9, 409, 20)) == []


def test_pods_that_a_user_keeps_are_the_users_once_their_job_is_gone() -> None:
    """The job was deleted before the operator noticed that its gang was, with --cascade=orphan: nobody owns them."""
    deleted = Meddling(16.8, "delete", "trainingjobs.slipway.dev")
    assert wrong("the gang is deleted, its pods kept", 1764520884, "busy", deleted) == []


def test_a_pod_that_was_replaced_unnoticed_keeps_no_world_from_rest() -> None:
    """No request went through until the backend had made the pod again (docs/LIMITS.md): the gang went on to its end,
    which came after the world's patience."""
    storm = Storm(27.2, 37.0, 503, 100)
    assert wrong("a pod is deleted, and no restart is allowed", 1764521198, "hostile", storm, operators=2) == []


def test_rest_waits_until_what_was_refused_has_been_sent_again() -> None:
    """KEDA came back; an event's visit came too early to send the ScaledObject again, and counted as the last look."""
    assert wrong("KEDA goes and comes back", 1764521237, "disorder", Kill(18.2, 27.3)) == []


def test_a_gang_whose_model_is_not_good_enough_is_left_to_notice_its_end() -> None:
    """Rank 0 was seen to succeed before the backend's verdict: the gang was deleted, and with it all logs."""
    crash = Crash(5, True, 26.7, 25.0)
    assert wrong("leaf of a new job: output.require.rougeLLeast", 1764600015, "busy", crash) == []


def test_rest_waits_for_a_visit_that_hangs() -> None:
    """No answer came; the visit had begun after the last change, and nobody waited for its time-out."""
    faults = (Late(30, 25.9), Answer(18, 0, False), Answer(10, 0, True), Storm(31.8, 35.1, 409, 60))
    assert wrong("leaf of a new job: podTemplate.spec.hostNetwork", 1764600001, "hostile", *faults) == []


def test_a_claim_that_its_user_deletes_may_be_labelled_meanwhile() -> None:
    """The deletion had not been told yet; the label was put back, and that looked like the operator's deletion."""
    mislabelled = Meddling(38.8, "mislabel", "persistentvolumeclaims", 3)
    assert wrong("the claim is deleted under the job", 1764600544, "hostile", mislabelled, Answer(83, 429, False)) == []


def test_what_has_ended_with_its_job_stays_though_the_gang_is_not_seen() -> None:
    """A user took the label off the PyTorchJob of a job that was done: its pods were deleted with their logs."""
    unlabelled = Meddling(45.1, "unlabel", "pytorchjobs.kubeflow.org", 2)
    assert wrong("recipe completes", 1764700948, "busy", unlabelled) == []


def test_pods_that_a_gang_out_of_sight_makes_again_are_not_fought_over() -> None:
    """While the operator was down a user took the label off the PyTorchJob: its pods were deleted for ever, and made
    again as often."""
    unlabelled = Meddling(0.867, "unlabel", "pytorchjobs.kubeflow.org", 0, 8)
    assert wrong("suspended while it runs", 1, "calm", unlabelled, Crash(10, False, 23.8)) == []


def test_a_gang_out_of_sight_comes_to_its_end() -> None:
    """A user took the label off the PyTorchJob: its job was never Complete, and it was read again and again."""
    script = Script("gang restarts", faults=(Meddling(12.5, "unlabel", "pytorchjobs.kubeflow.org"),))
    outcome = judge(script)
    assert outcome.violations == []
    assert expectations(script.scenario, outcome) == []


def test_a_gang_that_a_user_made_his_own_is_not_fought_over() -> None:
    """Labels and owner taken off: its pods were deleted for ever, and made again as often (docs/LIMITS.md)."""
    gangs = "pytorchjobs.kubeflow.org"
    own = (Meddling(11.4, "mislabel", gangs), Meddling(23.6, "disown", gangs, 1))
    assert wrong("suspended, and goes on", 124983, "calm", *own) == []


@pytest.mark.parametrize("seconds", [25.0, 45.0], ids=["of an attempt that is over", "of a job that is over"])
def test_a_gang_that_a_late_request_makes_goes_again(seconds: float) -> None:
    """Nobody answered the request that makes the first gang, so it was sent again; and at last it arrived all the same
    (docs/LIMITS.md). What the operator can do is delete what came of it."""
    script = Script("gang restarts", faults=(Late(14, seconds),))
    outcome = judge(script)
    assert outcome.violations == []
    assert expectations(script.scenario, outcome) == []
    assert sum("DELETE" in line and line.endswith("pytorchjobs/job-0 200") for line in outcome.log) == 2
    assert "pytorchjobs.kubeflow.org/job-0" not in outcome.end.objects


@pytest.mark.parametrize(("timing", "at"), [("calm", 0.1), ("busy", 4.0), ("hostile", 6.0)])
def test_a_recipe_that_is_wrong_is_not_tried_again_where_the_watch_of_pods_is_silent(timing: str, at: float) -> None:
    """The backend's verdict was all that was told; rank 0's pod had been read, and its exit code 2 was not used."""
    assert wrong("recipe is wrong", 1, timing, Silence("pods", at, 60.0, False)) == []


@pytest.mark.parametrize("act", ["clear", "delete"])
@pytest.mark.parametrize("at", [10.0, 11.0, 12.0, 13.0])
def test_a_lease_that_a_user_takes_away_makes_no_second_leader(act: str, at: float) -> None:
    """The standby took it at once; the leader wrote on by its own clock, until its next renewal."""
    meddling = Meddling(at, act, "leases.coordination.k8s.io")
    assert wrong("gang restarts", 3, "calm", meddling, operators=2) == []


def test_what_a_user_keeps_is_the_users_until_a_new_owner_takes_it() -> None:
    """No mistake: the new owner went before its Service was taken, so that nothing says that it should go."""
    gone = Meddling(0.01, "delete", "inferenceservices.slipway.dev", 0, 9)
    assert wrong("deleted, its children kept, made again", 0, "busy", gone) == []


def test_nobody_is_crashed_while_the_end_is_judged() -> None:
    """What was refused is sent again at rest, and once more by who leads next: two writes, where one is right."""
    scenario = "the training operator is not there"
    outcome = undisturbed(scenario)
    assert outcome.busy_writes < outcome.writes
    assert len(list(crashes(scenario))) == 2 * outcome.busy_writes


@pytest.mark.parametrize("at", [6.0, 9.0, 12.0])
def test_a_claim_that_a_user_keeps_is_not_taken_back(at: float) -> None:
    """Owner and label taken off, it was in no watch, so that the running job's apply put both back: it went with it."""
    kept = Meddling(at, "keep", "persistentvolumeclaims")
    outcome = judge(Script("claim goes with the job", faults=(kept,)))
    assert outcome.violations == []
    applies = [line for line in outcome.log if "PATCH" in line and "/persistentvolumeclaims/job-output" in line]
    assert len(applies) == 1
    assert float(applies[0].split()[0]) < at


def test_a_delete_that_conflicts_is_not_taken_for_done() -> None:
    """A store that was busy: the old gang stood, the new one waited for its end, and nothing came back for hours."""
    assert wrong("two jobs", 2, "calm", Storm(3.0, 60.0, 409, 60)) == []
