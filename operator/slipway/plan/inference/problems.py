"""Why replicas do not answer: the ordered list of what a person should be told first.

What every pod can suffer from (image, scheduling, configuration) is decided in ../pod/problems.py; here stands what
only an inference pod has: a model that its check refuses, an engine that exits, or that had to be ended (wedges.py).
"""

from collections.abc import Callable, Iterable

from ..conditions import Finding, find
from ..names import MAIN_CONTAINER, MODEL_CHECK_CONTAINER
from ..observed import Child, Container, Pod
from ..pod.problems import first_problem
from .served import Served, described
from .wedges import engine_wedged

MODEL_CHECK_FAILED = "ModelCheckFailed"
SIGNALLED = (137, 143)  # how the kubelet ends a container: by SIGTERM, and by SIGKILL when that was not enough
OOM_KILLED = "OOMKilled"
TAIL_CHARACTERS = 1500  # of a container's last words: a traceback says at its end what was wrong

Check = Callable[[Pod], Finding | None]


def model_check_failed(pod: Pod) -> Finding | None:
    ended = _exit(pod, MODEL_CHECK_CONTAINER)
    if ended is None or ended[0] == 0:
        return None
    return Finding(MODEL_CHECK_FAILED, f"pod {pod.name}: {_words(ended[2]) or f'exit code {ended[0]}'}")


def engine_crashed(pod: Pod) -> Finding | None:
    """An engine is never to end, so that exit code 0 counts too."""
    ended = _exit(pod, MAIN_CONTAINER)
    if ended is None:
        return None
    code, reason, message = ended
    restarts = next(container.restarts for container in pod.containers if container.name == MAIN_CONTAINER)
    signalled = "a signal: spec.startupSeconds may be over" if code in SIGNALLED and reason != OOM_KILLED else ""
    how = ", ".join(part for part in (f"exit code {code}", reason, signalled, f"restarts: {restarts}") if part)
    return Finding("EngineCrashed", f"pod {pod.name}: the engine ended ({how}): {_words(message) or 'no last words'}")


def placed(problem: Finding | None, served: Served) -> Finding | None:
    """The check knows the model by where the pod mounts it, a person by its claim."""
    if problem is None or problem.reason != MODEL_CHECK_FAILED:
        return problem
    return Finding(problem.reason, f"{problem.message} (the model is {described(served)})")


CHECKS: tuple[Check, ...] = (model_check_failed, engine_wedged, engine_crashed)


def pod_problem(pods: Iterable[Pod]) -> Finding | None:
    """The most telling problem of the pods that are not ready: by precedence of the check, then by pod name."""
    unready = sorted((pod for pod in pods if not pod.ready), key=lambda pod: pod.name)
    own = (finding for check in CHECKS for pod in unready if (finding := check(pod)))
    return next(own, None) or first_problem(unready)


def pods_refused(deployment: Child | None) -> Finding | None:
    """A quota or an admission policy that refuses the pods themselves: there is no pod to tell of it."""
    condition = find(deployment.status, "ReplicaFailure") if deployment else None
    if condition is None or condition.get("status") != "True":
        return None
    return Finding("PodsRefused", f"the API server refuses the pods: {condition.get('message')}")


def no_progress(deployment: Child | None) -> Finding | None:
    condition = find(deployment.status, "Progressing") if deployment else None
    if condition is None or condition.get("status") != "False":
        return None
    return Finding("NoProgress", f"the Deployment makes no progress: {condition.get('message')}")


def _exit(pod: Pod, name: str) -> tuple[int, str, str] | None:
    """(code, reason, message) of the container's end, this time or, while it waits or runs again, the last time."""
    container = next((container for container in pod.containers if container.name == name), None)
    if container is None:
        return None
    code, reason, message = _ending(container)
    return None if code is None else (code, reason, message)


def _ending(container: Container) -> tuple[int | None, str, str]:
    if container.state == "terminated":
        return container.exit_code, container.reason, container.message
    return container.last_exit_code, container.last_reason, container.last_message


def _words(message: str) -> str:
    return message.strip()[-TAIL_CHARACTERS:]
