"""How far a replica is that does not answer yet, in a sentence: what its pod shows, and no guess beyond it.

The engine is a program of others: from outside, reading weights, compiling and capturing graphs look the same until it
listens. So all of it is called loading, with the time by which it must have given a token.
"""

from collections.abc import Iterable

from ..clock import rfc3339
from ..names import MAIN_CONTAINER, MODEL_CHECK_CONTAINER
from ..observed import Pod

GENERAL = "a replica is ready when its engine has generated a token"


def told(pods: Iterable[Pod], startup_seconds: int) -> str:
    """Of the first that is not ready, by name."""
    unready = sorted((pod for pod in pods if not pod.ready), key=lambda pod: pod.name)
    stages = (stage for pod in unready if (stage := _stage(pod, startup_seconds)))
    return next(stages, GENERAL)


def _stage(pod: Pod, startup_seconds: int) -> str:
    containers = {container.name: container for container in pod.containers if container.state == "running"}
    main, check = containers.get(MAIN_CONTAINER), containers.get(MODEL_CHECK_CONTAINER)
    if main is None:
        return f"pod {pod.name}: the model's files are checked" if check else ""
    if main.started:
        return f"pod {pod.name}: the engine has given tokens and owes one now"
    if main.since is None:
        return ""
    until = rfc3339(main.since + startup_seconds)
    return f"pod {pod.name}: the engine loads since {rfc3339(main.since)}, and has until {until} for its first token"
