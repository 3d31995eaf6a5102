"""Go, which the bed's programs are built with: the machine's own if it is new enough, else one in the cache.

Go's releases are Go modules too ("Go Toolchains" in its documentation), so any older Go, such as Debian's, can fetch
one through whatever module proxy the machine is set up for. What came is held to a hash that stands here, as by a
go.sum.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from bed.places import MODULES, Places
from bed.setup import apt_install
from bed.shell import Failure, Shell
from bed.steps import Steps

GO_VERSION = "1.26"  # the newest that a module asks for
RELEASE = "1.26.8"
MODULE = f"golang.org/toolchain@v0.0.1-go{RELEASE}.linux-amd64"
SUM = "h1:ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM="


def ensure(places: Places, shell: Shell, steps: Steps) -> None:
    """Put a Go that is new enough first on PATH, for this process and what it starts. Raises Failure."""
    if is_new_enough(shell):
        return
    own = places.go / "bin"
    if not (own / "go").exists():
        fetch(places, shell, steps)
    os.environ["PATH"] = f"{own}:{os.environ.get('PATH', '')}"


def is_new_enough(shell: Shell) -> bool:
    """Whether the Go on PATH, or the one that it would fetch for our modules by itself, is."""
    if not shutil.which("go"):
        return False
    try:
        said = shell.run(["go", "env", "GOVERSION"], cwd=MODULES / "kubernetes")
    except Failure:  # one so old that it cannot read the module's file
        return False
    found = re.match(r"go(\d+)\.(\d+)", said)
    return found is not None and (int(found[1]), int(found[2])) >= tuple(map(int, GO_VERSION.split(".")))


def fetch(places: Places, shell: Shell, steps: Steps) -> None:
    """Go's release into the cache. Raises Failure where no Go can be had to fetch it with, or another came."""
    if not shutil.which("go"):
        apt_install(["golang-go"], shell, steps)
    scratch = places.scratch / "toolchain"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    with steps.step(f"go mod download {MODULE}"):
        settings = {"GOMODCACHE": str(scratch), "GOFLAGS": "-modcacherw", "GOTOOLCHAIN": "local"}
        command = ["go", "mod", "download", "-json", MODULE]
        told = json.loads(shell.run(command, cwd=scratch, env=settings, timeout_seconds=900))
        if told["Sum"] != SUM:
            raise Failure(f"{MODULE} is not what it was: its hash is {told['Sum']}, and {SUM} was expected")
        make_programs(Path(told["Dir"]))
        shutil.rmtree(places.go, ignore_errors=True)
        Path(told["Dir"]).replace(places.go)
    shutil.rmtree(scratch, ignore_errors=True)


def make_programs(root: Path) -> None:
    """Say which files are programs: a module's archive does not."""
    for program in (*root.glob("bin/*"), *root.glob("pkg/tool/*/*")):
        program.chmod(0o755)
