"""status of a pod, as the kubelet writes it."""

from slipway.plan.observed import Obj


def unscheduled(now: str) -> Obj:
    why = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    return {"phase": "Pending", "conditions": [_condition("PodScheduled", "False", now, "Unschedulable", why)]}


def running(pod: Obj, since: str, *, ready: bool) -> Obj:
    state = {"running": {"startedAt": since}}
    mains = [_container(c, state, ready=ready) for c in pod["spec"]["containers"]]
    return _status("Running", mains, _inits(pod, since, ready=ready), since, ready=ready)


def again(pod: Obj, since: str, now: str, restarts: int, *, ready: bool) -> Obj:
    """The engine was wedged: it was killed, the sidecar ended with it, and both run again."""
    said = "no token for 12 s: 3 requests are in the engine"
    ends = {"main": (137, ""), "slipway-engine": (3, said)}
    status = running(pod, now, ready=ready)
    for entry in (*status["containerStatuses"], *status["initContainerStatuses"]):
        if entry["name"] in ends:
            code, words = ends[entry["name"]]
            last = {"exitCode": code, "reason": "Error", "message": words, "startedAt": since, "finishedAt": now}
            entry.update({"restartCount": restarts, "lastState": {"terminated": last}})
    return status


def ended(pod: Obj, since: str, now: str, exit_code: int, message: str, reason: str) -> Obj:
    why = "Completed" if exit_code == 0 else "Error"
    state = {"terminated": {"exitCode": exit_code, "reason": why, "startedAt": since, "finishedAt": now}}
    mains = [_container(c, state, ready=False) for c in pod["spec"]["containers"]]
    if message and mains:
        mains[0]["state"] = {"terminated": {**state["terminated"], "message": message}}
    status = _status("Failed" if exit_code else "Succeeded", mains, _inits(pod, since, ready=False), since, ready=False)
    return {**status, "reason": reason, "message": "The node was low on memory."} if reason else status


def pulling(pod: Obj, now: str, reason: str, message: str) -> Obj:
    state = {"waiting": {"reason": reason, "message": message}}
    return _status(
        "Pending", [_container(c, state, ready=False) for c in pod["spec"]["containers"]], [], now, ready=False
    )


def unmounted(pod: Obj, now: str) -> Obj:
    """A node, and a volume that cannot be mounted: only the pod's events say which."""
    state = {"waiting": {"reason": "ContainerCreating"}}
    mains = [_container(c, state, ready=False) for c in pod["spec"]["containers"]]
    status = _status("Pending", mains, [], now, ready=False)
    return {**status, "conditions": [_condition("PodReadyToStartContainers", "False", now), *status["conditions"]]}


def waiting(pod: Obj, now: str, reason: str, exit_code: int, message: str) -> Obj:
    last = {
        "terminated": {
            "exitCode": exit_code,
            "reason": "Error",
            "message": message,
            "startedAt": now,
            "finishedAt": now,
        }
    }
    state = {"waiting": {"reason": reason, "message": "back-off 5m0s restarting failed container"}}
    mains = [
        {**_container(c, state, ready=False), "lastState": last, "restartCount": 5} for c in pod["spec"]["containers"]
    ]
    return _status("Running", mains, _inits(pod, now, ready=False), now, ready=False)


def _inits(pod: Obj, since: str, *, ready: bool) -> list[Obj]:
    done = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": since, "finishedAt": since}}
    runs = {"running": {"startedAt": since}}
    inits = pod["spec"].get("initContainers") or []
    return [
        _container(c, runs if c.get("restartPolicy") == "Always" else done, ready=ready or "restartPolicy" not in c)
        for c in inits
    ]


def _container(container: Obj, state: Obj, *, ready: bool) -> Obj:
    image = container.get("image", "")
    return {"name": container["name"], "state": state, "ready": ready, "restartCount": 0, "image": image, "imageID": ""}


def _status(phase: str, mains: list[Obj], inits: list[Obj], since: str, *, ready: bool) -> Obj:
    conditions = [
        _condition("PodScheduled", "True", since),
        _condition("Initialized", "True", since),
        _condition("Ready", "True" if ready else "False", since),
    ]
    return {
        "phase": phase,
        "conditions": conditions,
        "containerStatuses": mains,
        "initContainerStatuses": inits,
        "startTime": since,
    }


def _condition(kind: str, status: str, since: str, reason: str = "", message: str = "") -> Obj:
    made = {"type": kind, "status": status, "lastTransitionTime": since}
    return {**made, "reason": reason, "message": message} if reason else made
