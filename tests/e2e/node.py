"""What happens to the cluster's nodes from outside: an image comes to be there, a label, a file on a volume."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from bed.loading import in_node

from .kube import Kube, Obj


def run(node: str, *words: str, stdin: str | None = None) -> str:
    """What the words print in the node; AssertionError where they fail."""
    argv = in_node(node, *words, stdin=stdin is not None)
    done = subprocess.run(argv, check=False, input=stdin, capture_output=True, text=True)
    assert done.returncode == 0, f"{node}: {' '.join(words)}: {done.stderr}"
    return done.stdout


@contextmanager
def image(kube: Kube, name: str, *, like: str) -> Iterator[None]:
    """While this is entered, every node has an image of that name, the same as `like`."""
    containerd = ("ctr", "--namespace=k8s.io", "images")
    nodes = [node["metadata"]["name"] for node in kube.items("default", "nodes")]
    for node in nodes:
        run(node, *containerd, "tag", like, name)
    try:
        yield
    finally:
        for node in nodes:
            run(node, *containerd, "rm", name)


@contextmanager
def label(kube: Kube, name: str) -> Iterator[None]:
    """While this is entered, every node has the label, with the value `yes`."""
    kube.kubectl("label", "nodes", "--all", f"{name}=yes")
    try:
        yield
    finally:
        kube.kubectl("label", "nodes", "--all", f"{name}-")


def copy_on_volume(kube: Kube, namespace: str, claim: str, source: str, target: str) -> None:
    """A directory of a claim is copied beside itself, and is whole as soon as it is there."""
    on_volume(kube, namespace, claim, f"cp -a {source} {target}.new && mv {target}.new {target}")


def on_volume(kube: Kube, namespace: str, claim: str, script: str, *, stdin: str | None = None) -> str:
    """What a shell's script prints in a claim's directory, on the node and not in a pod."""
    volume = _volume(kube, namespace, claim)
    path = (volume["spec"].get("hostPath") or volume["spec"]["local"])["path"]
    return run(_node_of(volume), "sh", "-c", f"cd {path} && {script}", stdin=stdin)


def _volume(kube: Kube, namespace: str, claim: str) -> Obj:
    bound = kube.get(namespace, "persistentvolumeclaim", claim)
    assert bound is not None
    volume = kube.get(namespace, "persistentvolume", bound["spec"]["volumeName"])
    assert volume is not None
    return volume


def _node_of(volume: Obj) -> str:
    """A volume of the bed's provisioner is a directory of one node."""
    [term] = volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"]
    node: str = term["matchExpressions"][0]["values"][0]
    return node
