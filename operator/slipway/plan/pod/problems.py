"""Why a pod does not run, as its own status tells: the one reason, of all pods and containers, that explains the rest.

A pull that fails is named before a pod that found no node, and that before a container that cannot start: the earlier
ones do not mend themselves, and the later ones are often their consequence.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from ..conditions import Finding
from ..observed import Container, Pod

IMAGE_PULL_FAILED = "ImagePullFailed"
UNSCHEDULABLE = "Unschedulable"
CONTAINER_NOT_STARTED = "ContainerNotStarted"
CRASH_LOOPING = "CrashLooping"
CONTAINER_FAILED = "ContainerFailed"

PULL = " cannot pull its image: "
PAUSE = "Back-off pulling image"  # how the kubelet's message begins between two tries

PRECEDENCE = (IMAGE_PULL_FAILED, UNSCHEDULABLE, CONTAINER_NOT_STARTED, CRASH_LOOPING, CONTAINER_FAILED)

# What the kubelet writes into state.waiting.reason.
PULLING = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
        "RegistryUnavailable",
    }
)
STARTING = frozenset(
    {
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
        "PreCreateHookError",
        "PreStartHookError",
        "PostStartHookError",
    }
)


def problem(pod: Pod) -> Finding | None:
    """Why this pod does not run; None when nothing is wrong, or nothing is known yet. Names pod and container."""
    return _first([_scheduling(pod), *(_container(pod, container) for container in pod.containers)])


def first_problem(pods: Iterable[Pod]) -> Finding | None:
    """The most telling problem of these pods: by `PRECEDENCE`, then by the pod's name."""
    return _first([problem(pod) for pod in sorted(pods, key=lambda pod: pod.name)])


def steady(found: Finding | None, before: Mapping[str, Any] | None) -> Finding | None:
    """`found`, in the words of the condition `before` where the kubelet only pauses between two pulls of an image.

    It says one thing when a pull fails and another while it waits; a status that followed would never be at rest.
    """
    if found is None or before is None or before.get("reason") != found.reason:
        return found
    where, pull, why = found.message.partition(PULL)
    told = str(before.get("message", ""))
    return Finding(found.reason, told) if why.startswith(PAUSE) and told.startswith(f"{where}{pull}") else found


def _first(found: list[Finding | None]) -> Finding | None:
    real = [finding for finding in found if finding]
    return min(real, key=lambda finding: PRECEDENCE.index(finding.reason), default=None)


def _scheduling(pod: Pod) -> Finding | None:
    if pod.scheduled or not pod.unschedulable_message:
        return None
    return Finding(UNSCHEDULABLE, f"pod {pod.name} finds no node: {pod.unschedulable_message}")


def _container(pod: Pod, container: Container) -> Finding | None:
    where = f"container {container.name} of pod {pod.name}"
    why = container.message or container.reason
    if container.state == "terminated":
        failed = container.exit_code not in (None, 0)
        return Finding(CONTAINER_FAILED, f"{where} {ending(container)}") if failed else None
    if container.state != "waiting":
        return None
    if container.reason in PULLING:
        return Finding(IMAGE_PULL_FAILED, f"{where}{PULL}{why}")
    if container.reason in STARTING:
        return Finding(CONTAINER_NOT_STARTED, f"{where} cannot start: {why}")
    if container.reason == "CrashLoopBackOff":
        return Finding(CRASH_LOOPING, f"{where} keeps ending: it {last_ending(container)}")
    return None


def ending(container: Container) -> str:
    """How a terminated container ended: `exited with 1 (Error): last words`."""
    return _sentence(container.exit_code, container.reason, container.message)


def last_ending(container: Container) -> str:
    """How the container's run before this one ended."""
    return _sentence(container.last_exit_code, container.last_reason, container.last_message)


def _sentence(exit_code: int | None, reason: str, message: str) -> str:
    code = f"exited with {exit_code}" if exit_code is not None else "ended"
    named = f" ({reason})" if reason else ""
    said = f": {message.strip()}" if message.strip() else ""
    return f"{code}{named}{said}"
