"""Which Go builds the bed's programs: the machine's own, or a release that is fetched as a module."""

import io
import json
import os
from pathlib import Path

import pytest
from bed import toolchain
from bed.places import Places
from bed.shell import Failure
from bed.steps import Steps

from .fake_shell import FakeShell


def steps() -> Steps:
    return Steps(out=io.StringIO())


def downloads(places: Places, checksum: str = toolchain.SUM) -> str:
    """What `go mod download -json` says, once it has unpacked the release."""
    root = places.scratch / "toolchain" / "golang.org"

    def unpack(_: list[str]) -> str:
        for program in ("bin/go", "pkg/tool/linux_amd64/compile", "src/fmt/print.go"):
            (root / program).parent.mkdir(parents=True)
            (root / program).write_text("x")
            (root / program).chmod(0o444)
        return json.dumps({"Dir": str(root), "Sum": checksum})

    return unpack  # type: ignore[return-value]


@pytest.fixture
def go_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bed.toolchain.shutil.which", lambda program: f"/usr/bin/{program}")


@pytest.mark.usefixtures("go_is_there")
@pytest.mark.parametrize("version", ["go1.26.0", "go1.27rc1", "go2.0"])
def test_the_machines_own_is_used_when_it_is_new_enough(tmp_path: Path, version: str) -> None:
    path, shell = os.environ["PATH"], FakeShell({"go env GOVERSION": f"{version}\n"})
    toolchain.ensure(Places(tmp_path), shell, steps())
    assert os.environ["PATH"] == path
    assert shell.ran("go mod") == []


@pytest.mark.usefixtures("go_is_there")
@pytest.mark.parametrize("version", ["go1.19.8\n", Failure("invalid go version '1.26.0'")])
def test_an_older_one_fetches_one_that_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: object) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    places = Places(tmp_path)
    shell = FakeShell({"go env GOVERSION": version, "go mod download": downloads(places)})  # type: ignore[dict-item]
    toolchain.ensure(places, shell, steps())
    assert os.environ["PATH"] == f"{tmp_path}/go/bin:/usr/bin"
    modes = [(places.go / name).stat().st_mode & 0o777 for name in ("bin/go", "pkg/tool/linux_amd64/compile")]
    assert modes == [0o755, 0o755]
    assert (places.go / "src/fmt/print.go").stat().st_mode & 0o777 == 0o444
    assert not (places.scratch / "toolchain").exists()
    toolchain.ensure(places, shell, steps())
    assert len(shell.ran("go mod download")) == 1


@pytest.mark.usefixtures("go_is_there")
def test_another_release_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    places = Places(tmp_path)
    shell = FakeShell({"go env GOVERSION": "go1.19.8", "go mod download": downloads(places, "h1:another")})
    with pytest.raises(Failure, match="its hash is h1:another"):
        toolchain.ensure(places, shell, steps())
    assert not places.go.exists()


def test_without_any_go_debians_is_installed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bed.toolchain.shutil.which", lambda program: None if program == "go" else program)
    monkeypatch.setenv("PATH", "/usr/bin")
    places = Places(tmp_path)
    shell = FakeShell({"go mod download": downloads(places)})
    toolchain.ensure(places, shell, steps())
    assert shell.commands[:2] == ["apt-get update", "apt-get install --yes --no-install-recommends golang-go"]
