"""What goes wrong with a gang that trains, done to it from outside, and what it cost."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from . import node
from .kube import Kube, Obj

JOB_LABEL = "slipway.dev/training-job"
RESUMED = r"event=resume step=(\d+)"
STEPPED = r"event=step step=(\d+)/"  # the first step of an attempt is told at once

# By whole arguments: this program's own has the name in it too.
STOP_RANKS = """
import os, pathlib, signal

for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"slipway_train.worker" in (process / "cmdline").read_bytes().split(b"\\0"):
        os.kill(int(process.name), signal.SIGSTOP)
        print(process.name)
"""


@dataclass(frozen=True)
class Recovery:
    """`seconds` from the fault to the first step that follows; `steps_lost` had been made and were made again."""

    seconds: float
    steps_lost: int

    def __str__(self) -> str:
        return f"recovered in {self.seconds:.1f} s, {self.steps_lost} steps lost"


def recovered(kube: Kube, namespace: str, pod: str, *, began: float, reached: int) -> Recovery:
    """Wait until `pod`, rank 0's of the next attempt, makes steps. The fault `began` by the monotonic clock, after
    which `reached` was the last step that had been made."""
    resumed = kube.logged(namespace, pod, RESUMED, seconds=180)
    kube.logged(namespace, pod, STEPPED, seconds=60)
    return Recovery(time.monotonic() - began, reached - int(resumed[1]))


def curve(kube: Kube, namespace: str, job: Obj) -> list[tuple[int, float]]:
    """(step, loss) of every step, as rank 0 has written them to the output volume."""
    lines = on_output(kube, namespace, job, "cat metrics.jsonl").splitlines()
    return [(line["step"], line["loss"]) for line in map(json.loads, lines)]


def on_output(kube: Kube, namespace: str, job: Obj, script: str) -> str:
    """What a script prints in the job's own directory on its output volume."""
    metadata = job["metadata"]
    return node.on_volume(kube, namespace, f"{metadata['name']}-output", f"cd {metadata['uid']} && {script}")


def damage_newest_checkpoint(kube: Kube, namespace: str, job: Obj) -> int:
    """Some bytes of its tensors are others now, and its size is what it was. Returns its step."""
    newest = "file=$(ls -d checkpoints/step-* | tail -1)/tensors.safetensors"
    script = f"{newest}; printf damaged | dd of=$file bs=1 seek=4096 conv=notrunc 2>/dev/null && echo $file"
    path = on_output(kube, namespace, job, script)
    return int(path.split("/")[1].removeprefix("step-"))


def stop_ranks(kube: Kube, namespace: str, pod: str) -> None:
    """SIGSTOP: they keep their memory and connections, and do nothing, not even say where they are."""
    argv = ["exec", pod, "--container=pytorch", "--", "python3", "-c", STOP_RANKS]
    assert len(kube.kubectl("-n", namespace, *argv).split()) == 1, "one rank in the pod"


@contextmanager
def drained(kube: Kube, namespace: str, job: str) -> Iterator[None]:
    """The job's pods are evicted, as `kubectl drain` does it, and until this is left no pod is put on their nodes. The
    other pods stay: on the bed's only node is the operator, too."""
    pods = kube.items(namespace, "pods", f"{JOB_LABEL}={job}")
    nodes = {pod["spec"]["nodeName"] for pod in pods}
    kube.kubectl("cordon", *nodes)
    try:
        for pod in pods:
            evict(kube, namespace, pod["metadata"]["name"])
        yield
    finally:
        kube.kubectl("uncordon", *nodes)


def evict(kube: Kube, namespace: str, pod: str) -> None:
    """By the eviction API. One that has gone meanwhile with the rest of its gang needs none."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace}}
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
    done = kube.run("kubectl", "create", "--raw", path, "-f", "-", stdin=json.dumps(body), check=False)
    assert done.returncode == 0 or "not found" in done.stderr.lower(), done.stderr


@contextmanager
def held(kube: Kube, namespace: str, pod: str) -> Iterator[None]:
    """The pod ends when it is deleted, but its object stays until this is left: the moment between two gangs."""
    finalizers(kube, namespace, pod, "e2e.slipway.dev/held")
    try:
        yield
    finally:
        finalizers(kube, namespace, pod)


def finalizers(kube: Kube, namespace: str, pod: str, *names: str) -> None:
    patch = json.dumps({"metadata": {"finalizers": list(names)}})
    kube.kubectl("-n", namespace, "patch", "pod", pod, "--type=merge", "-p", patch)
