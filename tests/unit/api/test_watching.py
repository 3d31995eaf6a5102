"""`slipway status --watch` over HTTP: what it lists and watches, what it prints, what it outlives, how it ends."""

import asyncio
import io
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from kubernetes.aio import client, config
from rich.console import Console

from slipway.cli import following, listing, watching
from slipway.cli.following import Place, Told

from ..gateway.fake_apiserver import FakeApiServer

Obj = dict[str, Any]
JOBS = "/apis/slipway.dev/v1alpha1/trainingjobs"
SERVICES = "/apis/slipway.dev/v1alpha1/inferenceservices"


def item(name: str, reason: str = "Running", step: int = 1, kind: str = "TrainingJob") -> Obj:
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": ""}
    status = {"conditions": [ready], "progress": {"step": step}}
    return {"kind": kind, "metadata": {"namespace": "team", "name": name}, "status": status}


@pytest.fixture
async def server(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeApiServer]:
    made = await FakeApiServer().start()

    async def load(config_file: str, client_configuration: client.Configuration) -> None:
        client_configuration.host = made.url

    monkeypatch.setenv("KUBECONFIG", __file__)  # some file that is there: `load` reads nothing
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setattr(config, "load_kube_config", load)
    monkeypatch.setattr(listing, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(following, "AGAIN_SECONDS", 0.01)
    yield made
    await made.stop()


class Heard:
    """Who is told; `until` waits for a state of it."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str]] = []  # name, reason; "" when gone
        self.troubles: list[str] = []
        self._news = asyncio.Event()
        self.told = Told(self._changed, self._trouble)

    def _changed(self, place: Place, item: Obj | None) -> None:
        reason = "" if item is None else item["status"]["conditions"][0]["reason"]
        self.changes.append((place.name, reason))
        self._news.set()

    def _trouble(self, _: str, text: str) -> None:
        self.troubles.append(text)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds():
                self._news.clear()
                await self._news.wait()


@pytest.fixture
async def heard(server: FakeApiServer) -> AsyncIterator[Heard]:
    """A follower of everything, after its first lists: a job and a service."""
    await server.change(JOBS, item("job"))
    await server.change(SERVICES, item("chat", "Serving", kind="InferenceService"))
    made = Heard()
    task = asyncio.create_task(following.follow(None, made.told))
    await made.until(lambda: len(made.changes) == 2)
    await watched(server)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def watched(server: FakeApiServer) -> None:
    await server.until(lambda: server.watching() == 2)


async def test_each_kind_is_listed_once_and_then_watched(server: FakeApiServer, heard: Heard) -> None:
    await server.change(JOBS, item("new", "WaitingForPods"))
    await server.change(JOBS, item("job", "Restarting"))
    await server.delete(SERVICES, item("chat", kind="InferenceService"))
    await heard.until(lambda: len(heard.changes) == 5)
    assert heard.changes[:2] == [("job", "Running"), ("chat", "Serving")]
    assert sorted(heard.changes[2:]) == [("chat", ""), ("job", "Restarting"), ("new", "WaitingForPods")]
    assert [server.count(path, watch=watch) for path in (JOBS, SERVICES) for watch in (False, True)] == [1, 1, 1, 1]
    assert set(heard.troubles) == {""}


async def test_a_watch_that_ends_goes_on_from_where_it_was(server: FakeApiServer, heard: Heard) -> None:
    await server.bookmark()
    await server.change(JOBS, item("job", "Restarting"))
    await heard.until(lambda: ("job", "Restarting") in heard.changes)
    server.disconnect()
    await watched_again(server, JOBS, 2)
    await server.change(JOBS, item("job", "Running"))
    await heard.until(lambda: heard.changes[-1] == ("job", "Running"))
    assert len(heard.changes) == 4, "nothing is told twice"
    assert server.count(JOBS, watch=False) == 1
    assert set(heard.troubles) == {""}


async def watched_again(server: FakeApiServer, path: str, times: int) -> None:
    await server.until(lambda: server.count(path, watch=True) >= times and server.watching() == 2)


async def test_a_version_that_is_too_old_means_a_new_list(server: FakeApiServer, heard: Heard) -> None:
    server.oldest = 10_000
    del server.objects[JOBS]["team/job"]
    server.disconnect()
    await heard.until(lambda: ("job", "") in heard.changes)
    assert server.count(JOBS, watch=False) >= 2
    assert set(heard.troubles) == {""}, "that is no trouble"


async def test_an_error_in_the_stream_means_a_new_list(server: FakeApiServer, heard: Heard) -> None:
    await server.send(JOBS, {"type": "ERROR", "object": {"code": 410, "message": "too old"}})
    await watched_again(server, JOBS, 2)
    await server.send(JOBS, {"type": "ERROR", "object": {"code": 500, "message": "etcd is away"}})
    await heard.until(lambda: "cannot list trainingjobs.slipway.dev: 500 etcd is away" in heard.troubles)
    await watched_again(server, JOBS, 3)
    assert heard.troubles[-1] == ""
    assert len(heard.changes) == 2, "what has not changed is not told again"


async def test_an_api_server_that_is_away_is_waited_for(server: FakeApiServer, heard: Heard) -> None:
    server.down = True
    server.disconnect()
    await heard.until(lambda: sum("503" in text for text in heard.troubles) >= 3)
    server.down = False
    await heard.until(lambda: heard.troubles[-1] == "")
    await watched(server)
    await server.change(JOBS, item("job", "Restarting"))
    await heard.until(lambda: heard.changes[-1] == ("job", "Restarting"))


async def test_without_a_first_list_it_ends(server: FakeApiServer) -> None:
    server.down = True
    with pytest.raises(listing.Unreadable, match="503"):
        await following.follow(None, Heard().told)


async def test_only_one_namespace_when_asked(server: FakeApiServer) -> None:
    path = "/apis/slipway.dev/v1alpha1/namespaces/team/trainingjobs"
    await server.change(path, item("job"))
    heard = Heard()
    task = asyncio.create_task(following.follow("team", heard.told))
    await heard.until(lambda: heard.changes == [("job", "Running")])
    await watched(server)
    await server.change(path, item("job", "Complete"))
    await heard.until(lambda: heard.changes[-1] == ("job", "Complete"))
    task.cancel()
    assert {asked.rpartition("/")[0] for asked, _ in server.asked} == {path.rpartition("/")[0]}


# What is printed


class Output(io.StringIO):
    def __init__(self) -> None:
        super().__init__()
        self._news = asyncio.Event()

    def write(self, text: str) -> int:
        self._news.set()
        return super().write(text)

    async def until(self, holds: Callable[[str], bool]) -> str:
        async with asyncio.timeout(10):
            while not holds(self.getvalue()):
                self._news.clear()
                await self._news.wait()
        return self.getvalue()


async def test_a_line_for_each_change_that_says_something_new(server: FakeApiServer) -> None:
    await server.change(JOBS, item("job"))
    output, errors = Output(), Output()
    task = asyncio.create_task(watching.lines(None, output, errors, clock=lambda: 0.0))
    await output.until(lambda text: "job" in text)
    await watched(server)
    same = item("job")
    same["metadata"]["labels"] = {"a": "b"}
    await server.change(JOBS, same)
    await server.change(JOBS, item("job", step=2))
    await server.delete(JOBS, item("job", step=2))
    await server.change(JOBS, item("job", step=2))
    text = await output.until(lambda text: text.count("\n") == 4)
    assert text.splitlines() == [
        "1970-01-01T00:00:00Z TrainingJob team/job reason=Running step=1",
        "1970-01-01T00:00:00Z TrainingJob team/job reason=Running step=2",
        "1970-01-01T00:00:00Z TrainingJob team/job deleted",
        "1970-01-01T00:00:00Z TrainingJob team/job reason=Running step=2",
    ]
    server.down = True
    server.disconnect()
    assert "503" in await errors.until(lambda text: ": trying again\n" in text)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_terminal_is_redrawn(server: FakeApiServer) -> None:
    output = Output()
    console = Console(file=output, force_terminal=True, width=100, height=20, color_system=None)
    task = asyncio.create_task(watching.redrawn(None, console, clock=lambda: 0.0))
    await output.until(lambda text: "No TrainingJob and no InferenceService." in text)
    await watched(server)
    await server.change(JOBS, item("job", "WaitingForPods"))
    await output.until(lambda text: "WaitingForPods" in text)
    server.down = True
    server.disconnect()
    await output.until(lambda text: "503" in text)
    assert "\x1b[?25l" in output.getvalue(), "the cursor is hidden"
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert output.getvalue().endswith("\x1b[?25h"), "and comes back"


# The whole command, as a process of its own


@pytest.fixture
async def command(server: FakeApiServer, tmp_path: Path) -> list[str]:
    await server.change(JOBS, item("job"))
    cluster = {"name": "c", "cluster": {"server": server.url}}
    context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
    made = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "clusters": [cluster],
        "contexts": [context],
        "users": [{"name": "u", "user": {}}],
    }
    path = tmp_path / "kubeconfig"
    path.write_text(str(made).replace("'", '"'))
    return ["env", f"KUBECONFIG={path}", "TERM=xterm", sys.executable, "-m", "slipway", "status", "--watch"]


async def started(command: list[str], *, stdout: int) -> asyncio.subprocess.Process:
    """A job that a shell starts in the background ignores interrupts, and so would its children."""

    def interruptible() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    return await asyncio.create_subprocess_exec(
        *command, stdout=stdout, stderr=subprocess.PIPE, preexec_fn=interruptible
    )


async def test_an_interrupt_ends_it_without_a_word(command: list[str]) -> None:
    process = await started(command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line.endswith(b"TrainingJob team/job reason=Running step=1\n")
    process.send_signal(signal.SIGINT)
    rest, errors = await process.communicate()
    assert (process.returncode, rest, errors) == (0, b"", b"")


async def test_on_a_terminal_the_cursor_comes_back(command: list[str]) -> None:
    ours, theirs = pty.openpty()
    process = await started(command, stdout=theirs)
    os.close(theirs)
    seen = await asyncio.to_thread(_read_until, ours, b"Running")
    process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    seen += await asyncio.to_thread(_read_until, ours, b"\x1b[?25h")
    os.close(ours)
    assert (process.returncode, errors) == (0, b"")
    assert re.search(rb"team/job .*Running", seen)


def _read_until(terminal: int, wanted: bytes) -> bytes:
    seen = b""
    while wanted not in seen:
        piece = os.read(terminal, 65_536)
        assert piece, f"it ended after {seen!r}"
        seen += piece
    return seen


async def test_a_reader_that_leaves_ends_it_too(server: FakeApiServer, command: list[str]) -> None:
    """As in `slipway status --watch | head -1`."""
    ours, theirs = os.pipe()
    process = await asyncio.create_subprocess_exec(*command, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    await asyncio.to_thread(_read_until, ours, b"step=1\n")
    os.close(ours)
    await watched(server)
    await server.change(JOBS, item("job", step=2))
    _, errors = await process.communicate()
    assert (process.returncode, errors) == (0, b"")


async def test_an_object_larger_than_any_line_buffer_is_followed(server: FakeApiServer, heard: Heard) -> None:
    large = item("job", "Complete")
    large["metadata"]["annotations"] = {"team.example/notes": "x" * 300_000}
    await server.change(JOBS, large)
    await heard.until(lambda: ("job", "Complete") in heard.changes or bool(heard.troubles[2:]))
    assert heard.changes[-1] == ("job", "Complete")
    assert not any(heard.troubles)
