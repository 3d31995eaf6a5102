"""One kind cluster: made, found again, repaired or replaced, and deleted."""

from __future__ import annotations

import contextlib

from bed import kindconfig
from bed.modes import Mode
from bed.places import CLUSTER_DIR, Places
from bed.shell import Failure, Shell
from bed.steps import Steps

CLUSTER_LABEL = "io.x-k8s.kind.cluster"
READY_SECONDS = 180
RESTART_SECONDS = 150


class Cluster:
    """A cluster by name. Its state is read from the engine each time, never remembered."""

    def __init__(self, name: str, places: Places, shell: Shell, steps: Steps) -> None:
        """Nothing is made until up() is called."""
        self.name = name
        self._places, self._shell, self._steps = places, shell, steps

    def nodes(self, *, running_only: bool = False) -> list[str]:
        """Return the names of the node containers, the control plane first."""
        command = ["docker", "ps", "--filter", f"label={CLUSTER_LABEL}={self.name}", "--format", "{{.Names}}"]
        names = self._shell.run(command if running_only else [*command, "--all"]).split()
        return sorted(names, key=lambda name: ("control-plane" not in name, name))

    def kubectl(self, *words: str, stdin: str | None = None, timeout_seconds: float = 120) -> str:
        """Run kubectl against this cluster."""
        command = ["kubectl", "--kubeconfig", str(self._places.kubeconfig(self.name)), *words]
        return self._shell.run(command, stdin=stdin, timeout_seconds=timeout_seconds)

    def up(self, *, mode: Mode, image: str, nodes: int) -> None:
        """Make sure that the cluster is there with this many nodes, from this node image, and Ready."""
        found = self.nodes()
        if found and self._fits(found, image=image, nodes=nodes) and self._revive(found):
            self._steps.skip(f"cluster {self.name}", f"Ready, {len(found)} node(s)")
            return
        if found:
            with self._steps.step(f"cluster {self.name}: delete what cannot be used ({', '.join(found)})"):
                self.delete()
        with self._steps.step(f"cluster {self.name}: kind create, {nodes} node(s) from {image.split('@')[0]}"):
            self._create(mode=mode, image=image, nodes=nodes)
        with self._steps.step(f"cluster {self.name}: wait until its nodes are Ready"):
            self._wait_ready(READY_SECONDS)

    def delete(self) -> None:
        """Delete the node containers and the kubeconfig, whatever state they are in."""
        kubeconfig = self._places.kubeconfig(self.name)
        with contextlib.suppress(Failure):
            self._shell.run(["kind", "delete", "cluster", "--name", self.name, "--kubeconfig", kubeconfig])
        for node in self.nodes():
            self._shell.run(["docker", "rm", "--force", "--volumes", node])
        self.forget()

    def forget(self) -> None:
        """Delete the kubeconfig alone: all that can be done where no engine answers."""
        self._places.kubeconfig(self.name).unlink(missing_ok=True)

    def is_ready(self) -> bool:
        """Whether the API server answers and every node is Ready, now."""
        try:
            self._wait_ready(3)
        except Failure:
            return False
        return True

    def _fits(self, found: list[str], *, image: str, nodes: int) -> bool:
        """Whether these containers are of the size and image that is asked for."""
        wanted = self._shell.run(["docker", "image", "inspect", "--format", "{{.Id}}", image]).strip()
        images = self._shell.run(["docker", "inspect", "--format", "{{.Image}}", *found]).split()
        if len(found) != nodes:
            self._steps.say(f"cluster {self.name}: has {len(found)} node(s), {nodes} asked for")
        elif set(images) != {wanted}:
            self._steps.say(f"cluster {self.name}: its node image is not the current {image}")
        return len(found) == nodes and set(images) == {wanted}

    def _revive(self, found: list[str]) -> bool:
        """Start nodes that are stopped, and say whether the cluster is Ready: a machine may have been switched off."""
        stopped = sorted(set(found) - set(self.nodes(running_only=True)))
        if stopped:
            with self._steps.step(f"cluster {self.name}: start {', '.join(stopped)}"):
                if not self._shell.ok(["docker", "start", *stopped]):
                    return False
        try:
            self._export_kubeconfig()
            self._wait_ready(RESTART_SECONDS if stopped else READY_SECONDS / 3)
        except Failure as failure:
            self._steps.say(f"cluster {self.name}: not Ready: {str(failure)[-300:]}")
            return False
        return True

    def _create(self, *, mode: Mode, image: str, nodes: int) -> None:
        config = kindconfig.kind_config(mode=mode, nodes=nodes, patches=CLUSTER_DIR / "patches")
        command = ["kind", "create", "cluster", "--name", self.name, "--image", image, "--config", "-", "--retain"]
        try:
            self._shell.run(
                [*command, "--kubeconfig", self._places.kubeconfig(self.name)], stdin=config, timeout_seconds=900
            )
        except Failure as failure:
            raise Failure(f"{failure}\n{self._last_words()}") from failure

    def _last_words(self) -> str:
        """Return the ends of the first node's logs: what kind prints rarely says why a node did not come up."""
        said = []
        for node in self.nodes()[:1]:
            for command in (
                ["docker", "logs", "--tail=20", node],
                ["docker", "exec", node, "tail", "-20", "/var/log/kubelet.log"],
            ):
                with contextlib.suppress(Failure):
                    said.append(f"--- {' '.join(command)}\n{self._shell.run(command)}")
        return "\n".join(said)

    def _export_kubeconfig(self) -> None:
        command = ["kind", "export", "kubeconfig", "--name", self.name, "--kubeconfig"]
        self._shell.run([*command, self._places.kubeconfig(self.name)])

    def _wait_ready(self, seconds: float) -> None:
        """Wait for the API server, then for the nodes."""
        self._shell.run(
            [
                *("kubectl", "--kubeconfig", self._places.kubeconfig(self.name), "wait", "--for=condition=Ready"),
                *("node", "--all", f"--timeout={seconds:.0f}s"),
            ],
            timeout_seconds=seconds + 20,
        )
