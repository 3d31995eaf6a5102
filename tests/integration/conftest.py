"""An API server of this directory's own: its CRDs are cut to the bone and must not meet the product's."""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.apiserver import ApiServer, api_server

from . import realbed
from .loopbed import OURS, Bed, establish

_numbers = itertools.count()


@pytest.fixture(scope="session")
def loop_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("loop")


@pytest.fixture(scope="session")
def loop_api(loop_directory: Path) -> Iterator[ApiServer]:
    with api_server(loop_directory / "control-plane") as server:
        establish(server, *OURS)
        yield server


@pytest.fixture
def bed(loop_api: ApiServer, loop_directory: Path) -> Iterator[Bed]:
    """A namespace that no other test has; what it asked of the operator is taken back in the end."""
    namespace = f"loop-{next(_numbers)}"
    status, answer = loop_api.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    assert status == 201, answer
    bed = Bed(loop_api, namespace, loop_directory)
    yield bed
    for plural in ("trainingjobs", "inferenceservices"):
        assert loop_api.request("DELETE", bed.path(plural))[0] == 200


@pytest.fixture(scope="session")
def real_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("real")


@pytest.fixture(scope="session")
def real_api(real_directory: Path) -> Iterator[ApiServer]:
    """The product's own CRDs, an audit log, and the admission plugins of a cluster."""
    with api_server(real_directory / "control-plane", flags=realbed.flags(real_directory)) as server:
        realbed.install(server)
        yield server


@pytest.fixture
def real_bed(real_api: ApiServer, real_directory: Path) -> Iterator[Bed]:
    """A namespace that no other test has; what it asked of the operator is taken back in the end."""
    bed = realbed.namespace(real_api, f"real-{next(_numbers)}", real_directory)
    yield bed
    for plural in ("trainingjobs", "inferenceservices"):
        assert real_api.request("DELETE", bed.path(plural))[0] == 200
