"""Say what there is: the engine, the cluster, its add-ons and images, and the disk that it takes."""

from __future__ import annotations

from bed.cluster import Cluster
from bed.engine import Engine
from bed.loading import LOADED
from bed.places import Places
from bed.shell import Failure, Shell
from bed.steps import Steps


def print_status(engine: Engine, cluster: Cluster, places: Places, shell: Shell, steps: Steps) -> None:
    """Print one paragraph per thing; raise Failure unless the cluster is Ready, so that a script can ask."""
    if not engine.runs():
        raise Failure("no container engine answers; `up` starts one")
    steps.say(f"container engine: runs ({'started by the bed' if engine.is_ours() else 'not the bed’s'})")
    nodes = cluster.nodes()
    if not nodes:
        raise Failure(f"there is no cluster {cluster.name}; `up` makes it")
    if not cluster.is_ready():
        raise Failure(f"cluster {cluster.name} ({', '.join(nodes)}) is not Ready; `up` repairs or replaces it")
    steps.say(f"cluster {cluster.name}: Ready; KUBECONFIG={places.kubeconfig(cluster.name)}")
    _paragraph(steps, "nodes", cluster.kubectl("get", "nodes", "--output=wide", "--no-headers"))
    columns = "NAMESPACE:.metadata.namespace,NAME:.metadata.name,READY:.status.readyReplicas,WANTED:.spec.replicas"
    _paragraph(steps, "deployments", cluster.kubectl("get", "deploy", "-A", f"--output=custom-columns={columns}"))
    for node in cluster.nodes(running_only=True):
        try:
            loaded = shell.run(["docker", "exec", node, "cat", LOADED])
        except Failure:
            loaded = ""
        _paragraph(steps, f"images loaded into {node}", "\n".join(line.split()[1] for line in loaded.splitlines()))
    _paragraph(steps, "disk", shell.run(["du", "--summarize", "--human-readable", places.cache]))


def _paragraph(steps: Steps, title: str, text: str) -> None:
    steps.say(f"{title}:")
    for line in text.splitlines():
        steps.out.write(f"          {line}\n")
