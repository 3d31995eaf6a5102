"""What is left of an attempt and does not go: whose node does not answer, and what is said and not done about it."""

from typing import Any

import pytest

from slipway.plan.clock import rfc3339
from slipway.plan.observed import Ref

from .builders import EARLIER_TEXT, NOTHING_THERE, NOW, RECIPE, conditions, fresh, gang, planned, pod, told

WHY = "restart 1 of 3: why"
RESTARTED = {
    "attempt": 1,
    "conditions": conditions(Running=("False", "Restarting", WHY), Restarting=("True", "PodFailed", WHY)),
}
NODE = Ref("v1", "Node", "nodes", "", "n1")


def going(name: str = "worker-0", *, late: float | None = 100, node: str = "n1") -> Any:
    return pod(name, deleting=True, node=node, gone_by=None if late is None else NOW - late)


def node(ready: str | None = "Unknown", *taints: str) -> Any:
    listed = [] if ready is None else [{"type": "Ready", "status": ready, "lastTransitionTime": EARLIER_TEXT}]
    return {"spec": {"taints": [{"key": key} for key in taints]}, "status": {"conditions": listed}}


def left(*pods: Any, answer: Any = "unread", status: Any = RESTARTED, **changes: Any) -> Any:
    read = NOTHING_THERE if answer == "unread" else {**NOTHING_THERE, NODE: answer}
    return planned(fresh(status=status, pods=pods, read=read, **changes))


def test_the_node_of_a_pod_that_should_have_gone_is_read() -> None:
    made = left(going())
    assert made.reads == (NODE,)
    assert (made.status, made.events) == (RESTARTED, ())


@pytest.mark.parametrize("ready", ["Unknown", "False", None])
def test_a_node_that_does_not_answer_is_told_with_who_can_decide(ready: Any) -> None:
    made = left(going(), answer=node(ready))
    message = (
        f"{WHY} (waiting for pod demo-0-worker-0 to go): pod demo-0-worker-0 should have gone by {rfc3339(NOW - 100)}, "
        "but node n1 does not answer, and may still run it: it goes when the node is back or its Node object is "
        "deleted; if the machine is off for certain: "
        "kubectl taint node n1 node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
    )
    assert told(made)["Running"] == told(made)["Ready"] == ("False", "NodeUnreachable", message)
    assert [event.reason for event in made.events if event.type == "Warning"] == ["NodeUnreachable"]
    assert made.requeue_after == 30


def test_nothing_is_deleted_by_force_and_no_gang_is_made_beside_it() -> None:
    made = left(going(), answer=node())
    assert (made.delete, made.create, made.apply) == ((), (), ())


def test_the_same_words_for_as_long_as_it_lasts() -> None:
    first = left(going(), answer=node())
    again = planned(fresh(status=first.status, pods=(going(),), read={**NOTHING_THERE, NODE: node()}), NOW + 500)
    assert (again.status, again.events) == (first.status, ())


def test_on_a_node_that_answers_it_is_something_else() -> None:
    made = left(going(), answer=node("True"))
    assert told(made)["Running"][1] == "PodStuck"
    assert told(made)["Running"][2].endswith(
        "but is still on node n1, which is ready: see its finalizers, and the node's kubelet"
    )


@pytest.mark.parametrize("answer", [None, node("Unknown", "other", "node.kubernetes.io/out-of-service")])
def test_a_node_that_is_given_up_needs_no_words(answer: Any) -> None:
    made = left(going(), answer=answer)
    assert told(made)["Running"][1] == "Restarting"
    assert made.requeue_after == 30


@pytest.mark.parametrize(
    ("pods", "again"),
    [
        ((going(late=14),), 1),
        ((going(late=-50), going("master-0", late=-20)), 35),
        ((going(late=None),), None),
        ((pod(),), None),
        ((going(node=""),), 1),
    ],
)
def test_until_its_time_is_over_nobody_asks(pods: Any, again: Any) -> None:
    """And exactly then somebody does. A pod without a node goes at once."""
    made = left(*pods)
    assert (made.reads, told(made)["Running"][1]) == ((), "Restarting")
    assert made.requeue_after == again


def test_one_node_is_enough() -> None:
    assert left(going("master-0", node="n2"), going()).reads == (Ref("v1", "Node", "nodes", "", "n2"),)


def test_pods_of_the_gang_that_should_run_are_not_left_over() -> None:
    made = left(going(), status={"attempt": 0}, children=(gang(),))
    assert made.reads == ()


def test_a_job_that_is_suspended_says_so_too() -> None:
    status = {"attempt": 1, "conditions": conditions(Running=("False", "Suspending", ""))}
    suspended = fresh({**RECIPE, "suspend": True}, status=status, pods=(going(),), read={**NOTHING_THERE, NODE: node()})
    assert told(planned(suspended))["Running"][1] == "NodeUnreachable"
