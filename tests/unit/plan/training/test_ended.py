"""How an attempt ends: success, every kind of failure with its words, the budget, and what is done about it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.outcome import Event
from slipway.plan.training import termination

from .builders import (
    EARLIER_TEXT,
    JOB,
    LIVE,
    NOW,
    NOW_TEXT,
    RECIPE,
    UID,
    backend_condition,
    claim,
    claim_child,
    claim_ref,
    container,
    ended,
    failed,
    failing,
    fresh,
    gang,
    gang_ref,
    goes_on,
    live,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)

OUTPUT = f"the output is in directory {UID} of PersistentVolumeClaim demo-output"

RANK_0 = pod_ref(f"{JOB}-0-master-0")


def rank(number: Any = 1, code: Any = -9, signal: Any = "SIGKILL", message: Any = "last lines") -> Any:
    failure = {"rank": number, "exitCode": code, "signal": signal, "message": message}
    return json.dumps({"failures": [failure, {"rank": 7}]})


# Success


def test_success_by_rank_0s_pod() -> None:
    made = planned(with_gang(pod(phase="Succeeded"), pod("worker-0"), status=running_status(startTime=EARLIER_TEXT)))
    assert told(made) == {
        "Accepted": ("True", "Accepted", "the spec can be carried out"),
        "Running": ("False", "Complete", ""),
        "Complete": ("True", "Complete", OUTPUT),
        "Failed": ("False", "Complete", ""),
        "Ready": ("True", "Complete", OUTPUT),
    }
    assert made.status["completionTime"] == NOW_TEXT
    assert made.status["startTime"] == EARLIER_TEXT
    assert made.status["output"] == {"claim": "demo-output", "path": f"{UID}/model"}
    assert Event("Normal", "Complete", OUTPUT) in made.events
    assert (made.apply, made.create, made.delete, made.requeue_after) == ((), (), (), None)


def test_success_by_the_backends_word_although_a_peer_was_cut_off() -> None:
    what = with_gang(
        failed("worker-0"), backend=backend_condition("Succeeded"), status=running_status(), read={RANK_0: LIVE}
    )
    assert told(planned(what))["Complete"][0] == "True"


@pytest.mark.parametrize(
    "pods",
    [
        (pod(), pod("worker-0", phase="Succeeded")),
        (pod(containers=(ended(0),)), pod("worker-0")),
        (pod("worker-0", phase="Succeeded"),),
    ],
)
def test_it_takes_rank_0s_whole_pod_to_succeed(pods: Any) -> None:
    goes_on(*pods)


def test_a_claim_of_the_users_is_named_in_the_output() -> None:
    spec = {**RECIPE, "output": {"claim": "mine"}}
    assert planned(with_gang(pod(phase="Succeeded"), spec=spec)).reads == (claim_ref("mine"),)
    made = planned(with_gang(pod(phase="Succeeded"), spec=spec, read={claim_ref("mine"): claim()}))
    assert made.status["output"] == {"claim": "mine", "path": f"{UID}/model"}
    assert told(made)["Complete"][2] == f"the output is in directory {UID} of PersistentVolumeClaim mine"


def test_a_claim_that_is_being_deleted_is_told_with_the_output() -> None:
    children = (claim_child(deleting=True), gang())
    made = planned(with_gang(pod(phase="Succeeded"), status=running_status(), children=children))
    assert told(made)["Complete"] == (
        "True",
        "Complete",
        f"{OUTPUT}, which is being deleted and goes with the job's last pod: "
        "to keep it, set the reclaim policy of its PersistentVolume to Retain before you delete the job",
    )


def test_without_its_gang_nothing_has_ended() -> None:
    made = planned(fresh(pods=(pod(phase="Succeeded"), failed("worker-0"))))
    assert told(made)["Complete"][0] == "False"
    assert told(made)["Running"][1] == "WaitingForCleanup"


GOOD = {"bitsPerByte": "2.9876", "unigramBitsPerByte": "4.6543"}


def evaluated(message: Any, **status: Any) -> Any:
    what = with_gang(pod(phase="Succeeded", containers=(ended(0, message),)), status=status)
    return planned(what).status.get("evaluation")


def test_the_evaluation_of_a_success() -> None:
    assert evaluated(json.dumps({"evaluation": {**GOOD, "more": 1}, "step": 200})) == GOOD


@pytest.mark.parametrize(
    "message",
    [
        "",
        "not JSON",
        "[]",
        "{}",
        '{"evaluation": 3}',
        json.dumps({"evaluation": {"bitsPerByte": "2.9"}}),
        json.dumps({"evaluation": {**GOOD, "bitsPerByte": 2.9}}),
        json.dumps({"evaluation": {**GOOD, "bitsPerByte": "nan"}}),
        json.dumps({"evaluation": {**GOOD, "bitsPerByte": "2.9x"}}),
        json.dumps({"evaluation": {**GOOD, "bitsPerByte": "1" * 25}}),
        "[" * 4096,
    ],
)
def test_a_broken_evaluation_counts_as_none_and_keeps_what_was_known(message: Any) -> None:
    assert evaluated(message) is None
    assert evaluated(message, evaluation=GOOD) == GOOD


def test_decimals_of_any_length_up_to_the_bound() -> None:
    longest = {"bitsPerByte": "1" * 24, "unigramBitsPerByte": "3"}
    assert evaluated(json.dumps({"evaluation": longest})) == longest


def test_an_evaluation_is_rank_0s_and_of_a_success() -> None:
    message = json.dumps({"evaluation": GOOD})
    other = pod("worker-0", phase="Succeeded", containers=(ended(0, message),))
    assert "evaluation" not in planned(with_gang(pod(phase="Succeeded"), other)).status
    assert "evaluation" not in planned(with_gang(pod(containers=(ended(0, message),)))).status


def test_an_evaluation_that_arrives_after_the_end_is_taken() -> None:
    succeeded = backend_condition("Succeeded")
    first = planned(with_gang(pod(), backend=succeeded, status=running_status(), read={RANK_0: LIVE}))
    assert "evaluation" not in first.status
    late = pod(phase="Succeeded", containers=(ended(0, json.dumps({"evaluation": GOOD})),))
    second = planned(with_gang(late, backend=backend_condition("Succeeded"), status=first.status), now=NOW + 60)
    assert second.status == {**first.status, "evaluation": GOOD}
    assert second.events == ()


def test_a_success_that_is_known_before_the_pods_own_event_takes_the_evaluation_from_a_live_read() -> None:
    """The pod may be gone, with its message, before the watch tells of its end."""
    what = with_gang(pod(), backend=backend_condition("Succeeded"), status=running_status())
    assert planned(what).reads == (RANK_0,)
    ended_now: Any = {"exitCode": 0, "message": json.dumps({"evaluation": GOOD})}
    made = planned(replace(what, read={RANK_0: live("Succeeded", **ended_now)}))
    assert made.status["evaluation"] == GOOD
    another = live("Succeeded", uid="another", **ended_now)
    for nothing in (None, another, {**LIVE, "status": {"containerStatuses": [{"name": "pytorch"}]}}):
        made = planned(replace(what, read={RANK_0: nothing}))
        assert (told(made)["Complete"][0], made.status.get("evaluation")) == ("True", None)


# Failures and their words


@pytest.mark.parametrize("pods", [(), (pod(), pod("worker-0"))])
def test_a_recipe_that_is_wrong_is_read_where_the_watch_is_behind(pods: Any) -> None:
    """The backend's word is all that the watches tell; nothing but rank 0 says that no restart mends it."""
    what = with_gang(*pods, backend=backend_condition("Failed"), status={"attempt": 0})
    assert planned(what).reads == (RANK_0, gang_ref())
    made = planned(replace(what, read={RANK_0: live("Failed", exitCode=2, message=rank(code=2)), gang_ref(): {}}))
    assert told(made)["Failed"][1] == "RecipeError"
    assert made.status["lastFailure"]["exitCode"] == 2


@pytest.mark.parametrize(
    "said",
    [
        None,
        live("Failed", exitCode=1, message="peers hung up"),
        live("Failed", uid="another", exitCode=2),
        {**live("Failed", exitCode=2), "metadata": {**LIVE["metadata"], "deletionTimestamp": NOW_TEXT}},
    ],
    ids=["gone", "any other failure", "another job's", "being deleted"],
)
def test_else_the_backends_word_stands(said: Any) -> None:
    """Rank 0 may have failed in consequence: without its peers' pods nobody knows whose fault it was."""
    read = {RANK_0: said, gang_ref(): {}}
    made = planned(with_gang(pod(), pod("worker-0"), backend=backend_condition("Failed"), read=read))
    assert (made.status["lastFailure"]["reason"], made.status["attempt"]) == ("GangFailed", 1)
    assert "node" not in made.status["lastFailure"]


def test_a_restart_writes_the_next_attempt_and_does_nothing_else() -> None:
    made = planned(with_gang(failed(message=rank()), pod("worker-0"), status=running_status(startTime=EARLIER_TEXT)))
    message = "restart 1 of 3: pod demo-0-master-0: rank 1 was killed by SIGKILL: last lines"
    assert made.status["attempt"] == 1
    assert told(made) == {
        "Accepted": ("True", "Accepted", "the spec can be carried out"),
        "Running": ("False", "Restarting", message),
        "Restarting": ("True", "PodFailed", message),
        "Complete": ("False", "InProgress", ""),
        "Failed": ("False", "InProgress", ""),
        "Ready": ("False", "Restarting", message),
    }
    assert made.status["startTime"] == EARLIER_TEXT
    assert "completionTime" not in made.status
    assert Event("Warning", "Restarting", message) in made.events
    assert (made.apply, made.create, made.delete, made.reads, made.requeue_after) == ((), (), (), (), None)


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (rank(), "rank 1 was killed by SIGKILL: last lines"),
        (rank(signal=None, code=1), "rank 1 exited with 1: last lines"),
        (rank(0, signal="", code=3, message=" \n"), "rank 0 exited with 3"),
        (json.dumps({"failures": [{"rank": 0, "exitCode": 1}]}), "rank 0 exited with 1"),
        ("Traceback: boom", "container pytorch exited with 1 (Error): Traceback: boom"),
        ("", "container pytorch exited with 1 (Error)"),
        (json.dumps({"failures": []}), 'container pytorch exited with 1 (Error): {"failures": []}'),
        (json.dumps({"failures": ["x"]}), 'container pytorch exited with 1 (Error): {"failures": ["x"]}'),
        (json.dumps({"failures": {"0": 1}}), 'container pytorch exited with 1 (Error): {"failures": {"0": 1}}'),
        (
            json.dumps({"failures": [{"rank": "x"}]}),
            'container pytorch exited with 1 (Error): {"failures": [{"rank": "x"}]}',
        ),
    ],
)
def test_what_a_failed_pod_said(message: Any, sentence: Any) -> None:
    assert failing(failed(message=message)) == f"pod demo-0-master-0: {sentence}"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"reason": "Evicted", "message": "low on memory"}, "Evicted: low on memory"),
        ({"reason": "NodeLost"}, "NodeLost"),
        ({"message": "Pod was rejected"}, "Pod was rejected"),
        ({}, "it failed, and Kubernetes does not say why"),
        (
            {"containers": (container("terminated", name="a", exit_code=3), container("terminated", exit_code=4))},
            "container a exited with 3",
        ),
        (
            {"containers": (container("terminated", name="warm", exit_code=3), container("waiting"))},
            "container warm exited with 3",
        ),
        (
            {"containers": (container("terminated", name="side", exit_code=0), container("terminated", exit_code=5))},
            "container pytorch exited with 5",
        ),
    ],
)
def test_what_kubernetes_says_of_a_failed_pod(changes: Any, sentence: Any) -> None:
    assert failing(pod(phase="Failed", **{"containers": (), **changes})) == f"pod demo-0-master-0: {sentence}"


def test_a_main_container_that_ended_is_a_failure_although_its_pod_runs() -> None:
    assert failing(pod(containers=(ended(1),))) == "pod demo-0-master-0: container pytorch exited with 1 (Error)"


def test_another_container_that_ended_is_none() -> None:
    goes_on(pod(containers=(container(), container("terminated", name="side", exit_code=1))), pod("worker-0"))


def test_an_exit_code_of_a_container_that_runs_again_is_not_its_end() -> None:
    assert termination.exit_code(pod(containers=(container(exit_code=1),))) is None
    assert termination.exit_code(pod(containers=())) is None
    assert termination.exit_code(pod(containers=(ended(7),))) == 7


@pytest.mark.parametrize(
    "cause",
    [
        failed("worker-0", rank()),
        failed("worker-0", code=137),
        failed("worker-0", reason="Evicted"),
    ],
)
def test_what_was_ended_from_outside_is_the_cause_and_its_peers_are_the_consequence(cause: Any) -> None:
    consequence = failed("master-0", rank(0, 1, None, "Connection closed by peer"))
    assert failing(consequence, cause).startswith("pod demo-0-worker-0: ")


def test_of_equal_failures_rank_0_speaks() -> None:
    assert failing(failed("worker-0"), failed("master-0")).startswith("pod demo-0-master-0: ")
    eleventh, third = failed("worker-10"), failed("worker-2")
    assert failing(eleventh, third).startswith("pod demo-0-worker-2: ")


def test_a_pod_that_is_going_tells_nothing() -> None:
    goes_on(failed(deleting=True))


def test_exit_code_2_is_never_retried() -> None:
    pods = (failed("master-0", rank(), 1), failed("worker-0", rank(1, 2, None, "no files under /data"), 2))
    made = planned(with_gang(*pods, status=running_status()))
    message = "pod demo-0-worker-0: rank 1 exited with 2: no files under /data"
    assert told(made) == {
        "Accepted": ("True", "Accepted", "the spec can be carried out"),
        "Running": ("False", "RecipeError", ""),
        "Complete": ("False", "RecipeError", ""),
        "Failed": ("True", "RecipeError", message),
        "Ready": ("False", "RecipeError", message),
    }
    assert made.status["attempt"] == 0
    assert made.status["completionTime"] == NOW_TEXT
    assert "output" not in made.status
    assert [(event.type, event.reason) for event in made.events] == [("Normal", "Accepted"), ("Warning", "RecipeError")]


def test_of_several_recipe_errors_rank_0_speaks() -> None:
    made = planned(with_gang(failed("worker-0", code=2), failed("master-0", code=2)))
    assert told(made)["Failed"][2].startswith("pod demo-0-master-0: ")


def test_exit_code_2_of_a_pod_that_is_going_is_not_believed() -> None:
    goes_on(failed(code=2, deleting=True))


@pytest.mark.parametrize(
    ("restarts", "budget", "over"), [(0, 0, True), (0, 1, False), (2, 3, False), (3, 3, True), (5, 3, True)]
)
@pytest.mark.parametrize("others", [0, 4])
def test_the_budget(restarts: Any, others: Any, budget: Any, over: Any) -> None:
    """Attempts that used none of it (`others`) do not count."""
    attempt = restarts + others
    spec = {**RECIPE, "failurePolicy": {"maxRestarts": budget}}
    broken = pod(attempt=attempt, phase="Failed", containers=(ended(1),))
    status = {"attempt": attempt, "restarts": restarts}
    made = planned(with_gang(broken, spec=spec, attempt=attempt, status=status))
    cause = f"pod demo-{attempt}-master-0: container pytorch exited with 1 (Error)"
    if over:
        message = f"failurePolicy.maxRestarts is {budget}, and attempt {attempt} failed: {cause}"
        assert told(made)["Failed"] == ("True", "BackoffLimitExceeded", message)
        assert told(made)["Ready"] == ("False", "BackoffLimitExceeded", message)
        assert (made.status["attempt"], made.status.get("restarts", 0)) == (attempt, restarts)
    else:
        assert told(made)["Running"] == ("False", "Restarting", f"restart {restarts + 1} of {budget}: {cause}")
        assert (made.status["attempt"], made.status["restarts"]) == (attempt + 1, restarts + 1)
