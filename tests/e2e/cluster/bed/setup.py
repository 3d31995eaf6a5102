"""Install what a bare Debian lacks: a container engine and debootstrap. Elsewhere, say what is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence

from bed.shell import Failure, Shell
from bed.steps import Steps

# program -> Debian package. Go is fetched when something is built with it (toolchain.py).
NEEDED = {"dockerd": "docker.io", "debootstrap": "debootstrap", "iptables": "iptables", "git": "git"}


def missing_packages() -> list[str]:
    """Return the Debian packages whose program is not there."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [package for program, package in NEEDED.items() if not shutil.which(program, path=path)]


def install_packages(shell: Shell, steps: Steps) -> None:
    """Install the missing packages. Raises Failure where there is no apt, or no uv."""
    packages = missing_packages()
    # A docker client with an engine behind it, perhaps on another machine, needs no dockerd.
    if "docker.io" in packages and shell.ok(["docker", "version"], timeout_seconds=20):
        packages.remove("docker.io")
    if packages:
        apt_install(packages, shell, steps)
    else:
        steps.skip("Debian packages", "all there")
    if not shutil.which("uv"):
        raise Failure("uv is missing, which the images are built with: run `make setup` once, or install it")
    steps.skip("uv", "there")


def apt_install(packages: Sequence[str], shell: Shell, steps: Steps) -> None:
    """Raises Failure where there is no apt."""
    if not shutil.which("apt-get"):
        raise Failure(f"this is not Debian: install what provides {', '.join(packages)} yourself")
    with steps.step(f"apt-get install {' '.join(packages)}"):
        shell.run(["apt-get", "update"], timeout_seconds=600)
        command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
        shell.run(command, env={"DEBIAN_FRONTEND": "noninteractive"}, timeout_seconds=1200)
