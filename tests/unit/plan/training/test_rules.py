"""What is done about which failure: what rules see of it, which one decides, and whose budget it takes from."""

import json
from typing import Any, get_args

import pytest

from slipway.api.gang import Reason
from slipway.plan.conditions import EVENT_MESSAGE_MAX
from slipway.plan.training import failure
from slipway.plan.training.termination import rank_exit_code

from .builders import (
    COMMAND,
    EARLIER_TEXT,
    NOW_TEXT,
    RECIPE,
    backend_condition,
    ended,
    failed,
    fresh,
    gang_ref,
    planned,
    pod,
    pod_ref,
    running_status,
    told,
    with_gang,
)

# What a failure is


def said(code: Any, *, rank: Any = 1, message: str = "last lines", **more: Any) -> str:
    return json.dumps({"failures": [{"rank": rank, "exitCode": code, "message": message, **more}, {"rank": 0}]})


TORCHRUN = """\
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
python3 FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-30_00:59:54
  host      : localhost
  rank      : 0 (local_rank: 0)
  exitcode  : -15 (pid: 31150)  (SIGTERM)
  error_file: <N/A>
  traceback : Signal 15 (SIGTERM) received by PID 31150
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-30_00:59:54
  host      : localhost
  rank      : 3 (local_rank: 1)
  exitcode  : {code} (pid: 31151) {signal}
  error_file: <N/A>
  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html
============================================================"""


@pytest.mark.parametrize(
    ("message", "code", "seen"),
    [
        (said(3), 1, 3),
        (said(-9), 137, 137),
        (said(-11), 1, 139),
        (said(75), 75, 75),
        ("", 4, 4),
        ("not JSON", 4, 4),
        (said("3"), 4, 4),
        (said(True), 4, 4),
        (said(None), 4, 4),
        (said(0), 4, 4),
        (said(256), 4, None),
        (said(-128), 4, None),
        (TORCHRUN.format(code=3, signal=""), 1, 3),
        (TORCHRUN.format(code=-9, signal="(SIGKILL)"), 1, 137),
        (TORCHRUN.partition("Root Cause")[0], 1, 1),
    ],
)
def test_the_exit_code_is_that_of_the_rank_that_failed_first(message: Any, code: Any, seen: Any) -> None:
    assert rank_exit_code(failed(message=message, code=code)) == seen


def test_a_pod_that_has_not_ended_has_no_exit_code() -> None:
    assert rank_exit_code(pod()) is None
    assert rank_exit_code(pod(phase="Failed", containers=())) is None


def test_torchruns_report_says_which_rank_was_killed() -> None:
    killed = failed("worker-0", TORCHRUN.format(code=-9, signal="(SIGKILL)"))
    consequence = failed("master-0", TORCHRUN.format(code=1, signal=""))
    made = planned(with_gang(consequence, killed, spec={**COMMAND, "nodes": 2}))
    assert told(made)["Running"][2].startswith("restart 1 of 3: pod demo-0-worker-0: rank 3 was killed by SIGKILL: ")


def test_an_unknown_signal_is_told_by_its_number() -> None:
    made = planned(with_gang(failed(message=TORCHRUN.format(code=-99, signal=""))))
    assert "rank 3 was killed by signal 99" in told(made)["Running"][2]


def test_ranks_that_nccl_aborted_are_the_consequence() -> None:
    aborted = failed("master-0", said(-6, rank=0, signal="SIGABRT"))
    made = planned(with_gang(aborted, failed("worker-0", said(-11, signal="SIGSEGV"))))
    assert "pod demo-0-worker-0: rank 1 was killed by SIGSEGV" in told(made)["Running"][2]


def why(what: Any, **changes: Any) -> Any:
    read = {pod_ref("demo-0-master-0"): {"status": {"phase": "Running"}}, gang_ref(): {}}
    made = planned(with_gang(*what, **{"read": read, **changes}))
    return made.status["lastFailure"]


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (failed(), "PodFailed"),
        (failed(message=said(3)), "PodFailed"),
        (failed(code=2), "RecipeError"),
        (failed(code=75), "Stalled"),
        (failed(message=said(75), code=1), "Stalled"),
        (pod(phase="Failed", containers=(ended(137, reason="OOMKilled"),)), "OOMKilled"),
        (failed(reason="Evicted"), "Evicted"),
        (failed(reason="NodeLost"), "NodeLost"),
        (failed(reason="Terminated"), "NodeLost"),
        (failed(reason="UnexpectedAdmissionError"), "PodFailed"),
        (failed(disruption="PreemptionByScheduler"), "Preempted"),
        (failed(disruption="DeletionByPodGC"), "NodeLost"),
        (failed(disruption="SomethingNew"), "PodFailed"),
    ],
)
def test_the_word_for_a_failed_pod(one: Any, reason: Any) -> None:
    assert why([one])["reason"] == reason


@pytest.mark.parametrize(
    ("disruption", "reason", "words"),
    [
        ("", "PodLost", ""),
        ("EvictionByEvictionAPI", "Evicted", " (EvictionByEvictionAPI)"),
        ("DeletionByTaintManager", "NodeLost", " (DeletionByTaintManager)"),
        ("PreemptionByScheduler", "Preempted", " (PreemptionByScheduler)"),
        ("SomethingNew", "PodLost", " (SomethingNew)"),
    ],
)
def test_the_word_for_a_pod_that_is_taken_away(disruption: Any, reason: Any, words: Any) -> None:
    pods = (pod(deleting=True), pod("worker-0", deleting=True, disruption=disruption, node="node-7"))
    last = why(pods, status=running_status())
    which = "worker-0" if disruption else "master-0"
    assert (last["reason"], last["node"]) == (reason, "node-7" if disruption else "node-1")
    assert last["message"].startswith(f"pod demo-0-{which} was taken away while it ran{words}: ")


def test_a_failure_without_a_pod_has_neither_node_nor_exit_code() -> None:
    last = why((), backend=backend_condition("Failed", message="no"))
    words = {"reason": "GangFailed", "message": "PyTorchJob demo-0: no"}
    assert last == {"attempt": 0, "time": NOW_TEXT, **words, "pauseSeconds": 10}


def test_the_newest_failure_is_remembered_with_who_and_where() -> None:
    last = why([failed("worker-0", said(3), node="node-9")])
    assert last == {
        "attempt": 0,
        "time": NOW_TEXT,
        "reason": "PodFailed",
        "message": "pod demo-0-worker-0: rank 1 exited with 3: last lines",
        "exitCode": 3,
        "node": "node-9",
        "pauseSeconds": 10,
    }


def test_the_message_is_as_long_as_the_api_allows() -> None:
    assert len(why([failed(message=said(3, message="x" * 3000))])["message"]) == 1024


# Which rule decides


def deciding(rules: Any, one: Any, *, budget: Any = 3, **status: Any) -> Any:
    spec = {**RECIPE, "failurePolicy": {"maxRestarts": budget, "rules": rules}}
    return planned(with_gang(one, spec=spec, status=status))


def decided(*arguments: Any, **changes: Any) -> Any:
    """(Failed's reason or the words of the restart, the place of the rule)."""
    made = deciding(*arguments, **changes)
    rule = made.status["lastFailure"].get("rule")
    if told(made)["Failed"][0] == "True":
        assert made.status["attempt"] == 0
        return told(made)["Failed"][1], rule
    assert told(made)["Running"][1] == "Restarting"
    assert made.status["attempt"] == 1
    return told(made)["Running"][2].partition(":")[0], rule


KILLED = failed(message=said(-9, signal="SIGKILL", message="CUDA error: an illegal memory access"))
FREE = "restart outside the budget, 1 of 20 by failurePolicy.rules[0]"


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ({"exitCodes": [137]}, True),
        ({"exitCodes": [3, 137]}, True),
        ({"exitCodes": [9]}, False),
        ({"reasons": ["PodFailed"]}, True),
        ({"reasons": ["Evicted", "PodFailed"]}, True),
        ({"reasons": ["Evicted"]}, False),
        ({"message": "CUDA error"}, True),
        ({"message": "(?i)cuda ERROR: an? (illegal|misaligned)"}, True),
        ({"message": "^CUDA"}, False),
        ({"message": "rank 1 was killed by SIGKILL"}, True),
        ({"exitCodes": [137], "reasons": ["PodFailed"], "message": "CUDA"}, True),
        ({"exitCodes": [137], "reasons": ["Evicted"], "message": "CUDA"}, False),
        ({"exitCodes": [137], "reasons": ["PodFailed"], "message": "NCCL"}, False),
        ({"exitCodes": [3], "reasons": ["PodFailed"], "message": "CUDA"}, False),
    ],
)
def test_a_rule_holds_when_all_that_it_asks_for_is_so(rule: Any, holds: Any) -> None:
    expected = (FREE, 0) if holds else ("restart 1 of 3", None)
    assert decided([{**rule, "action": "RestartGangFree"}], KILLED) == expected


def test_the_first_rule_that_holds_decides() -> None:
    rules = [
        {"reasons": ["Evicted"], "action": "RestartGangFree"},
        {"exitCodes": [137], "action": "Fail"},
        {"reasons": ["PodFailed"], "action": "RestartGang"},
    ]
    assert decided(rules, KILLED) == ("FailedByRule", 1)
    assert decided(rules, failed()) == ("restart 1 of 3", 2)
    assert decided(rules, failed(reason="Evicted"))[1] == 0


def test_a_rule_that_fails_the_job_is_named() -> None:
    made = deciding([{"exitCodes": [3], "action": "Fail"}], failed(message=said(3)))
    message = "failurePolicy.rules[0] says Fail: pod demo-0-master-0: rank 1 exited with 3: last lines"
    assert told(made)["Failed"] == ("True", "FailedByRule", message)
    assert told(made)["Ready"] == ("False", "FailedByRule", message)
    assert made.status["completionTime"] == NOW_TEXT
    assert "restarts" not in made.status


@pytest.mark.parametrize("code", [1, 2])
def test_no_rule_mends_a_wrong_recipe(code: Any) -> None:
    """By the pod's exit code, or by that of a command's rank under torchrun."""
    rules = [{"reasons": ["PodFailed"], "exitCodes": [2], "action": "RestartGangFree"}]
    assert decided(rules, failed(message=said(2), code=code)) == ("RecipeError", None)


# Budgets


@pytest.mark.parametrize(
    ("action", "counted"), [("RestartGang", {"restarts": 3}), ("RestartGangFree", {"restarts": 2})]
)
def test_what_a_restart_is_counted_as(action: Any, counted: Any) -> None:
    rules = [{"exitCodes": [9], "action": "Fail"}, {"reasons": ["PodFailed"], "action": action}]
    made = deciding(rules, KILLED, restarts=2, ruleRestarts=[0, 4])
    assert {name: made.status[name] for name in ("restarts", "ruleRestarts")} == {**counted, "ruleRestarts": [0, 5]}


def test_a_restart_by_no_rule_counts_for_none() -> None:
    made = deciding([{"exitCodes": [9], "action": "Fail"}], KILLED)
    assert made.status["restarts"] == 1
    assert "ruleRestarts" not in made.status


@pytest.mark.parametrize(
    ("rule", "past", "expected"),
    [
        ({"action": "RestartGang"}, {"restarts": 3}, "failurePolicy.maxRestarts is 3"),
        ({"action": "RestartGang", "maxRestarts": 1}, {"ruleRestarts": [1]}, "failurePolicy.rules[0].maxRestarts is 1"),
        ({"action": "RestartGang", "maxRestarts": 5}, {"restarts": 3}, "failurePolicy.maxRestarts is 3"),
        ({"action": "RestartGang", "maxRestarts": 5}, {"ruleRestarts": [4], "restarts": 2}, None),
        ({"action": "RestartGangFree", "maxRestarts": 0}, {}, "failurePolicy.rules[0].maxRestarts is 0"),
        ({"action": "RestartGangFree", "maxRestarts": 50}, {"ruleRestarts": [49], "restarts": 3}, None),
        ({"action": "RestartGangFree"}, {"ruleRestarts": [19], "restarts": 900}, None),
        ({"action": "RestartGangFree"}, {"ruleRestarts": [20]}, "failurePolicy.rules[0].maxRestarts is 20"),
    ],
)
def test_whose_budget_ends_the_job(rule: Any, past: Any, expected: Any) -> None:
    made = deciding([{"reasons": ["PodFailed"], **rule}], KILLED, **past)
    if expected is None:
        assert told(made)["Failed"][0] == "False"
        return
    status, reason, message = told(made)["Failed"]
    assert (status, reason) == ("True", "BackoffLimitExceeded")
    assert message.startswith(f"{expected}, and attempt 0 failed: pod demo-0-master-0: ")
    assert made.status["lastFailure"]["rule"] == 0


def test_a_restart_outside_the_budget_says_so() -> None:
    made = deciding([{"exitCodes": [137], "action": "RestartGangFree", "maxRestarts": 7}], KILLED, ruleRestarts=[2])
    assert told(made)["Running"][2].startswith("restart outside the budget, 3 of 7 by failurePolicy.rules[0]: pod ")
    assert [event.reason for event in made.events] == ["Accepted", "Restarting"]
    assert all(len(event.message) <= EVENT_MESSAGE_MAX for event in made.events)


def test_what_was_counted_stays_while_the_job_goes_on() -> None:
    past = {"restarts": 2, "ruleRestarts": [1], "lastFailure": {"attempt": 1, "reason": "PodFailed", "time": NOW_TEXT}}
    made = planned(with_gang(pod(attempt=2), pod("worker-0", 2), attempt=2, status={"attempt": 2, **past}))
    assert {name: made.status[name] for name in past} == past


@pytest.mark.parametrize(
    "past", [{"restarts": "many"}, {"restarts": -1}, {"ruleRestarts": {}}, {"ruleRestarts": [None]}, {"lastFailure": 3}]
)
def test_a_history_that_cannot_be_read_counts_as_none(past: Any) -> None:
    made = deciding([{"exitCodes": [137], "action": "RestartGangFree"}], KILLED, **past)
    assert (made.status.get("restarts"), made.status["ruleRestarts"]) == (None, [1])


# Patterns


def test_a_pattern_takes_time_linear_in_the_text() -> None:
    """Python's own engine would not come back from this before the sun has burnt out."""
    one = failed(message=said(1, message="a" * 3000))
    assert decided([{"message": "(a+)+(a+)+$x", "action": "Fail"}], one)[1] is None


@pytest.mark.parametrize("pattern", ["(", "a{2,1}", r"(a)\1", "(?=a)", "((a{1000}){1000})"])
def test_what_is_no_pattern_is_refused_with_its_path(pattern: Any) -> None:
    rules = [{"message": "fine", "action": "Fail"}, {"message": pattern, "action": "Fail"}]
    made = planned(fresh({**RECIPE, "failurePolicy": {"rules": rules}}))
    status, reason, message = told(made)["Accepted"]
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith("spec.failurePolicy.rules[1].message: no regular expression in RE2's syntax: ")
    assert (made.create, made.requeue_after) == ((), None)


@pytest.mark.parametrize(("pattern", "said"), [("(", "no regular expression in"), ("a*", "the empty text matches it")])
def test_what_is_no_pattern_to_scrub_by_is_refused_too(pattern: str, said: str) -> None:
    own = [{"name": name, "pattern": each} for name, each in (("fine", "a"), ("wrong", pattern))]
    dataset = {**RECIPE["dataset"], "cleaning": {"scrubPatterns": own}}
    status, reason, message = told(planned(fresh({**RECIPE, "dataset": dataset})))["Accepted"]
    assert (status, reason) == ("False", "InvalidSpec")
    assert message.startswith(f"spec.dataset.cleaning.scrubPatterns[1].pattern: {said}")


def test_every_word_that_a_rule_may_name_is_one_that_a_failure_has() -> None:
    words = {value for name, value in vars(failure).items() if name.isupper() and isinstance(value, str)}
    assert set(get_args(Reason)) == words - {"RecipeError"}
    assert {*failure.OF_PODS.values(), *failure.OF_DISRUPTIONS.values()} <= words


def test_the_history_survives_a_spec_that_cannot_be_read() -> None:
    status = {"attempt": 1, "restarts": 1, "lastFailure": {"attempt": 0, "reason": "PodFailed", "time": EARLIER_TEXT}}
    made = planned(with_gang(pod(attempt=1), attempt=1, spec={"recipe": 5}, status=status))
    assert (made.status["restarts"], made.status["lastFailure"]) == (1, status["lastFailure"])
