"""Fixtures for all tests. That this file stands here puts tests/ on the import path, for `controlplane.apiserver`."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.connections import close_latecomers
from tests.controlplane.apiserver import ApiServer, api_server

# How long an example takes says how busy the machine is, and nothing about the product.
settings.register_profile("slipway", deadline=None)
settings.load_profile("slipway")


@pytest.fixture(scope="session", autouse=True)
def _latecomers_are_closed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        close_latecomers(patch)
        yield


@pytest.fixture(scope="session")
def kube_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A real API server of the whole test session. Tests share it: each uses names or a namespace of its own."""
    with api_server(tmp_path_factory.mktemp("control-plane")) as server:
        yield server
