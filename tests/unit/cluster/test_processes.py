"""What the bed would signal, by the command lines of a machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from bed.processes import daemons_with, engine_processes

ROOT = Path("/run/slipway/docker")
DATA_ROOT = "--data-root=/cache/docker"


def process(proc: Path, pid: int, *command: str) -> None:
    """A process with this command line, as /proc shows it."""
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "cmdline").write_bytes("".join(f"{word}\0" for word in command).encode())


OURS = {
    "dockerd": ("dockerd", DATA_ROOT, f"--exec-root={ROOT}"),
    "containerd": ("/usr/bin/containerd", "--config", f"{ROOT}/containerd/containerd.toml", "--log-level", "info"),
    "shim": ("/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-address", f"{ROOT}/containerd/x.sock"),
    "runc": ("runc", "--root", f"{ROOT}/runtime-runc/moby", "kill", "abc", "9"),
}
OTHERS = {
    "an editor": ("vim", f"{ROOT}/containerd/containerd.toml"),
    "a shell": ("bash", "-c", f"dockerd {DATA_ROOT} --exec-root={ROOT}"),
    "a search": ("grep", "-r", "x", str(ROOT)),
    "another engine": ("/usr/bin/containerd", "--config", "/run/docker/containerd/containerd.toml"),
    "another root": ("dockerd", f"{DATA_ROOT}-2", f"--exec-root={ROOT}-2"),
    "a root within another": ("dockerd", "--data-root=/srv/cache/docker", f"--exec-root=/srv{ROOT}"),
    "one that has ended": (),
}


@pytest.mark.parametrize("command", OURS.values(), ids=OURS.keys())
def test_what_the_engine_started_is_found(command: tuple[str, ...], tmp_path: Path) -> None:
    process(tmp_path, 7, *command)
    assert engine_processes(ROOT, proc=tmp_path) == [7]


@pytest.mark.parametrize("command", OTHERS.values(), ids=OTHERS.keys())
def test_what_only_mentions_the_engines_directories_is_not(command: tuple[str, ...], tmp_path: Path) -> None:
    process(tmp_path, 7, *command)
    (tmp_path / "self").mkdir()
    assert engine_processes(ROOT, proc=tmp_path) == []
    assert daemons_with(DATA_ROOT, proc=tmp_path) == []


def test_only_dockerd_is_the_daemon(tmp_path: Path) -> None:
    for pid, command in enumerate(OURS.values(), start=1):
        process(tmp_path, pid, *command)
    assert daemons_with(DATA_ROOT, proc=tmp_path) == [1]
