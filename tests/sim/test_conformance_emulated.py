"""Every conformance case on the emulator: the quick half. The other is tests/integration/test_sim_conformance.py."""

import pytest

from . import (  # noqa: F401
    conformance_apply,
    conformance_core,
    conformance_deletes,
    conformance_hindered,
    conformance_objects,
    conformance_watch,
)
from .conformance import CASES, Bench
from .emulated import EmulatedServer


@pytest.fixture(scope="module")
def server() -> EmulatedServer:
    return EmulatedServer(managed_fields=True)


@pytest.mark.parametrize("name", CASES)
def test_case(server: EmulatedServer, name: str) -> None:
    namespace = name.replace("_", "-")
    assert server.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})[0] == 201
    bench = Bench(server.call, namespace)
    CASES[name](bench)
    assert bench.notes, "the case asked nothing"


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 100
