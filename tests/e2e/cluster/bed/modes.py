"""Where images come from: published, when an engine that already runs can pull them; otherwise built here.

It is decided at every command, by what is there, and `--mode` decides for one command. Only that a pull failed is kept
in the cache, since it may have taken minutes, and only until the machine starts again: a network comes and goes.
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from bed.places import Places
from bed.shell import Shell
from bed.steps import Steps

# The default of the kind release in modules/kind, so that the two fit.
PUBLISHED_NODE = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
PUBLISHED_PROMETHEUS = "docker.io/prom/prometheus:v3.5.0"
PULL_SECONDS = 900
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Mode(Enum):
    """Where the cluster's images and charts come from."""

    BUILT = "built"
    PUBLISHED = "published"


def choose(places: Places, shell: Shell, steps: Steps, *, engine_is_ours: bool, asked: str | None) -> Mode:
    """Return the mode that this command was asked for, or the one that fits the engine; say which, and why."""
    mode, why = (Mode(asked), "as asked") if asked else decide(places, shell, engine_is_ours=engine_is_ours)
    steps.say(f"images are {mode.value}: {why}")
    return mode


def decide(places: Places, shell: Shell, *, engine_is_ours: bool) -> tuple[Mode, str]:
    """Return the mode and the reason. An engine that the bed had to start is on a machine without a registry."""
    failed = places.failed_pull
    if engine_is_ours:
        return Mode.BUILT, "the bed started the container engine itself"
    if shell.ok(["docker", "image", "inspect", PUBLISHED_NODE]):
        return Mode.PUBLISHED, "the stock node image is here"
    if failed.exists() and failed.read_text() == BOOT.read_text():
        return Mode.BUILT, f"the engine could not pull the stock node image; to try again now, delete {failed}"
    if shell.ok(["docker", "pull", "--quiet", PUBLISHED_NODE], timeout_seconds=PULL_SECONDS):
        return Mode.PUBLISHED, "the engine pulled the stock node image"
    places.cache.mkdir(parents=True, exist_ok=True)
    failed.write_text(BOOT.read_text())
    return Mode.BUILT, "the engine cannot pull the stock node image"
