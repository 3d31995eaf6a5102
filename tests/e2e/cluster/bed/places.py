"""Where things are: the repository, and the cache that everything built or started lives in."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CLUSTER_DIR = Path(__file__).resolve().parents[1]
REPOSITORY = CLUSTER_DIR.parents[2]
MODULES = CLUSTER_DIR / "modules"
IMAGES = REPOSITORY / "images"


@dataclass(frozen=True)
class Places:
    """Paths below one cache directory. Deleting that directory forgets everything that the bed made."""

    cache: Path

    @property
    def bin(self) -> Path:
        """Programs built from Go modules."""
        return self.cache / "bin"

    @property
    def go(self) -> Path:
        """Go's own release, where the machine has none that is new enough."""
        return self.cache / "go"

    @property
    def uv_bin(self) -> Path:
        """uv, where scripts/lib.sh installs it when the machine has none."""
        return self.cache / "uv" / "bin"

    @property
    def stamps(self) -> Path:
        """What each built thing was built from, one small file each."""
        return self.cache / "stamps"

    @property
    def scratch(self) -> Path:
        """Build contexts and rendered manifests; any of it may be deleted between two commands."""
        return self.cache / "scratch"

    @property
    def docker_data(self) -> Path:
        """The data root of a container engine that the bed started."""
        return self.cache / "docker"

    @property
    def lock(self) -> Path:
        """What whoever changes the bed holds (lock.py)."""
        return self.cache / "bed.lock"

    @property
    def failed_pull(self) -> Path:
        """In which run of this machine its engine could not pull the stock node image."""
        return self.cache / "failed-pull"

    def kubeconfig(self, cluster: str) -> Path:
        """Return the cluster's own kubeconfig: the bed never writes to ~/.kube/config."""
        return self.cache / f"{cluster}.kubeconfig"


def from_environment() -> Places:
    """Return the places that SLIPWAY_CACHE names, by default below the home directory."""
    cache = os.environ.get("SLIPWAY_CACHE")
    return Places(Path(cache).resolve() if cache else Path.home() / ".cache" / "slipway")
