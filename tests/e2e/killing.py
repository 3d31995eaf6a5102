"""How the operator is killed, and how one knows that a new one is at work."""

import itertools
import subprocess

from .install import SYSTEM
from .kube import Kube, Obj, condition
from .resources import SERVICES, service

OPERATOR = "app.kubernetes.io/name=slipway-operator"
PROCESS = "/opt/slipway/bin/slipway run"
_numbers = itertools.count()


def kill_operator(kube: Kube) -> None:
    """SIGKILL from the node, as the kernel would: nothing is flushed, the Lease is not released.

    The kubelet starts a container again at once after its first crash, and waits longer after each further one: from
    the second on a new pod takes the place, so that no test waits for that, and the next one finds an operator.
    """
    pod = kube.until(SYSTEM, "pods", OPERATOR, lambda seen: runs_since(seen) is not None, seconds=180, selector=True)
    name = pod["metadata"]["name"]
    subprocess.run(["docker", "exec", pod["spec"]["nodeName"], "pkill", "-KILL", "-f", PROCESS], check=True)
    if pod["status"]["containerStatuses"][0]["restartCount"]:
        kube.kubectl("-n", SYSTEM, "delete", "pod", name, "--force", "--grace-period=0")
    else:
        kube.until(SYSTEM, "pods", name, lambda seen: runs_since(seen) != runs_since(pod), seconds=30)


def runs_since(pod: Obj) -> object:
    """When its process was started; None while there is none."""
    statuses = pod["status"].get("containerStatuses") or [{}]
    return statuses[0].get("state", {}).get("running", {}).get("startedAt")


def at_work(kube: Kube, namespace: str) -> None:
    """Wait until an operator leads and looks at what is new: it tells of a mistake that was made after the kill."""
    name = f"canary-{next(_numbers)}"
    kube.apply(namespace, service(name, {"uri": "pvc://absent/model"}))
    kube.until(namespace, SERVICES, name, lambda seen: bool(condition(seen, "ModelReady")), seconds=90)
    kube.kubectl("-n", namespace, "delete", SERVICES, name)
