from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType

from bed.engine import EngineFiles, dockerd_command, lacks_capabilities, mounts_below, processes_with
from bed.places import CLUSTER_DIR

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


def test_a_process_is_found_by_its_command_line(tmp_path: Path) -> None:
    for pid, command in (("7", b"dockerd\0--data-root=/mine\0"), ("8", b"dockerd\0--data-root=/other\0")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "cmdline").write_bytes(command)
    (tmp_path / "self").mkdir()
    assert processes_with("--data-root=/mine", proc=tmp_path) == [7]


def test_mounts_are_undone_from_the_deepest() -> None:
    table = "overlay /c/docker/a overlay rw 0 0\nproc /c/docker/a/proc proc rw 0 0\next4 /c/dockerfiles ext4 rw 0 0\n"
    assert mounts_below(Path("/c/docker"), table=table) == ["/c/docker/a/proc", "/c/docker/a"]
