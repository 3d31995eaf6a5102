"""Put images from the engine into the cluster's nodes, skipping those that are there already.

What a node has is written down on the node itself, so that it is right for exactly as long as the node lives.
"""

from __future__ import annotations

from bed.cluster import Cluster
from bed.shell import Failure, Shell
from bed.steps import Steps

LOADED = "/var/lib/slipway-loaded"


def import_command(node: str) -> list[str]:
    """Return the command that reads an image archive from stdin into a node."""
    return ["docker", "exec", "--interactive", node, "ctr", "--namespace=k8s.io", "images", "import", "--digests", "-"]


def record_command(node: str, tag: str, identity: str) -> list[str]:
    """Return the command that notes on a node that this image is there."""
    new = f"{LOADED}.new"
    note = f"grep -v ' {tag}$' {LOADED} >{new} 2>/dev/null; echo '{identity} {tag}' >>{new}; mv {new} {LOADED}"
    return ["docker", "exec", node, "sh", "-c", note]


class Loader:
    """Loads images into every node of one cluster."""

    def __init__(self, cluster: Cluster, shell: Shell, steps: Steps) -> None:
        """Nothing is loaded until load() is called."""
        self._cluster, self._shell, self._steps = cluster, shell, steps

    def load(self, tags: list[str]) -> None:
        """Make sure that every running node has these images, as the engine has them now."""
        nodes = self._cluster.nodes(running_only=True)
        if not nodes:
            raise Failure(f"cluster {self._cluster.name} has no running node: run `up` first")
        wanted = {tag: self._identity(tag) for tag in tags}
        for node in nodes:
            have = self._loaded(node)
            missing = {tag: identity for tag, identity in wanted.items() if have.get(tag) != identity}
            if not missing:
                self._steps.skip(f"load into {node}", f"has all {len(wanted)}")
                continue
            with self._steps.step(f"load into {node}: {' '.join(missing)}"):
                self._shell.pipe(["docker", "save", *missing], import_command(node))
                for tag, identity in missing.items():
                    self._shell.run(record_command(node, tag, identity))

    def _identity(self, tag: str) -> str:
        try:
            return self._shell.run(["docker", "image", "inspect", "--format", "{{.Id}}", tag]).strip()
        except Failure as failure:
            raise Failure(f"the engine has no image {tag}: build it first (`images`)") from failure

    def _loaded(self, node: str) -> dict[str, str]:
        """Return what a node has: tag to image id."""
        text = self._shell.run(["docker", "exec", node, "sh", "-c", f"cat {LOADED} 2>/dev/null || true"])
        return {tag: identity for identity, tag in (line.split() for line in text.splitlines())}
