"""spec.elastic: with how many nodes each attempt is made, when one is given up for another size, and who is told."""

from dataclasses import replace
from typing import Any

import pytest

from slipway.plan.observed import Verdict
from slipway.plan.outcome import Event
from slipway.plan.training.elastic import resize, told
from slipway.plan.training.size import Size, read

from .builders import (
    COMMAND,
    EARLIER_TEXT,
    NOTHING_THERE,
    NOW,
    RECIPE,
    all_told,
    apart,
    asked,
    claim_child,
    conditions,
    failed,
    fresh,
    gang,
    gang_ref,
    live,
    planned,
    pod,
    pod_ref,
    running_status,
    situation,
    with_gang,
)
from .builders import told as said

WAIT, GROW = 300, 3600
ELASTIC = {**RECIPE, "nodes": 4, "elastic": {"minNodes": 2}}
READ = {pod_ref(f"demo-{k}-master-0"): {"status": {"phase": "Running"}} for k in range(5)}
READ |= {gang_ref(k): {} for k in range(5)}
NO_ROOM = "0/3 nodes are available: 3 Insufficient cpu."


def bound(role: str, attempt: int = 0, *, ago: float = WAIT, **changes: Any) -> Any:
    return pod(role, attempt, phase="Pending", created=NOW - ago, bound=NOW - ago, **changes)


def roomless(role: str, attempt: int = 0, *, ago: float = WAIT, **changes: Any) -> Any:
    fields = {"scheduled": False, "unschedulable_message": apart(NO_ROOM), "node": "", **changes}
    return pod(role, attempt, phase="Pending", created=NOW - ago, **fields)


def waiting(room: int, of: int = 4, attempt: int = 0, **changes: Any) -> tuple[Any, ...]:
    """The pods of an attempt of which the first `room` have a node."""
    roles = ["master-0", *(f"worker-{index}" for index in range(of - 1))]
    make = [bound] * room + [roomless] * (of - room)
    return tuple(each(role, attempt, **changes) for each, role in zip(make, roles, strict=True))


def sized_gang(nodes: int, attempt: int = 0, **changes: Any) -> Any:
    return gang(attempt, labels={"slipway.dev/nodes": apart(str(nodes))}, created=NOW - 2 * WAIT, **changes)


def seen(*pods: Any, nodes: int = 4, attempt: int = 0, spec: Any = None, status: Any = None, **changes: Any) -> Any:
    children = (claim_child(), sized_gang(nodes, attempt))
    what = with_gang(*pods, spec=ELASTIC if spec is None else spec, status=status, attempt=attempt)
    return replace(what, **{"children": children, "read": READ, **changes})


def small(attempt: int = 1, nodes: int = 3, **more: Any) -> Any:
    """The status of an attempt with fewer nodes, which runs since an hour before NOW."""
    return running_status(attempt, elastic={"nodes": nodes, "message": "no room", "resizes": 1}, **more)


def runs(nodes: int, attempt: int) -> tuple[Any, ...]:
    return tuple(pod(role, attempt) for role in ["master-0", *(f"worker-{k}" for k in range(nodes - 1))])


# -- how many nodes an attempt has


def test_the_first_attempt_has_all_nodes() -> None:
    made = planned(fresh(ELASTIC))
    (body,) = made.create
    assert body["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == 3
    assert body["metadata"]["labels"]["slipway.dev/nodes"] == "4"
    assert made.status["elastic"] == {"nodes": 4}


def test_a_job_that_is_not_elastic_says_nothing_of_it() -> None:
    made = planned(fresh())
    assert "elastic" not in made.status
    assert "slipway.dev/nodes" not in made.create[0]["metadata"]["labels"]


@pytest.mark.parametrize(("nodes", "workers"), [(2, 1), (3, 2), (4, 3), (1, 3), (5, 3), ("2", 3), (None, 3)])
def test_an_attempt_has_what_was_written_with_its_number_where_that_is_allowed(nodes: Any, workers: int) -> None:
    made = planned(fresh(ELASTIC, status={"attempt": 1, "elastic": {"nodes": nodes}}))
    assert made.create[0]["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] == workers


def test_what_was_written_of_another_attempt_is_not_taken() -> None:
    """A gang that is ahead of the status that we see tells its own size."""
    old = {"attempt": 1, "elastic": {"nodes": 2}}
    assert situation(seen(attempt=2, nodes=3, status=old)).spec.nodes == 3
    assert situation(seen(attempt=2, nodes=4, status=old)).spec.nodes == 4


def test_a_gang_of_one_has_no_workers() -> None:
    spec = {**ELASTIC, "elastic": {"minNodes": 1}}
    made = planned(fresh(spec, status={"attempt": 1, "elastic": {"nodes": 1}}))
    assert list(made.create[0]["spec"]["pytorchReplicaSpecs"]) == ["Master"]


def test_a_scheduler_that_knows_gangs_places_as_many_as_are_enough() -> None:
    made = planned(fresh({**ELASTIC, "scheduling": {"scheduler": "volcano"}}))
    assert made.create[0]["spec"]["runPolicy"]["schedulingPolicy"] == {"minAvailable": 2}


# -- shrink


def test_an_attempt_goes_on_with_those_that_have_a_node() -> None:
    made = planned(seen(*waiting(2)))
    why = "2 of 4 pods of attempt 0 had a node, and no other got one for 300 s"
    assert made.status["attempt"] == 1
    assert made.status["elastic"] == {"nodes": 2, "message": why, "resizes": 1}
    assert said(made)["Running"] == ("False", "Restarting", f"{why}: the next attempt has 2")
    assert said(made)["Restarting"] == ("True", "Shrunk", f"{why}: the next attempt has 2")
    assert Event("Normal", "Shrunk", f"{why}: the next attempt has 2") in made.events
    assert [event.type for event in made.events if event.reason == "Restarting"] == []
    assert (made.apply, made.create, made.delete) == ((), (), ()), "the number is written before anything is deleted"
    assert {"restarts", "lastFailure", "failedNodes"} & set(made.status) == set()


def test_the_next_attempt_is_made_at_once_with_so_many() -> None:
    status = {"attempt": 1, "elastic": {"nodes": 2, "message": "why", "resizes": 1}}
    made = planned(fresh(ELASTIC, status=status))
    assert made.create[0]["metadata"]["name"] == "demo-1"
    assert made.create[0]["metadata"]["labels"]["slipway.dev/nodes"] == "2"
    assert made.status["elastic"] == status["elastic"]


def test_nothing_shrinks_before_the_wait_is_over() -> None:
    made = planned(seen(*waiting(2, ago=WAIT - 7)))
    assert (made.status["attempt"], made.requeue_after) == (0, 7)
    more = "; 2 of 4 pods have a node; if no other gets one for 300 s, the gang goes on with fewer"
    assert said(made)["Running"] == ("False", "Unschedulable", f"pod demo-0-worker-1 finds no node: {NO_ROOM}{more}")


def test_every_pod_that_gets_a_node_begins_the_wait_anew() -> None:
    late = replace(bound("worker-0"), bound=NOW - 100)
    made = planned(seen(waiting(1)[0], late, *waiting(2)[2:]))
    assert (made.status["attempt"], made.requeue_after) == (0, WAIT - 100)


def test_with_too_little_room_it_waits_and_says_so() -> None:
    made = planned(seen(*waiting(1, ago=10 * WAIT)))
    assert (made.status["attempt"], made.requeue_after) == (0, None)
    assert said(made)["Running"][2].endswith("; 1 of 4 pods have a node, and elastic.minNodes is 2: it waits for room")


def test_a_pod_that_is_not_made_finds_no_room_either() -> None:
    pods = waiting(3)
    assert planned(seen(*pods[1:])).status["elastic"]["nodes"] == 2


@pytest.mark.parametrize(
    "pods",
    [
        (*waiting(2)[:2], *(pod(role, phase="Pending", scheduled=False) for role in ("worker-1", "worker-2"))),
        (*waiting(3)[:2], pod("worker-1", phase="Pending", scheduled=False), waiting(3)[3]),
        waiting(2)[:2],
        waiting(4),
    ],
    ids=[
        "nobody looked for a node yet",
        "nobody looked for one of the nodes yet",
        "not made",
        "all have a node, and start",
    ],
)
def test_only_pods_that_find_no_node_let_it_shrink(pods: Any) -> None:
    assert resize(situation(seen(*pods))) is None


QUOTA = "exceeded quota: small, requested: pods=1, used: pods=2, limited: pods=2"


def refused(*pods: Any, complaint: str = QUOTA, **changes: Any) -> Any:
    """Seen, after the API server was asked why the others do not come."""
    what = seen(*pods, **changes)
    return replace(what, verdicts={digest: Verdict(complaint) for digest, _ in asked(what).templates})


def test_a_quota_without_room_is_shrunk_to_as_well() -> None:
    made = planned(refused(*waiting(2)[:2]))
    why = "2 of 4 pods of attempt 0 had a node, and no other got one for 300 s"
    assert (made.status["attempt"], made.status["elastic"]["nodes"]) == (1, 2)
    assert said(made)["Restarting"] == ("True", "Shrunk", f"{why}: the next attempt has 2")


def test_until_then_it_is_told_what_the_quota_said_and_what_comes() -> None:
    made = planned(refused(*waiting(2, ago=WAIT - 7)[:2]))
    more = "; 2 of 4 pods have a node; if no other gets one for 300 s, the gang goes on with fewer"
    told_before = f"2 of 4 pods exist; the API server refuses the pods: {QUOTA}"
    assert said(made)["Running"] == ("False", "PodsRefused", f"{told_before}{more}")
    assert (made.status["attempt"], made.requeue_after, made.look_again) == (0, 7, True)


@pytest.mark.parametrize(
    "what",
    [
        refused(*waiting(1)[:1]),
        refused(*waiting(2)[:2], complaint="denied the request: no images from there"),
        refused(waiting(2)[0], pod("worker-0", phase="Pending", scheduled=False)),
        refused(*waiting(2)[:2], spec={**RECIPE, "nodes": 4}),
    ],
    ids=["less than minNodes", "no matter of room", "one was not looked at yet", "not elastic"],
)
def test_other_pods_that_are_not_made_are_waited_for(what: Any) -> None:
    made = planned(what)
    assert made.status["attempt"] == 0
    assert said(made)["Running"][1] == "PodsRefused"


def test_what_another_clock_said_is_not_waited_for() -> None:
    day = 86_400.0
    assert resize(situation(seen(*waiting(2, ago=-day)))) is not None
    assert resize(situation(seen(*waiting(2, ago=-30)))) is None, "clocks are not that exact"


def test_a_pod_that_goes_holds_no_room() -> None:
    pods = waiting(2)
    assert resize(situation(seen(pods[0], replace(pods[1], deleting=True), *pods[2:]))) is None


def test_a_gang_that_is_held_or_is_not_elastic_does_not_shrink() -> None:
    held = (claim_child(), sized_gang(4, suspended=True))
    assert resize(situation(seen(*waiting(2), children=held))) is None
    assert resize(situation(seen(*waiting(2), spec={**RECIPE, "nodes": 4}))) is None


def test_a_pod_that_is_lost_after_all_ran_is_a_failure_and_not_a_shrinking() -> None:
    made = planned(seen(*runs(3, 0), roomless("worker-2"), status=running_status(), read={**READ, **NOT_STARTED}))
    assert (made.status["attempt"], made.status["restarts"]) == (1, 1)
    assert made.status["elastic"] == {"nodes": 4}, "the next attempt asks for all"


NOT_STARTED = {pod_ref("demo-0-worker-2"): {"status": {"phase": "Pending"}}}


@pytest.mark.parametrize(
    ("spec", "room", "nodes"),
    [
        ({"nodes": 8, "elastic": {"minNodes": 2}}, 7, 4),  # 16 sequences
        ({"nodes": 8, "elastic": {"minNodes": 2}}, 3, 2),
        ({"nodes": 8, "elastic": {"minNodes": 1}, "perNode": 2, "training": {"steps": 9, "batchSize": 12}}, 5, 3),
    ],
)
def test_it_shrinks_to_what_can_share_the_work(spec: Any, room: int, nodes: int) -> None:
    made = planned(seen(*waiting(room, 8), nodes=8, spec={**RECIPE, **spec}))
    assert made.status["elastic"]["nodes"] == nodes
    assert f"({room} cannot share the batch or the model evenly)" in made.status["elastic"]["message"]


def test_a_program_of_the_users_has_what_there_is() -> None:
    spec = {**COMMAND, "nodes": 8, "elastic": {"minNodes": 2}}
    assert planned(seen(*waiting(7, 8), nodes=8, spec=spec)).status["elastic"]["nodes"] == 7


def test_what_has_shrunk_shrinks_again() -> None:
    spec = {**RECIPE, "nodes": 8, "elastic": {"minNodes": 2}}
    status = {"attempt": 1, "elastic": {"nodes": 4, "message": "no room", "resizes": 1}}
    made = planned(seen(*waiting(2, attempt=1), attempt=1, spec=spec, status=status))
    assert (made.status["attempt"], made.status["elastic"]["nodes"], made.status["elastic"]["resizes"]) == (2, 2, 2)


# -- it runs smaller, and grows


def test_who_looks_sees_how_many_nodes_there_are_and_why() -> None:
    made = planned(seen(*runs(3, 1), attempt=1, nodes=3, status=small()), NOW - 7)
    message = "attempt 1 runs on 3 pods of 4: no room; it tries 4 after 3600 s"
    assert said(made)["Running"] == ("True", "Running", message)
    assert made.status["elastic"] == {"nodes": 3, "message": "no room", "resizes": 1}
    assert (made.status["attempt"], made.requeue_after) == (1, 7)


def test_after_a_while_it_tries_all_nodes() -> None:
    status = small(allocation={"seconds": 0, "deviceSeconds": 0, "since": EARLIER_TEXT, "until": EARLIER_TEXT})
    made = planned(seen(*runs(3, 1), attempt=1, nodes=3, status=status))
    message = "attempt 1 ran on 3 of 4 nodes for 3600 s: the next attempt tries 4"
    assert (made.status["attempt"], made.status["elastic"]) == (2, {"nodes": 4, "resizes": 2})
    assert said(made)["Restarting"] == ("True", "Grown", message)
    assert Event("Normal", "Grown", message) in made.events
    assert (made.create, made.delete) == ((), ())
    assert "restarts" not in made.status
    assert made.status["runningSeconds"] == 3600
    assert made.status["allocation"]["deviceSeconds"] == 3 * made.status["allocation"]["seconds"] == 3 * 3600


def test_before_a_gang_is_given_up_it_is_read_whether_it_is_done() -> None:
    what = seen(*runs(3, 1), attempt=1, nodes=3, status=small(), read={})
    assert planned(what).reads == (pod_ref("demo-1-master-0"), gang_ref(1))
    done = {**READ, pod_ref("demo-1-master-0"): live("Succeeded", 1)}
    assert said(planned(replace(what, read=done)))["Complete"][0] == "True"


def test_with_all_nodes_there_is_nothing_to_grow_to() -> None:
    made = planned(seen(*runs(4, 2), attempt=2, status=running_status(2, elastic={"nodes": 4, "resizes": 2})))
    assert (made.status["attempt"], made.requeue_after) == (2, None)
    assert said(made)["Running"][2] == "attempt 2 runs on 4 pods"


def test_what_stops_to_run_does_not_grow() -> None:
    """A suspension comes first; a gang that waits for its pods has its own clock."""
    spec = {**ELASTIC, "suspend": True}
    made = planned(seen(*runs(3, 1), attempt=1, nodes=3, status=small(), spec=spec))
    assert said(made)["Running"][1] == "Suspending"
    assert made.status["elastic"] == {"nodes": 4, "resizes": 1}, "going on begins with all nodes"
    starting = {**small(), "conditions": conditions(Running=("False", "WaitingForPods", ""))}
    assert resize(situation(seen(*runs(3, 1), attempt=1, nodes=3, status=starting))) is None


def test_a_failure_of_a_small_gang_begins_the_next_with_all_nodes() -> None:
    made = planned(seen(failed(attempt=1), *runs(3, 1)[1:], attempt=1, nodes=3, status=small()))
    assert (made.status["attempt"], made.status["restarts"]) == (2, 1)
    assert made.status["elastic"] == {"nodes": 4, "resizes": 1}
    assert [event.reason for event in made.events if event.type == "Warning"] == ["Restarting"]


def test_what_the_status_says_of_another_attempt_is_no_reason() -> None:
    ahead = situation(seen(attempt=2, nodes=3, status=small(1)))
    assert told(ahead, None, attempt=2) == Size(3, resizes=1)


def test_a_size_that_nobody_wrote_is_none() -> None:
    assert read({"elastic": {"nodes": "3"}}) is None
    assert read({"elastic": []}) is read({}) is None
    assert read({"elastic": {"nodes": 3, "message": 7, "resizes": "x"}}) == Size(3)


# -- what is refused


def test_a_model_must_fit_with_the_fewest_nodes_too() -> None:
    """FSDP shares the state out: with fewer processes each has more of it."""
    large = {"vocabSize": 32000, "contextLength": 512, "hiddenSize": 2048, "layers": 32, "heads": 16, "kvHeads": 16}
    template = {"spec": {"nodeSelector": {"nvidia.com/gpu.product": "NVIDIA-L4"}}}
    spec = {**RECIPE, "accelerator": "nvidia", "strategy": "fsdp", "model": large, "podTemplate": template}
    spec |= {"nodes": 4, "activationCheckpointing": "full"}
    assert all_told(planned(fresh(spec)))["Accepted"][0] == "True"
    alone = planned(fresh({**spec, "nodes": 1}, read=NOTHING_THERE))
    assert all_told(alone)["Accepted"][1] == "DoesNotFit"
    made = planned(fresh({**spec, "elastic": {"minNodes": 1}}))
    assert all_told(made)["Accepted"][:2] == ("False", "DoesNotFit")
    assert all_told(made)["Accepted"][2].startswith("with the 1 of spec.elastic.minNodes, spec.model: fsdp")
    assert all_told(planned(fresh({**spec, "elastic": {"minNodes": 2}})))["Accepted"][0] == "True"
