"""Build programs from the pinned Go modules into the cache.

All missing programs of one module are built by one `go build`: they share almost everything, and one command keeps both
cores busy. The Go build cache is the bed's own, so that it may be dropped without asking anyone.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from bed import lock, stamps, toolchain
from bed.compiling import Compiling
from bed.places import MODULES, Places
from bed.programs import BY_NAME, PROGRAMS, Program, ldflags
from bed.shell import Failure, Shell
from bed.steps import Steps, numbered

GO_CACHE_LIMIT_BYTES = 12 * 1024**3


def program_stamp(program: Program, *, modules: Path = MODULES) -> str:
    """Return what this program is built from, as a hash."""
    pins = stamps.file_parts(modules, [program.module_dir])
    return stamps.stamp([program.package, ldflags(program), *pins])


def choose(names: Iterable[str]) -> list[Program]:
    """Return the named programs in building order; all of them when none is named."""
    wanted = list(names) or list(BY_NAME)
    unknown = sorted(set(wanted) - BY_NAME.keys())
    if unknown:
        raise Failure(f"no such program: {', '.join(unknown)}. There are: {', '.join(BY_NAME)}")
    return [program for program in PROGRAMS if program.name in wanted]


def batches(programs: Iterable[Program]) -> list[list[Program]]:
    """Group programs that one `go build` can make: same module, same linker flags."""
    groups: dict[tuple[str, str], list[Program]] = {}
    for program in programs:
        groups.setdefault((program.module_dir, ldflags(program)), []).append(program)
    return list(groups.values())


class GoBuilder:
    """Builds what is missing or out of date."""

    def __init__(self, places: Places, shell: Shell, steps: Steps) -> None:
        """Nothing happens until build() is called."""
        self._places, self._shell, self._steps = places, shell, steps

    def build(self, names: Iterable[str] = ()) -> None:
        """Make sure that these programs (all, when none is named) are in the cache and current."""
        stale = [program for program in choose(names) if not self._is_current(program)]
        if not stale:
            self._steps.skip("Go programs", "all in the cache")
            return
        with lock.held(self._places.lock, self._steps.say):  # two that build the same share its scratch
            self._build_stale([program for program in stale if not self._is_current(program)])

    def _build_stale(self, stale: list[Program]) -> None:
        toolchain.ensure(self._places, self._shell, self._steps)
        for batch, place in numbered(batches(stale)):
            with self._steps.step(f"go build {' '.join(program.name for program in batch)}{place}"):
                self._build_batch(batch)
        self._trim_go_cache()

    def environment(self) -> dict[str, str]:
        """Return the environment of every go command of the bed."""
        return {
            "CGO_ENABLED": "0",
            "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
            "GOCACHE": str(self.go_cache),
            "GOWORK": "off",
        }

    @property
    def go_cache(self) -> Path:
        """The bed's own Go build cache."""
        return self._places.cache / "go-build"

    def module_source(self, module_dir: str, module: str) -> Path:
        """Return where the Go module cache keeps a pinned module's source, such as the manifests it ships."""
        toolchain.ensure(self._places, self._shell, self._steps)
        with self._steps.step(f"source of {module}"):
            self._shell.run(
                ["go", "mod", "download", module], cwd=MODULES / module_dir, env=self.environment(), timeout_seconds=300
            )
        where = self._shell.run(
            ["go", "list", "-m", "-f", "{{.Dir}}", module], cwd=MODULES / module_dir, env=self.environment()
        )
        return Path(where.strip())

    def _is_current(self, program: Program) -> bool:
        stamp_file = self._places.stamps / program.name
        return (self._places.bin / program.name).exists() and stamps.is_current(stamp_file, program_stamp(program))

    def _build_batch(self, batch: list[Program]) -> None:
        out = self._places.scratch / "go" / batch[0].name
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        where, packages = MODULES / batch[0].module_dir, [program.package for program in batch]
        compiling, env = Compiling(self._steps), self.environment()
        self._shell.follow(["go", "list", "-deps", *packages], compiling.listed, cwd=where, env=env)
        command = ["go", "build", "-v", "-ldflags", ldflags(batch[0]), "-o", f"{out}/", *packages]
        self._shell.follow(command, compiling.built, cwd=where, env=env)
        self._places.bin.mkdir(parents=True, exist_ok=True)
        for program in batch:
            (out / binary_name(program.package)).replace(self._places.bin / program.name)
            stamps.write(self._places.stamps / program.name, program_stamp(program))
        shutil.rmtree(out, ignore_errors=True)

    def _trim_go_cache(self) -> None:
        size = sum(path.stat().st_size for path in self.go_cache.rglob("*") if path.is_file())
        if size > GO_CACHE_LIMIT_BYTES:
            with self._steps.step(f"drop the Go build cache ({size / 1024**3:.1f} GB; the programs are kept)"):
                shutil.rmtree(self.go_cache, ignore_errors=True)


def binary_name(package: str) -> str:
    """Return the file name that `go build -o DIR/` gives a package: its last element, major version suffix aside."""
    *front, last = package.split("/")
    return front[-1] if last.startswith("v") and last[1:].isdigit() else last
