"""Install what a bare Debian lacks: a container engine and debootstrap. Elsewhere, say what is missing."""

from __future__ import annotations

import os
import shutil

from bed.shell import Failure, Shell
from bed.steps import Steps

# program -> Debian package
NEEDED = {"dockerd": "docker.io", "debootstrap": "debootstrap", "iptables": "iptables", "git": "git"}


def missing_packages() -> list[str]:
    """Return the Debian packages whose program is not there."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [package for program, package in NEEDED.items() if not shutil.which(program, path=path)]


def install_packages(shell: Shell, steps: Steps) -> None:
    """Install the missing packages with apt. Raises Failure where there is no apt, or no uv."""
    packages = missing_packages()
    # A docker client with an engine behind it, perhaps on another machine, needs no dockerd.
    if "docker.io" in packages and shell.ok(["docker", "version"], timeout_seconds=20):
        packages.remove("docker.io")
    if not packages:
        steps.skip("Debian packages", "all there")
    elif not shutil.which("apt-get"):
        raise Failure(f"this is not Debian: install what provides {', '.join(packages)} yourself")
    else:
        with steps.step(f"apt-get install {' '.join(packages)}"):
            shell.run(["apt-get", "update"], timeout_seconds=600)
            command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
            shell.run(command, env={"DEBIAN_FRONTEND": "noninteractive"}, timeout_seconds=1200)
    if not shutil.which("uv"):
        raise Failure("uv is missing, which the images are built with: run `make setup` once, or install it")
    steps.skip("uv", "there")
