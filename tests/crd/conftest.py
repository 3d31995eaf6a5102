"""The real API server with Slipway's CRDs."""

from pathlib import Path

import pytest

from tests.controlplane.apiserver import ApiServer

from .crdmaker import Maker
from .crdtable import COLLECTIONS

CHART = Path(__file__).parents[2] / "charts" / "slipway-crds" / "templates"


@pytest.fixture(scope="session")
def crds(kube_api: ApiServer) -> ApiServer:
    """The API server once it serves both kinds from the committed files."""
    kube_api.kubectl("apply", "--server-side", "-f", str(CHART))
    kube_api.kubectl("wait", "--for=condition=Established", "--timeout=60s", "-f", str(CHART))
    for (
        collection
    ) in COLLECTIONS.values():  # waits until the storage is open: kubectl repeats a 429, a plain GET would not
        kube_api.kubectl("get", "--raw", collection)
    return kube_api


@pytest.fixture(scope="session")
def make(crds: ApiServer) -> Maker:
    return Maker(crds)
