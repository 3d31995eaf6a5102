"""Where images come from: published, when an engine that already runs can pull them; otherwise built here.

The decision is made once, by trying, and kept in the cache; `--mode` overrides it.
"""

from __future__ import annotations

from enum import Enum

from bed.places import Places
from bed.shell import Shell
from bed.steps import Steps

# The default of the kind release in modules/kind, so that the two fit.
PUBLISHED_NODE = "kindest/node:v1.34.0@sha256:7416a61b42b1662ca6ca89f02028ac133a309a2a30ba309614e8ec94d976dc5a"
PUBLISHED_PROMETHEUS = "docker.io/prom/prometheus:v3.5.0"
PULL_SECONDS = 900


class Mode(Enum):
    """Where the cluster's images and charts come from."""

    BUILT = "built"
    PUBLISHED = "published"


def decide(shell: Shell, *, engine_is_ours: bool) -> tuple[Mode, str]:
    """Return the mode and the reason. An engine that the bed had to start is on a machine without a registry."""
    if engine_is_ours:
        return Mode.BUILT, "the bed started the container engine itself"
    if shell.ok(["docker", "image", "inspect", PUBLISHED_NODE]):
        return Mode.PUBLISHED, "the stock node image is here"
    if shell.ok(["docker", "pull", "--quiet", PUBLISHED_NODE], timeout_seconds=PULL_SECONDS):
        return Mode.PUBLISHED, "the engine pulled the stock node image"
    return Mode.BUILT, "the engine cannot pull the stock node image"


def remembered(places: Places, shell: Shell, steps: Steps, *, engine_is_ours: bool, forced: str | None) -> Mode:
    """Return the mode that was forced, remembered or is decided now; say which, and remember it."""
    file = places.cache / "mode"
    if forced:
        mode, why = Mode(forced), "as asked"
    elif file.exists():
        mode, why = Mode(file.read_text().strip()), f"decided before; delete {file} to decide again"
    else:
        mode, why = decide(shell, engine_is_ours=engine_is_ours)
    places.cache.mkdir(parents=True, exist_ok=True)
    file.write_text(mode.value)
    steps.say(f"images are {mode.value}: {why}")
    return mode
