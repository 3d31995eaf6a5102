"""Why a pod does not run."""

from typing import Any

import pytest

from slipway.plan.conditions import Finding
from slipway.plan.pod import problems

from ..training.builders import container, pod

WHERE = "container pytorch of pod demo-0-master-0"


def with_container(state: Any, **changes: Any) -> Any:
    return pod(phase="Pending", containers=(container(state, **changes),))


@pytest.mark.parametrize(
    "reason",
    [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    ],
)
def test_an_image_that_cannot_be_pulled(reason: Any) -> None:
    found = problems.problem(with_container("waiting", reason=reason, message='pulling "x:1"'))
    assert found == Finding("ImagePullFailed", f'{WHERE} cannot pull its image: pulling "x:1"')


@pytest.mark.parametrize(
    "reason",
    [
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    ],
)
def test_a_container_that_cannot_start(reason: Any) -> None:
    assert problems.problem(with_container("waiting", reason=reason)) == Finding(
        "ContainerNotStarted", f"{WHERE} cannot start: {reason}"
    )


def test_a_container_that_keeps_ending() -> None:
    state = {"reason": "CrashLoopBackOff", "message": "back-off 5m0s", "last_exit_code": 1}
    found = problems.problem(with_container("waiting", **state, last_reason="Error", last_message=" no such model\n"))
    assert found == Finding("CrashLooping", f"{WHERE} keeps ending: it exited with 1 (Error): no such model")


def test_a_container_that_ended() -> None:
    found = problems.problem(with_container("terminated", exit_code=1, reason="Error", message="bad"))
    assert found == Finding("ContainerFailed", f"{WHERE} exited with 1 (Error): bad")


@pytest.mark.parametrize(
    "fine",
    [
        container("waiting", reason="ContainerCreating"),
        container("waiting", reason="PodInitializing"),
        container("running", reason="ErrImagePull"),
        container("running", exit_code=1),
        container("terminated", exit_code=0),
        container("terminated"),
        container("unknown", reason="ErrImagePull"),
    ],
)
def test_what_is_no_problem(fine: Any) -> None:
    assert problems.problem(pod(containers=(fine,))) is None


def test_a_pod_that_finds_no_node() -> None:
    waiting = pod(phase="Pending", scheduled=False, unschedulable_message="0/1 nodes are available")
    expected = Finding("Unschedulable", "pod demo-0-master-0 finds no node: 0/1 nodes are available")
    assert problems.problem(waiting) == expected


@pytest.mark.parametrize("state", [{"scheduled": True, "unschedulable_message": "old"}, {"scheduled": False}])
def test_a_pod_that_is_or_may_soon_be_scheduled(state: Any) -> None:
    assert problems.problem(pod(phase="Pending", **state)) is None


PULL = container("waiting", name="b", reason="ErrImagePull")
START = container("waiting", name="c", reason="RunContainerError")
CRASH = container("waiting", name="d", reason="CrashLoopBackOff")
FAIL = container("terminated", name="e", exit_code=1)


@pytest.mark.parametrize(
    ("containers", "unschedulable", "reason"),
    [
        ((FAIL, CRASH, START, PULL), "no node", "ImagePullFailed"),
        ((FAIL, CRASH, START), "no node", "Unschedulable"),
        ((FAIL, CRASH, START), "", "ContainerNotStarted"),
        ((FAIL, CRASH), "", "CrashLooping"),
        ((FAIL,), "", "ContainerFailed"),
    ],
)
def test_the_most_telling_reason_comes_first(containers: Any, unschedulable: Any, reason: Any) -> None:
    what = pod(phase="Pending", scheduled=False, unschedulable_message=unschedulable, containers=containers)
    found = problems.problem(what)
    assert found is not None
    assert found.reason == reason


def test_of_several_pods_the_reason_decides_and_then_the_name() -> None:
    failed, pulling = pod("a", containers=(FAIL,)), pod("c", containers=(PULL,))
    for pods, named in (([failed, pulling], "c"), ([pulling, pod("b", containers=(PULL,))], "b")):
        found = problems.first_problem(pods)
        assert found is not None
        assert found.message.startswith(f"container b of pod demo-0-{named}")
    assert problems.first_problem([pod("a")]) is None
    assert problems.first_problem([]) is None


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({"exit_code": 137, "reason": "OOMKilled"}, "exited with 137 (OOMKilled)"),
        ({"exit_code": 1, "message": "  \n"}, "exited with 1"),
        ({"reason": "ContainerStatusUnknown"}, "ended (ContainerStatusUnknown)"),
        ({"message": "x"}, "ended: x"),
    ],
)
def test_how_a_container_ended(state: Any, sentence: Any) -> None:
    assert problems.ending(container("terminated", **state)) == sentence
    before = {f"last_{name}": value for name, value in state.items()}
    assert problems.last_ending(container("waiting", **before)) == sentence


FAILED_PULL = Finding("ImagePullFailed", f"{WHERE} cannot pull its image: x:1 not found")
PAUSING = Finding("ImagePullFailed", f'{WHERE} cannot pull its image: Back-off pulling image "x:1"')
NO_NODE = Finding("Unschedulable", "pod a finds no node: Back-off pulling image")


def as_condition(found: Finding) -> dict[str, str]:
    return {"reason": found.reason, "message": found.message}


@pytest.mark.parametrize(
    ("found", "before", "told"),
    [
        (PAUSING, FAILED_PULL, FAILED_PULL),
        (PAUSING, PAUSING, PAUSING),
        (FAILED_PULL, PAUSING, FAILED_PULL),
        (PAUSING, Finding("ImagePullFailed", FAILED_PULL.message.replace("master", "worker")), PAUSING),
        (PAUSING, Finding("Unschedulable", FAILED_PULL.message), PAUSING),
        (NO_NODE, Finding("Unschedulable", "pod a finds no node: full"), NO_NODE),
        (None, FAILED_PULL, None),
    ],
)
def test_a_pause_between_two_pulls_is_no_news(found: Any, before: Any, told: Any) -> None:
    assert problems.steady(found, as_condition(before)) == told
    assert problems.steady(found, None) == found
    assert problems.steady(PAUSING, {"reason": "ImagePullFailed"}) == PAUSING
