"""The composition root: what ends the process, and how kopf gets in."""

import asyncio
import subprocess
import sys

import pytest

from slipway.app import App, _first, operate
from slipway.kube.client import KubeClient
from slipway.kube.kinds import SCALED_OBJECT, SERVICE, TRAINING_JOB, ref
from slipway.plan.observed import NO_SUCH_KIND
from slipway.reconcile.keys import Key
from slipway.reconcile.queue import Again
from slipway.settings import from_environment
from slipway.telemetry.metrics import Metrics

from .build import ENVIRONMENT
from .fakeapi import Connection


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_task_that_breaks_is_raised() -> None:
    async def breaks() -> None:
        raise KeyError("broken part")

    tasks = [asyncio.create_task(forever()), asyncio.create_task(breaks())]
    with pytest.raises(KeyError, match="broken part"):
        await _first(*tasks, asyncio.create_task(forever()))
    tasks[0].cancel()


async def test_a_task_that_just_ends_is_an_error_too() -> None:
    async def ends() -> None: ...

    with pytest.raises(RuntimeError, match="ended by itself"):
        await _first(asyncio.create_task(ends()), asyncio.create_task(forever()))


async def test_the_event_may_come() -> None:
    lasting, event = asyncio.create_task(forever()), asyncio.Event()
    event.set()
    await _first(lasting, asyncio.create_task(event.wait()))
    assert not lasting.done()
    lasting.cancel()


def app(connection: Connection) -> App:
    settings = from_environment(ENVIRONMENT, unique="u")
    return App(settings, KubeClient(connection, Metrics()), Metrics(), {})


@pytest.mark.parametrize(
    ("token", "expected"), [("bearer abc\n", ("Bearer", "abc")), ("Bearer abc", ("Bearer", "abc")), ("", (None, None))]
)
async def test_kopf_logs_in_as_we_do(token: str, expected: tuple[str | None, str | None]) -> None:
    made = app(Connection("https://api:6443", ssl_ca_cert="/ca", cert_file="/cert", key_file="/key", token=token))
    info = await made._login()
    assert (info.scheme, info.token) == expected
    assert (info.server, info.ca_path, info.certificate_path, info.private_key_path) == (
        "https://api:6443",
        "/ca",
        "/cert",
        "/key",
    )
    assert not info.insecure


async def test_a_standby_keeps_its_index_and_its_queue_empty() -> None:
    made = app(Connection("https://api:6443"))
    made.recorded(
        TRAINING_JOB, "ADDED", {"metadata": {"name": "job", "namespace": "ns", "uid": "u", "resourceVersion": "1"}}
    )
    assert len(made.index.keys()) == 1
    await asyncio.wait_for(made.queue.idle(), 1.0)
    assert (
        'slipway_watch_events_total{fate="news",resource="trainingjobs.slipway.dev"} 1.0'
        in made.metrics.exposition().decode()
    )
    made.listed(TRAINING_JOB, None, set(), "5")
    assert made.index.keys() == []
    assert SERVICE.full in made.synced.missing()


async def test_a_kind_that_comes_back_is_asked_for_again_at_once() -> None:
    """Its first listing was long ago, so this one makes nobody visit everything."""
    made, key = app(Connection("https://api:6443")), Key("InferenceService", "ns", "serve")
    visited: asyncio.Queue[Key] = asyncio.Queue()

    async def visit(key: Key) -> Again:
        visited.put_nowait(key)
        return Again()

    made.queue._visit = visit
    made.queue.resume()
    made.listed(SCALED_OBJECT, None, set(), "5")
    scaler, refusals = ref(SCALED_OBJECT, "ns", "serve"), made.reconciler.memory.of(key, "u").refusals
    refusals.note(scaler, "intent", NO_SUCH_KIND, 0.0)
    made.listed(SERVICE, None, set(), "6")
    await made.queue.idle()
    assert visited.empty()
    made.listed(SCALED_OBJECT, None, set(), "7")
    assert await asyncio.wait_for(visited.get(), 1.0) == key
    assert not refusals.holds(scaler, "intent", 0.0)


async def test_without_a_cluster_the_operator_says_what_it_lacks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    monkeypatch.setattr(sys, "setrecursionlimit", lambda _: None)  # which other tests rely on
    assert await operate(from_environment(ENVIRONMENT, unique="u"), {}) == 1
    (said,) = caplog.records
    assert said.getMessage().startswith("no cluster is configured: there is no /nowhere/config: set KUBECONFIG")
    assert said.exc_info is None


def test_without_settings_the_process_says_which_and_ends_with_2() -> None:
    command = [sys.executable, "-c", "import sys; from slipway.app import main; sys.exit(main(lambda: {}))"]
    done = subprocess.run(
        command, env={"PATH": "/bin", "PYTHONPATH": ":".join(sys.path)}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert "SLIPWAY_TRAINER_IMAGE is not set" in done.stderr
