"""Nodes that later attempts stay away from: what counts against a node, and how it joins the user's own affinity."""

from typing import Any

import pytest

from slipway.plan.training.exclusion import away_from

from .builders import RECIPE, Obj, failed, fresh, gang_ref, planned, pod, pod_ref, running_status, told, with_gang

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def not_in(*nodes: str) -> Obj:
    return {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": [*nodes]}


def failing_on(node: str, *, after: Any = 2, one: Any = None, **status: Any) -> Any:
    spec = {**RECIPE, "failurePolicy": {} if after is None else {"excludeNodeAfter": after}}
    read = {pod_ref("demo-0-master-0"): {"status": {"phase": "Running"}}, gang_ref(): {}}
    return planned(with_gang(one or failed(node=node), pod("worker-0"), spec=spec, status=status, read=read))


def entry(node: str, failures: int = 1, reason: str = "PodFailed") -> Obj:
    return {"node": node, "failures": failures, "reason": reason}


# What is counted


def test_a_first_failure_is_remembered_and_excludes_nothing() -> None:
    made = failing_on("bad")
    assert made.status["failedNodes"] == [entry("bad")]
    assert "node" not in told(made)["Running"][2]


def test_the_failure_that_is_one_too_many_names_the_node() -> None:
    made = failing_on("bad", failedNodes=[entry("bad"), entry("other")])
    assert made.status["failedNodes"] == [entry("other"), entry("bad", 2)]
    assert told(made)["Running"][2].endswith("(Error); later attempts stay away from node bad: 2 failed there")


def test_nothing_is_counted_unless_it_is_asked_for() -> None:
    assert "failedNodes" not in failing_on("bad", after=None).status


def test_a_job_that_is_over_tells_the_node_too() -> None:
    made = failing_on("bad", restarts=3)
    assert told(made)["Failed"][1] == "BackoffLimitExceeded"
    assert made.status["failedNodes"] == [entry("bad")]


@pytest.mark.parametrize(
    ("one", "counts"),
    [
        (failed(), True),
        (failed(reason="NodeLost"), True),
        (failed(reason="Evicted"), False),
        (failed(code=75), False),
        (failed(code=2), False),
        (failed(node=""), False),
        (pod(deleting=True), False),
        (pod(deleting=True, disruption="DeletionByTaintManager"), True),
        (pod(deleting=True, disruption="PreemptionByScheduler"), False),
    ],
)
def test_what_counts_against_a_node(one: Any, counts: Any) -> None:
    made = failing_on("", one=one, **running_status())
    assert made.status["lastFailure"]["attempt"] == 0
    assert ("failedNodes" in made.status) == counts


def test_of_too_many_nodes_one_with_the_fewest_failures_is_forgotten() -> None:
    many = [entry(f"n{index}", 1 if index == 7 else 2) for index in range(32)]
    nodes = [each["node"] for each in failing_on("bad", failedNodes=many).status["failedNodes"]]
    assert nodes == [*(f"n{index}" for index in range(32) if index != 7), "bad"]


@pytest.mark.parametrize("broken", [3, [3], [{"failures": 2}], [{"node": 4, "failures": 2}]])
def test_what_cannot_be_read_is_left_out(broken: Any) -> None:
    assert failing_on("bad", failedNodes=broken).status["failedNodes"] == [entry("bad")]
    assert failing_on("bad", failedNodes=[{"node": "bad"}]).status["failedNodes"] == [entry("bad")]


# Where the next attempt goes


def affinity_of(failed_nodes: Any, *, after: Any = 2, template: Any = None) -> Any:
    spec = {**RECIPE, "failurePolicy": {} if after is None else {"excludeNodeAfter": after}}
    if template is not None:
        spec["podTemplate"] = {"spec": {"affinity": template}}
    (gang,) = planned(fresh(spec, status={"attempt": 1, "failedNodes": failed_nodes})).create
    found = [role["template"]["spec"].get("affinity") for role in gang["spec"]["pytorchReplicaSpecs"].values()]
    assert found[0] == found[1]
    return found[0]


def test_every_pod_stays_away_from_the_nodes_with_enough_failures() -> None:
    nodes = [entry("z", 3), entry("once"), entry("a", 2)]
    terms = [{"matchExpressions": [not_in("a", "z")]}]
    assert affinity_of(nodes) == {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": terms}}}


def test_without_such_nodes_or_such_a_wish_pods_go_anywhere() -> None:
    assert affinity_of([entry("once")]) is None
    assert affinity_of([entry("a", 2)], after=None) is None


ZONE = {"key": "zone", "operator": "In", "values": ["x"]}
DISK = {"key": "disk", "operator": "Exists"}
NAMED = {"key": "metadata.name", "operator": "In", "values": ["n1"]}


def test_the_users_own_affinity_still_holds() -> None:
    preferred = [{"weight": 1, "preference": {"matchExpressions": [DISK]}}]
    terms = [
        {"matchExpressions": [ZONE, DISK]},
        {"matchFields": [NAMED]},
        {},
        {"matchExpressions": []},
    ]
    on_nodes = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    mine = {"podAntiAffinity": {}, "nodeAffinity": {**on_nodes, REQUIRED: {"nodeSelectorTerms": terms}}}
    both = [
        {"matchExpressions": [ZONE, DISK, not_in("bad")]},
        {"matchFields": [NAMED], "matchExpressions": [not_in("bad")]},
        {},
        {"matchExpressions": []},
    ]
    expected = {"podAntiAffinity": {}, "nodeAffinity": {**on_nodes, REQUIRED: {"nodeSelectorTerms": both}}}
    assert affinity_of([entry("bad", 2)], template=mine) == expected


def test_our_own_affinity_still_holds() -> None:
    """That of a gang whose data set is on one node."""
    same = {"podAffinity": {REQUIRED: ["ours"]}}
    made = away_from({"affinity": same, "containers": []}, ["bad"])
    assert made["affinity"]["podAffinity"] == same["podAffinity"]
    assert made["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"] == [{"matchExpressions": [not_in("bad")]}]


def test_neither_argument_is_changed() -> None:
    term: Obj = {"matchExpressions": [ZONE]}
    spec: Obj = {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}
    away_from(spec, ["bad"])
    assert term == {"matchExpressions": [ZONE]}
    assert spec == {"affinity": {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}}
