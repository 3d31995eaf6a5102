"""Put images from the engine into the cluster's nodes: those that are not there, and of them the layers that are not.

What a node has is written down on the node itself, so that it is right for exactly as long as the node lives.
"""

from __future__ import annotations

from pathlib import Path
from typing import IO

from bed.archive import thin
from bed.cluster import Cluster
from bed.places import Places
from bed.shell import Failure, Shell
from bed.steps import Steps

LOADED = "/var/lib/slipway-loaded"


def in_node(node: str, *words: str, stdin: bool = False) -> list[str]:
    """Return the command that runs something in a node."""
    return ["docker", "exec", *(["--interactive"] if stdin else []), node, *words]


def import_command(node: str) -> list[str]:
    """Return the command that reads an image archive from stdin into a node."""
    return in_node(node, "ctr", "--namespace=k8s.io", "images", "import", "-", stdin=True)


def record_command(node: str, tag: str, identity: str) -> list[str]:
    """Return the command that notes on a node that this image is there."""
    new = f"{LOADED}.new"
    note = f"grep -v ' {tag}$' {LOADED} >{new} 2>/dev/null; echo '{identity} {tag}' >>{new}; mv {new} {LOADED}"
    return in_node(node, "sh", "-c", note)


class Loader:
    """Loads images into every node of one cluster."""

    def __init__(self, cluster: Cluster, places: Places, shell: Shell, steps: Steps) -> None:
        """Nothing is loaded until load() is called."""
        self._cluster, self._places, self._shell, self._steps = cluster, places, shell, steps

    def load(self, tags: list[str]) -> None:
        """Make sure that every running node has these images, as the engine has them now."""
        nodes = self._cluster.nodes(running_only=True)
        if not nodes:
            raise Failure(f"cluster {self._cluster.name} has no running node: run `up` first")
        have = {node: self._loaded(node) for node in nodes}
        identities = {tag: self._identity(tag) for tag in tags}
        lacking = {tag: [node for node in nodes if have[node].get(tag) != identities[tag]] for tag in tags}
        for tag in tags:
            if not lacking[tag]:
                self._steps.skip(f"load {tag}", "there")
        moved = {tag: where for tag, where in lacking.items() if where}
        if moved:
            self._move(moved, identities)
        for tag, where in moved.items():
            for node in where:
                self._forget(node, have[node].get(tag))

    def _move(self, moved: dict[str, list[str]], identities: dict[str, str]) -> None:
        """Save them together: what images share, torch for one, is then written once."""
        saved = self._places.scratch / "saved.tar"
        saved.parent.mkdir(parents=True, exist_ok=True)
        with self._steps.step(f"docker save {' '.join(moved)}"):
            self._shell.run(["docker", "save", "--output", saved, *moved])
        try:
            for tag, nodes in moved.items():
                for node in nodes:
                    with self._steps.step(f"load {tag} into {node}"):
                        self._import(saved, tag, node)
                        self._shell.run(record_command(node, tag, identities[tag]))
        finally:
            saved.unlink(missing_ok=True)

    def _import(self, saved: Path, tag: str, node: str) -> None:
        present = set(self._shell.run(in_node(node, "ctr", "--namespace=k8s.io", "content", "ls", "--quiet")).split())

        def write(out: IO[bytes]) -> None:
            written = thin(saved, tag, present, out)
            megabytes = sum(layer.size for layer in written) / 1e6
            self._steps.say(f"  {len(written)} layer(s) that {node} lacks, {megabytes:.0f} MB")

        self._shell.feed(write, import_command(node))

    def _forget(self, node: str, old: str | None) -> None:
        """Let a node drop what a tag meant before: by its id it would stay, and nothing else collects it."""
        if old and old not in self._loaded(node).values():
            self._shell.ok(in_node(node, "ctr", "--namespace=k8s.io", "images", "rm", old))

    def _identity(self, tag: str) -> str:
        try:
            return self._shell.run(["docker", "image", "inspect", "--format", "{{.Id}}", tag]).strip()
        except Failure as failure:
            raise Failure(f"the engine has no image {tag}: build it first (`images`)") from failure

    def _loaded(self, node: str) -> dict[str, str]:
        """Return what a node has: tag to image id."""
        text = self._shell.run(in_node(node, "sh", "-c", f"cat {LOADED} 2>/dev/null || true"))
        return {tag: identity for identity, tag in (line.split() for line in text.splitlines())}
