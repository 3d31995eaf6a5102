"""An attempt that ends without a word of its own: the backend's verdict, lost pods; and what is done after the end."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.outcome import Delete
from slipway.plan.training.ended import settle_seconds

from .builders import (
    EARLIER_TEXT,
    NOTHING_THERE,
    NOW,
    NOW_TEXT,
    RECIPE,
    UID,
    backend_condition,
    claim_ref,
    conditions,
    ended,
    failed,
    failing,
    gang_pods,
    gang_ref,
    goes_on,
    live,
    observed,
    owner,
    planned,
    pod,
    pod_ref,
    running_status,
    situation,
    told,
    with_gang,
)

# The backend's verdict


def test_the_backends_verdict_waits_for_the_pod_that_says_more() -> None:
    verdict = backend_condition("Failed", since=rfc3339(NOW - 4), message="1 Worker replica(s) failed.")
    made = goes_on(*gang_pods(), backend=verdict)
    assert made.requeue_after == 6
    later = planned(with_gang(*gang_pods(), backend=verdict), now=NOW + 5.5)
    assert (later.requeue_after, later.status["attempt"]) == (0.5, 0)


@pytest.mark.parametrize("since", [rfc3339(NOW - 10), "junk", None])
def test_the_backends_verdict_counts_when_no_pod_says_more(since: Any) -> None:
    verdict = backend_condition("Failed", since=since, message="1 Worker replica(s) failed.")
    assert failing(*gang_pods(), backend=verdict) == "PyTorchJob demo-0: 1 Worker replica(s) failed."


def test_a_verdict_without_words() -> None:
    assert failing(backend=backend_condition("Failed")) == "PyTorchJob demo-0: failed"


def test_a_verdict_from_a_clock_ahead_waits_no_longer_than_any() -> None:
    verdict = backend_condition("Failed", since=rfc3339(NOW + 3600))
    assert settle_seconds(situation(with_gang(backend=verdict))) == 10
    assert settle_seconds(situation(with_gang())) == 0


def test_a_verdict_that_is_not_true_is_none() -> None:
    verdict = {"conditions": [{"type": "Failed", "status": "False", "lastTransitionTime": EARLIER_TEXT}]}
    assert goes_on(*gang_pods(), backend=verdict).requeue_after is None


# Lost pods

LOST = "was taken away while it ran: its peers cannot go on without it"


def test_a_pod_that_is_deleted_while_the_gang_runs() -> None:
    pods = (pod(), pod("worker-0", deleting=True))
    assert failing(*pods, status=running_status()) == f"pod demo-0-worker-0 {LOST}"


def test_a_missing_pod_is_read_before_it_counts_as_lost() -> None:
    what = with_gang(pod(), status=running_status())
    made = planned(what)
    assert made.reads == (pod_ref("demo-0-worker-0"),)
    assert made.status == running_status()
    assert (made.events, made.apply) == ((), ())


@pytest.mark.parametrize(
    "live",
    [
        None,
        {"metadata": {"deletionTimestamp": NOW_TEXT}, "status": {"phase": "Running"}},
        {"status": {"phase": "Pending"}},
        {},
    ],
)
@pytest.mark.parametrize("seen", [(), (pod("worker-0", phase="Pending"),)])
def test_a_pod_that_is_gone_or_made_anew_is_lost(seen: Any, live: Any) -> None:
    read = {pod_ref("demo-0-worker-0"): live}
    assert failing(pod(), *seen, status=running_status(), read=read) == f"pod demo-0-worker-0 {LOST}"


def test_a_pod_that_the_index_has_not_caught_up_with_is_not_lost() -> None:
    read = {pod_ref("demo-0-worker-0"): {"metadata": {}, "status": {"phase": "Running"}}}
    made = goes_on(pod(), pod("worker-0", phase="Pending"), status=running_status(), read=read)
    assert made.reads == ()


@pytest.mark.parametrize("status", [{}, {"attempt": 0}, {"conditions": conditions(Running=("False", "X", ""))}])
def test_before_the_gang_ran_pods_come_and_go(status: Any) -> None:
    made = goes_on(pod(), pod("worker-0", deleting=True), status=status)
    assert made.reads == ()
    assert goes_on(status=status).reads == ()


def test_running_was_said_of_another_attempt() -> None:
    made = goes_on(pod(attempt=1, phase="Pending"), attempt=1, status=running_status(0))
    assert made.reads == ()


def test_not_more_than_a_few_pods_are_read_at_once() -> None:
    spec = {**RECIPE, "nodes": 16}
    made = planned(with_gang(spec=spec, status=running_status()))
    expected = ["demo-0-master-0", *(f"demo-0-worker-{index}" for index in range(7))]
    assert [ref.name for ref in made.reads] == expected
    read = {pod_ref(name): {"status": {"phase": "Running"}} for name in expected}
    again = planned(with_gang(spec=spec, status=running_status(), read=read))
    assert (again.reads, again.status["attempt"]) == ((), 0)


def test_a_failed_pod_says_more_than_a_lost_one() -> None:
    pods = (failed(), pod("worker-0", deleting=True))
    assert failing(*pods, status=running_status()).startswith("pod demo-0-master-0: ")


def live_rank_0(phase: Any, uid: Any = UID) -> Any:
    return {pod_ref("demo-0-master-0"): live(phase, uid=uid), gang_ref(): {}}


@pytest.mark.parametrize("peer", [pod("worker-0", deleting=True), failed("worker-0")])
def test_before_a_failure_counts_rank_0_and_the_gang_are_read(peer: Any) -> None:
    """The backend cuts the peers off when rank 0 has succeeded, and the watch may tell of their ends first."""
    made = planned(with_gang(pod(), peer, status=running_status()))
    assert made.reads == (pod_ref("demo-0-master-0"), gang_ref())
    assert (made.status, made.events) == (running_status(), ())
    done = planned(with_gang(pod(), peer, status=running_status(), read=live_rank_0("Succeeded")))
    assert told(done)["Complete"][0] == "True"
    assert done.status["attempt"] == 0


@pytest.mark.parametrize(
    "read",
    [
        live_rank_0("Running"),
        live_rank_0("Succeeded", "another-job"),
        {pod_ref("demo-0-master-0"): None, gang_ref(): None},
    ],
)
def test_a_failure_counts_when_rank_0_has_not_succeeded(read: Any) -> None:
    made = planned(with_gang(pod(), failed("worker-0"), status=running_status(), read=read))
    assert made.status["attempt"] == 1


@pytest.mark.parametrize("verdict", ["Failed", "Succeeded"])
@pytest.mark.parametrize("live", [True, False])
def test_a_pod_that_the_backend_took_away_after_its_verdict_is_not_lost(verdict: Any, live: Any) -> None:
    """The pod that failed says why, or forbids a restart (exit code 2); this one was only cleaned up."""
    said = {"conditions": [{"type": verdict, "status": "True", "lastTransitionTime": rfc3339(NOW)}]}
    read = {**live_rank_0("Running"), gang_ref(): {"status": said if live else {}}}
    pods = (pod(), pod("worker-0", deleting=True))
    what = with_gang(*pods, status=running_status(), read=read, backend=None if live else said)
    assert planned(what).status["attempt"] == 0


@pytest.mark.parametrize("live", [True, False])
def test_a_drain_is_told_though_its_pods_ended_before_the_visit(live: Any) -> None:
    """The eviction's SIGTERM ends a gang within a second, and the backend judges at once: by a budget of none, too."""
    said = {"conditions": [{"type": "Failed", "status": "True", "lastTransitionTime": rfc3339(NOW)}]}
    read = {**live_rank_0("Failed"), gang_ref(): {"status": said if live else {}}}
    pods = [pod(name, deleting=True, disruption="EvictionByEvictionAPI") for name in ("master-0", "worker-0")]
    policy = {"maxRestarts": 0, "rules": [{"reasons": ["Evicted"], "action": "RestartGangFree"}]}
    what = with_gang(
        *pods, status=running_status(), read=read, backend=None if live else said, spec={"failurePolicy": policy}
    )
    made = planned(what).status
    assert (made["attempt"], made["lastFailure"]["reason"]) == (1, "Evicted")


def test_rank_0_that_is_seen_to_have_failed_is_not_read() -> None:
    assert planned(with_gang(failed(), pod("worker-0"), status=running_status())).status["attempt"] == 1


# After the end

OVER = {"conditions": conditions(Failed=("True", "RecipeError", "why")), "attempt": 1, "completionTime": EARLIER_TEXT}
DONE = {"conditions": conditions(Complete=("True", "Complete", "where")), "attempt": 1}


def pod_delete(who: Any) -> Any:
    return Delete(pod_ref(who.name), who.uid)


@pytest.mark.parametrize("status", [OVER, DONE])
def test_nothing_is_made_after_the_end(status: Any) -> None:
    made = planned(observed(owner(status=status), read=NOTHING_THERE))
    assert (made.apply, made.create, made.delete, made.reads, made.templates) == ((), (), (), (), ())
    assert made.status["attempt"] == 1


def test_the_end_stays_as_it_was_told() -> None:
    made = planned(with_gang(pod(attempt=1, phase="Succeeded"), attempt=1, status=OVER))
    assert told(made)["Failed"] == ("True", "RecipeError", "why")
    assert told(made)["Complete"] == ("False", "RecipeError", "")
    assert told(made)["Ready"] == ("False", "RecipeError", "why")
    assert made.status["completionTime"] == EARLIER_TEXT
    assert "output" not in made.status


def test_complete_wins_over_failed() -> None:
    status = {"conditions": conditions(Failed=("True", "X", "x"), Complete=("True", "Complete", "where"))}
    made = planned(with_gang(status=status))
    assert told(made)["Complete"] == ("True", "Complete", "where")
    assert told(made)["Failed"] == ("False", "Complete", "")


@pytest.mark.parametrize("verdict", ["Succeeded", "Failed"])
def test_pods_of_an_ended_gang_that_still_run_are_deleted_and_the_others_kept(verdict: Any) -> None:
    running, pending = pod("worker-1", 1), pod("worker-2", 1, phase="Pending")
    pods = (pod(attempt=1, phase="Failed"), pod("worker-0", 1, phase="Succeeded"), running, pending)
    going = pod("worker-3", 1, deleting=True)
    made = planned(with_gang(*pods, going, attempt=1, backend=backend_condition(verdict), status=OVER))
    expected = (Delete(pod_ref(each.name), each.uid, unless_ended=True) for each in (running, pending))
    assert made.delete == tuple(expected)


def test_a_gang_that_will_notice_its_failed_pod_is_left_to_it() -> None:
    made = planned(with_gang(pod(attempt=1, phase="Failed"), pod("worker-0", 1), attempt=1, status=OVER))
    assert made.delete == ()


def test_a_gang_that_would_never_notice_its_end_is_deleted() -> None:
    made = planned(with_gang(pod(attempt=1, containers=(ended(2),)), pod("worker-0", 1), attempt=1, status=OVER))
    assert made.delete == (Delete(gang_ref(1), "gang-1"),)


def test_a_gang_that_succeeded_is_left_to_notice() -> None:
    made = planned(with_gang(pod(attempt=1, phase="Succeeded"), pod("worker-0", 1), attempt=1, status=DONE))
    assert made.delete == ()


def test_what_is_left_of_other_attempts_goes_after_the_end_too() -> None:
    old = pod(attempt=0, phase="Failed")
    gone: Any = {gang_ref(): None}
    made = planned(with_gang(old, attempt=1, status=OVER, backend=backend_condition("Failed"), read=gone))
    assert made.delete == (pod_delete(old),)


def test_pods_that_ended_with_the_job_stay_though_their_gang_is_gone() -> None:
    """A user deleted it and kept them, or took its label off: their logs are for whoever wonders."""
    running = pod("worker-0", 1)
    what = observed(owner(status=OVER), pods=(pod(attempt=1, phase="Failed"), running))
    assert planned(what).reads == (gang_ref(1),), "if it is only out of sight, it would make what is deleted again"
    made = planned(replace(what, read={gang_ref(1): None}))
    assert made.delete == (Delete(pod_ref(running.name), running.uid, unless_ended=True),)


def test_the_claim_is_not_made_again_after_the_end() -> None:
    assert planned(observed(owner(status=DONE), read={claim_ref(): None})).apply == ()


def test_a_job_that_ended_unseen_started_with_the_last_of_its_pods() -> None:
    pods = (pod(phase="Succeeded", started=NOW - 30), pod("worker-0", started=NOW - 20), pod("worker-1", started=None))
    made = planned(with_gang(*pods))
    assert made.status["startTime"] == rfc3339(NOW - 20)
    assert "startTime" not in planned(with_gang(pod(phase="Succeeded", started=None))).status
    assert "startTime" not in planned(with_gang(pod(phase="Pending"))).status
