"""A container engine: the one that runs already, or one that the bed starts, keeps below the cache and can stop.

An engine that was killed leaves files behind and, if only dockerd died, processes too. Starting again first removes
what is below the bed's own directories, and nothing else.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bed.places import CLUSTER_DIR, Places
from bed.processes import PROC, daemons_with, engine_processes, send
from bed.shell import Failure, Shell
from bed.steps import Steps

RUN_DIR = Path("/run/slipway")
SOCKET = Path("/var/run/docker.sock")
START_SECONDS = 60
STOP_SECONDS = 60
CAP_SYS_RESOURCE_BIT = 24


@dataclass(frozen=True)
class EngineFiles:
    """What the bed's own engine keeps where; a test gives it another root."""

    data: Path
    run: Path = RUN_DIR
    socket: Path = SOCKET
    proc: Path = PROC

    @property
    def pid(self) -> Path:
        """The file in which dockerd writes its process id."""
        return self.run / "dockerd.pid"

    @property
    def exec_root(self) -> Path:
        """Where dockerd keeps sockets and the state of running containers."""
        return self.run / "docker"

    @property
    def log(self) -> Path:
        """What dockerd says."""
        return self.data.parent / "dockerd.log"


def dockerd_command(files: EngineFiles, *, lacks_capabilities: bool) -> list[str]:
    """Return the command line of the bed's own dockerd."""
    command = ["dockerd", f"--data-root={files.data}", f"--exec-root={files.exec_root}", f"--pidfile={files.pid}"]
    command += ["--host", f"unix://{files.socket}", "--log-opt=max-size=20m", "--log-opt=max-file=2"]
    if lacks_capabilities:
        # dockerd asks for every capability for kind's privileged node, and runc refuses what this machine's root lacks.
        wrapper = CLUSTER_DIR / "engine" / "runc-present-caps"
        command += [f"--add-runtime=present-caps={wrapper}", "--default-runtime=present-caps"]
    return command


def lacks_capabilities(status: str) -> bool:
    """Whether a /proc/PID/status says that root lacks a capability that an ordinary machine's root has."""
    bounding = next(int(line.split()[1], 16) for line in status.splitlines() if line.startswith("CapBnd:"))
    return not bounding >> CAP_SYS_RESOURCE_BIT & 1


def mounts_below(root: Path, *, table: str) -> list[str]:
    """Return the mount points below a directory, deepest first, from the text of /proc/mounts."""
    points = [line.split()[1] for line in table.splitlines()]
    return sorted((point for point in points if point.startswith(f"{root}/")), key=len, reverse=True)


class Engine:
    """Finds, starts and stops the container engine."""

    def __init__(self, places: Places, shell: Shell, steps: Steps, files: EngineFiles | None = None) -> None:
        """Nothing is started until ensure() is called."""
        self._places, self._shell, self._steps = places, shell, steps
        self._files = files or EngineFiles(data=places.docker_data)

    def runs(self) -> bool:
        """Whether an engine answers, whosever it is."""
        return self._shell.ok(["docker", "version", "--format", "{{.Server.Version}}"], timeout_seconds=20)

    def is_ours(self) -> bool:
        """Whether the bed started the engine that runs."""
        return bool(self._own_daemons())

    def ensure(self) -> None:
        """Make sure that an engine answers; start one if none does."""
        if self.runs():
            whose = "started by the bed" if self.is_ours() else "not the bed's: it is left as it is"
            self._steps.skip("container engine", f"runs ({whose})")
            return
        if not shutil.which("dockerd"):
            raise Failure("no container engine answers, and dockerd is not installed: run `setup` first")
        with self._steps.step("container engine: start dockerd"):
            self.clear_leftovers()
            self._start()

    def stop(self) -> None:
        """Stop the engine that the bed started, or clear what is left of one that was killed."""
        if self.is_ours():
            with self._steps.step("container engine: stop dockerd"):
                self._end_daemons()
                self.clear_leftovers()
        elif self._left_something():
            with self._steps.step("container engine: clear what a killed dockerd of the bed's left"):
                self.clear_leftovers()
        elif self.runs():
            self._steps.skip("container engine", "not the bed's: left as it is")
        else:
            self._steps.skip("container engine", "none runs, and none of the bed's left anything")

    def clear_leftovers(self) -> None:
        """Remove what a killed engine of ours left: shims, containers' processes, mounts, sockets and pid files."""
        for pid in engine_processes(self._files.exec_root, proc=self._files.proc) + self._container_processes():
            send(pid, signal.SIGKILL)
        table = (self._files.proc / "mounts").read_text()
        for root in (self._files.exec_root, self._files.data):
            for point in mounts_below(root, table=table):
                self._shell.ok(["umount", "--lazy", point])
        shutil.rmtree(self._files.exec_root, ignore_errors=True)
        self._files.pid.unlink(missing_ok=True)
        if not self.runs():
            self._files.socket.unlink(missing_ok=True)

    def link_client(self) -> None:
        """Put a docker client that can build with BuildKit first on the bed's PATH.

        A client of version 23 or newer needs the buildx plug-in for that; an older one does it by itself.
        """
        self._places.bin.mkdir(parents=True, exist_ok=True)
        link = self._places.bin / "docker"
        link.unlink(missing_ok=True)
        clients = [Path(p) / "docker" for p in os.environ.get("PATH", "").split(":") if (Path(p) / "docker").is_file()]
        for client in clients:
            if self._builds(client):
                link.symlink_to(client)
                return
        if clients:
            raise Failure(
                f"no docker client can build with BuildKit ({', '.join(map(str, clients))}): install docker-buildx"
            )

    def _builds(self, client: Path) -> bool:
        version = self._shell.run([client, "--version"]).removeprefix("Docker version ")
        return int(version.split(".")[0]) < 23 or self._shell.ok([client, "buildx", "version"])

    def _own_daemons(self) -> list[int]:
        return daemons_with(f"--data-root={self._files.data}", proc=self._files.proc)

    def _end_daemons(self) -> None:
        """Ask dockerd to end and wait until it has: nothing may be cleared from under one that lives."""
        for pid in self._own_daemons():
            send(pid, signal.SIGTERM)
        _wait_until(lambda: not self._own_daemons(), seconds=STOP_SECONDS)
        if left := self._own_daemons():
            pids = " ".join(map(str, left))
            raise Failure(
                f"dockerd (process {pids}) still runs {STOP_SECONDS} s after SIGTERM. {self._files.log} may say why; "
                f"`kill -9 {pids}` ends it, and the same command again clears what it leaves"
            )

    def _left_something(self) -> bool:
        """Whether a dockerd was killed in the bed's own directory, where none lives now, not even another cache's."""
        alive = daemons_with(f"--exec-root={self._files.exec_root}", proc=self._files.proc)
        return not alive and (self._files.exec_root.exists() or self._files.pid.exists())

    def _container_processes(self) -> list[int]:
        """Return the processes of this data root's containers: with their shims gone, nobody else stops them."""
        known = {path.name for path in (self._files.data / "containers").glob("*")}
        pids: set[int] = set()
        for group in Path("/sys/fs/cgroup").glob("**/docker/*"):
            if group.name in known:
                for listing in group.rglob("cgroup.procs"):
                    pids |= {int(pid) for pid in listing.read_text().split()}
        return sorted(pids)

    def _start(self) -> None:
        self._files.run.mkdir(parents=True, exist_ok=True)
        self._files.data.mkdir(parents=True, exist_ok=True)
        lacking = lacks_capabilities(Path("/proc/self/status").read_text())
        with self._files.log.open("ab") as log:
            daemon = subprocess.Popen(
                dockerd_command(self._files, lacks_capabilities=lacking),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if (
            not _wait_until(lambda: self.runs() or daemon.poll() is not None, seconds=START_SECONDS)
            or daemon.poll() is not None
        ):
            tail = self._files.log.read_text(errors="replace")[-2000:]
            raise Failure(f"dockerd did not start. The end of {self._files.log}:\n{tail}")


def _wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.3)
    return True
