"""The cluster and Slipway on it, once a session; a namespace that admits restricted pods only, per test."""

import uuid
from collections.abc import Callable, Iterator

import pytest
from bed.lock import held
from bed.places import from_environment

from .install import IMAGES, SIMULATED_ENGINE, SYSTEM, bed, connect, install, restricted_namespace
from .killing import OPERATOR
from .kube import Kube


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that take away what others need (`runs_last`) come after all others; the rest stays in its order."""
    items.sort(key=lambda item: item.get_closest_marker("runs_last") is not None)


@pytest.fixture(scope="session", autouse=True)
def _bed_is_held(request: pytest.FixtureRequest) -> Iterator[None]:
    """From the first test to the last: else a run beside this one could take the cluster from under a test."""
    with held(from_environment().lock, teller(request.config)):
        yield


@pytest.fixture(scope="session")
def kube() -> Kube:
    """A cluster with training-operator, KEDA and Prometheus, this tree's images in it, Slipway installed."""
    bed("up")
    bed("load", *sorted({*IMAGES.values(), SIMULATED_ENGINE}))
    connected = connect()
    install(connected)
    return connected


@pytest.fixture(scope="session")
def gateway(kube: Kube) -> Iterator[str]:
    """The gateway's URL, through a port-forward."""
    with kube.forward(SYSTEM, "svc/slipway-gateway", 80) as url:
        yield url


@pytest.fixture
def mended(kube: Kube) -> Iterator[None]:
    """A new operator pod after a test that kills it: whatever the test left, the next one finds a fresh one."""
    yield
    kube.kubectl("-n", SYSTEM, "delete", "pod", "-l", OPERATOR)
    kube.kubectl("-n", SYSTEM, "rollout", "status", "deployment/slipway-operator", "--timeout=120s")


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints a line though the test passes: for figures that were measured."""
    return teller(request.config)


def teller(config: pytest.Config) -> Callable[[str], None]:
    reporter = config.pluginmanager.getplugin("terminalreporter")
    capture = config.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():  # else the line is taken for the test's own output, and dropped
            reporter.ensure_newline()
            reporter.write_line(text, flush=True)

    return line


def make_namespace(kube: Kube, prefix: str) -> Iterator[str]:
    name = f"{prefix}-{uuid.uuid4().hex[:6]}"
    restricted_namespace(kube, name)
    yield name
    kube.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def namespace(kube: Kube) -> Iterator[str]:
    yield from make_namespace(kube, "e2e")


@pytest.fixture(scope="session")
def shared_namespace(kube: Kube) -> Iterator[str]:
    """For what is dear to make and only read by tests: the tiny trained model."""
    yield from make_namespace(kube, "e2e-shared")
