"""The Debian image that every locally built image starts from, made by debootstrap: no container registry is asked.

It holds what a Debian or python:slim image of a registry would: Python 3.11, and the machine's own certificates, so
that TLS works through whatever proxy the machine is behind.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bed import stamps
from bed.places import Places
from bed.shell import Shell
from bed.steps import Steps

TAG = "slipway.local/base:1"
SUITE = "bookworm"
PACKAGES = ("ca-certificates", "python3", "python3-venv")
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
STAMP_LABEL = "dev.slipway.stamp"
CERTIFICATE_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


def base_stamp() -> str:
    """Return what the base image is made from, as a hash. The machine's certificates count: they may change."""
    return stamps.stamp([SUITE, *PACKAGES, CERTIFICATES.read_bytes()])


def import_command(stamp: str) -> list[str]:
    """Return the command that turns a tar on its stdin into the image."""
    command = ["docker", "import", "--change", f"LABEL {STAMP_LABEL}={stamp}", "--change", 'CMD ["bash"]']
    for variable in CERTIFICATE_VARIABLES:
        command += ["--change", f"ENV {variable}={CERTIFICATES}"]
    return [*command, "-", TAG]


def build_base(places: Places, shell: Shell, steps: Steps) -> None:
    """Bootstrap a root file system and import it."""
    root = places.scratch / "base"
    with steps.step(f"debootstrap {SUITE} (once; about two minutes)"):
        shutil.rmtree(root, ignore_errors=True)
        root.parent.mkdir(parents=True, exist_ok=True)
        shell.run(
            ["debootstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, root],
            timeout_seconds=1200,
        )
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        for leftover in ("var/cache/apt/archives", "var/lib/apt/lists"):
            for path in (root / leftover).glob("*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    with steps.step(f"import {TAG}"):
        shell.pipe(["tar", "-C", root, "-c", "."], import_command(base_stamp()))
        shutil.rmtree(root, ignore_errors=True)
