"""Make an installed torch small on a machine without a GPU.

PyPI has one build of torch, and more than half of it is CUDA's libraries. libtorch is linked with them, so `import
torch` needs files of these names that define these symbols, and nothing more: no function in them is called without a
GPU. What nothing is linked with is deleted; what is large is replaced by a library of the same name and symbols, each
of which says what it is and aborts. Never do this to an image that may meet a GPU.

    python3 trim.py /opt/venv        (needs gcc and binutils)
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

STUB_ABOVE_BYTES = 10 * 1024**2
SAY = r"""
#include <stdio.h>
#include <stdlib.h>
__attribute__((visibility("hidden"), noreturn)) void slipway_stub(void) {
  fputs("this torch was trimmed for machines without a GPU: CUDA's NAME is not in it\n", stderr);
  abort();
}
"""
NEVER_READ = ("triton/backends/nvidia", "triton/_C", "torch/include", "torch/test", "torch/lib/libtorch_cuda_linalg.so")


def run(*words: str | Path) -> str:
    """Run a program and return what it printed."""
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True).stdout  # noqa: S603


def linked(packages: Path) -> set[Path]:
    """Return the libraries of nvidia/ that torch's own are linked with, directly or not."""
    torch = sorted((packages / "torch" / "lib").glob("lib*.so*"))
    return {Path(path).resolve() for path in re.findall(r"=> (/\S*/nvidia/\S+)", run("ldd", *torch))}


def symbols(library: Path) -> list[tuple[str, str]]:
    """Return (name, version) of everything that a library defines; the version may be empty."""
    found = []
    for line in run("nm", "--dynamic", "--defined-only", "--with-symbol-versions", library).splitlines():
        name, _, version = line.split()[-1].partition("@")
        if line.split()[-2] != "A":
            found.append((name, version.lstrip("@")))
    return found


def replace_by_stub(library: Path) -> None:
    """Overwrite a library with one that has the same name and symbols, and does nothing."""
    defined = symbols(library)
    versions: dict[str, list[str]] = {}
    for name, version in defined:
        versions.setdefault(version, []).append(name)
    script = ""
    for version, names in versions.items():
        quoted = " ".join(f'"{name}";' for name in names)
        script += f"{version} {{ global: {quoted} }};\n" if version else ""
    labels = "".join(
        f'.globl "{name}"\n.type "{name}", @function\n"{name}":\n' for name in {name for name, _ in defined}
    )
    with tempfile.TemporaryDirectory() as scratch:
        where = Path(scratch)
        (where / "say.c").write_text(SAY.replace("NAME", library.name))
        (where / "symbols.s").write_text(f'.text\n{labels}jmp slipway_stub\n.section .note.GNU-stack,"",@progbits\n')
        (where / "versions").write_text(script)
        options = [f"-Wl,-soname,{library.name}"] + ([f"-Wl,--version-script={where / 'versions'}"] if script else [])
        run("gcc", "-shared", "-fPIC", *options, "-o", where / "stub.so", where / "say.c", where / "symbols.s")
        library.write_bytes((where / "stub.so").read_bytes())


def main(environment: Path) -> None:
    """Trim one virtual environment."""
    packages = next(environment.glob("lib/python3*/site-packages"))
    needed = linked(packages)
    for name in NEVER_READ:
        run("rm", "-rf", packages / name)
    for library in sorted((packages / "nvidia").rglob("*")):
        if not library.is_file() or library.is_symlink():
            continue
        if ".so" in library.name and library.resolve() in needed:
            if library.stat().st_size > STUB_ABOVE_BYTES:
                replace_by_stub(library)
        elif ".so" in library.name or library.suffix in (".a", ".h", ".hpp", ".bc", ".fatbin"):
            library.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
