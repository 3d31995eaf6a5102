from __future__ import annotations

import importlib.machinery
import importlib.util
import io
import os
import signal
from pathlib import Path
from types import ModuleType

import pytest
from bed import engine
from bed.engine import Engine, EngineFiles, dockerd_command, lacks_capabilities, mounts_below
from bed.places import CLUSTER_DIR, Places
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import FakeShell
from .test_processes import process

ALL = "Name:\tx\nCapBnd:\t000001ffffffffff\n"
WITHOUT_RESOURCE = "Name:\tx\nCapBnd:\t000001fffeffffff\n"


def runtime() -> ModuleType:
    """Load the runtime wrapper, whose file has no suffix."""
    path = str(CLUSTER_DIR / "engine" / "runc-present-caps")
    loader = importlib.machinery.SourceFileLoader("runc_present_caps", path)
    spec = importlib.util.spec_from_loader("runc_present_caps", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_only_a_machine_that_lacks_a_capability_gets_another_runtime(tmp_path: Path) -> None:
    files = EngineFiles(data=tmp_path)
    assert lacks_capabilities(WITHOUT_RESOURCE)
    assert not lacks_capabilities(ALL)
    assert any("present-caps" in word for word in dockerd_command(files, lacks_capabilities=True))
    assert not any("present-caps" in word for word in dockerd_command(files, lacks_capabilities=False))


def test_the_engine_keeps_everything_in_its_own_places(tmp_path: Path) -> None:
    files = EngineFiles(data=tmp_path / "docker", run=tmp_path / "run")
    command = dockerd_command(files, lacks_capabilities=False)
    for option in ("--data-root=", "--exec-root=", "--pidfile="):
        assert any(word.startswith(f"{option}{tmp_path}") for word in command)


def test_the_runtime_takes_out_what_is_missing_and_nothing_else() -> None:
    module = runtime()
    missing = module.missing_capabilities(WITHOUT_RESOURCE)
    process = {"capabilities": {"bounding": ["CAP_KILL", "CAP_SYS_RESOURCE"]}, "oomScoreAdj": -999}
    module.trim(process, missing)
    assert missing == {"CAP_SYS_RESOURCE"}
    assert process == {"capabilities": {"bounding": ["CAP_KILL"]}, "oomScoreAdj": 0}


def test_the_runtime_leaves_a_whole_machine_alone() -> None:
    module = runtime()
    process = {"capabilities": {"bounding": ["CAP_SYS_RESOURCE"]}, "oomScoreAdj": -999}
    module.trim(process, module.missing_capabilities(ALL))
    assert process == {"capabilities": {"bounding": ["CAP_SYS_RESOURCE"]}, "oomScoreAdj": -999}


def test_mounts_are_undone_from_the_deepest() -> None:
    table = "overlay /c/docker/a overlay rw 0 0\nproc /c/docker/a/proc proc rw 0 0\next4 /c/dockerfiles ext4 rw 0 0\n"
    assert mounts_below(Path("/c/docker"), table=table) == ["/c/docker/a/proc", "/c/docker/a"]


@pytest.fixture
def files(tmp_path: Path) -> EngineFiles:
    """The engine's places on a machine without processes and mounts, none of them this machine's."""
    files = EngineFiles(
        data=tmp_path / "docker", run=tmp_path / "run", socket=tmp_path / "socket", proc=tmp_path / "proc"
    )
    files.exec_root.mkdir(parents=True)
    files.proc.mkdir()
    (files.proc / "mounts").touch()
    return files


@pytest.fixture
def signals(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """What was signalled how: nothing is."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    return sent


def engine_with(files: EngineFiles, shell: FakeShell, out: io.StringIO | None = None) -> Engine:
    return Engine(Places(files.data.parent), shell, Steps(out=out or io.StringIO()), files)


def test_nothing_is_cleared_from_under_a_daemon_that_does_not_end(
    files: EngineFiles, signals: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "STOP_SECONDS", 0)
    process(files.proc, 7, *dockerd_command(files, lacks_capabilities=False))
    with pytest.raises(Failure, match=r"process 7\) still runs 0 s after SIGTERM.*`kill -9 7`"):
        engine_with(files, FakeShell()).stop()
    assert signals == [(7, signal.SIGTERM)]
    assert files.exec_root.is_dir()


def test_what_a_killed_daemon_left_is_cleared(files: EngineFiles, signals: list[tuple[int, int]]) -> None:
    """Its shim lives, its containers are mounted, and nothing answers."""
    process(files.proc, 8, "containerd-shim-runc-v2", "-address", f"{files.exec_root}/containerd/containerd.sock")
    merged = files.data / "overlay2" / "a" / "merged"
    (files.proc / "mounts").write_text(f"overlay {merged} overlay rw 0 0\n")
    for left in (files.pid, files.socket):
        left.touch()
    shell = FakeShell({"docker version": Failure("no daemon")})
    engine_with(files, shell).stop()
    assert signals == [(8, signal.SIGKILL)]
    assert shell.ran("umount") == [f"umount --lazy {merged}"]
    assert not any(left.exists() for left in (files.exec_root, files.pid, files.socket))


@pytest.mark.parametrize(
    ("answers", "told"),
    [("20.10.24", "not the bed's: left as it is"), (Failure("no daemon"), "none runs, and none of the bed's left")],
    ids=["another's", "none"],
)
def test_where_nothing_is_the_beds_nothing_is_touched(
    answers: str | Failure, told: str, files: EngineFiles, signals: list[tuple[int, int]]
) -> None:
    files.exec_root.rmdir()
    files.socket.touch()
    out = io.StringIO()
    engine_with(files, FakeShell({"docker version": answers}), out).stop()
    assert told in out.getvalue()
    assert files.socket.exists()
    assert signals == []


def test_the_engine_of_another_cache_is_left_its_directory(files: EngineFiles, signals: list[tuple[int, int]]) -> None:
    process(files.proc, 7, "dockerd", "--data-root=/another/docker", f"--exec-root={files.exec_root}")
    engine_with(files, FakeShell()).stop()
    assert files.exec_root.is_dir()
    assert signals == []
