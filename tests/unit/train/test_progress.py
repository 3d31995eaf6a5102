import json
import math
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from slipway.reconcile.progress_server import Report as OperatorsReport
from slipway_train import progress as module
from slipway_train.progress import Report, Reporter, http_sender, no_sender


def report(step: int) -> Report:
    return Report(step=step, total_steps=200, loss=4.12345, tokens_per_second=5120, last_checkpoint_step=20)


class Collector:
    """A sender that remembers, fails on demand, and lets a test wait for a report."""

    def __init__(self, failures: int = 0) -> None:
        self.steps: list[int] = []
        self.tried = 0
        self._failures = failures
        self.arrived = threading.Event()

    def __call__(self, sent: Report) -> None:
        self.tried += 1
        if self.tried <= self._failures:
            raise ConnectionRefusedError(111, "Connection refused")
        self.steps.append(sent.step)
        self.arrived.set()


def test_a_report_is_what_the_operator_expects() -> None:
    assert json.loads(report(40).to_json()) == {
        "step": 40,
        "totalSteps": 200,
        "loss": "4.1235",
        "tokensPerSecond": 5120,
        "lastCheckpointStep": 20,
    }
    assert json.loads(Report(step=0, total_steps=9).to_json()) == {"step": 0, "totalSteps": 9}


def test_a_report_of_everything_is_in_plain_digits() -> None:
    full = Report(
        step=40,
        total_steps=200,
        step_seconds_p50=0.0000123,
        step_seconds_p99=1234.5,
        mfu_percent=41.2345,
        productive_seconds=3.6e6,
        checkpoint_seconds=2.5,
        bad_rows=3,
        slow_rank=9,
        slow_node="node-2",
    )
    assert json.loads(full.to_json()) == {
        "step": 40,
        "totalSteps": 200,
        "stepSecondsP50": "0.000012",
        "stepSecondsP99": "1234.500000",
        "mfuPercent": "41.23",
        "productiveSeconds": "3600000.000",
        "checkpointSeconds": "2.500",
        "badRows": 3,
        "slowRank": 9,
        "slowNode": "node-2",
    }


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (999_999_999.0, "999999999.0000"),
        (1e9, "1e+09"),
        (-1.23456789e38, "-1.23457e+38"),
        (1.7e308, "1.7e+308"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
    ],
)
def test_the_operator_takes_any_loss(loss: float, said: str) -> None:
    body = Report(step=1, total_steps=9, loss=loss).to_json()
    assert json.loads(body)["loss"] == OperatorsReport.model_validate_json(body).loss == said


def test_the_first_report_goes_at_once_and_the_last_at_the_end() -> None:
    collector = Collector()
    with Reporter(collector, interval_seconds=60) as reporter:
        reporter.report(report(1))
        assert collector.arrived.wait(5)
        for step in range(2, 50):
            reporter.report(report(step))
    assert collector.steps == [1, 49], "one per interval, the newest, and the last one whatever the interval"


def test_reports_are_an_interval_apart() -> None:
    times: list[float] = []
    arrived = threading.Semaphore(0)

    def send(_: Report) -> None:
        times.append(time.monotonic())
        arrived.release()

    with Reporter(send, interval_seconds=0.05) as reporter:
        for step in range(4):
            reporter.report(report(step))
            assert arrived.acquire(timeout=60)
    assert len(times) == 4
    assert min(after - before for before, after in pairwise(times)) >= 0.05


def test_a_stuck_operator_does_not_slow_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_REPORT_SECONDS", 0.2)
    release = threading.Event()
    answered: list[int] = []

    def hang(sent: Report) -> None:
        release.wait(60)
        answered.append(sent.step)

    with Reporter(hang, interval_seconds=0.01) as reporter:
        for step in range(10_000):
            reporter.report(report(step))
    assert answered == [], "neither the reports nor the end waited for the request that hangs"
    release.set()


def test_failures_are_dropped_and_the_last_report_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    collector = Collector(failures=3)
    with Reporter(collector, interval_seconds=60) as reporter:
        reporter.report(report(9))
    assert collector.steps == [9]
    assert collector.tried == 4


def test_an_operator_that_never_answers_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(module, "LAST_REPORT_SECONDS", module.REQUEST_TIMEOUT_SECONDS + 0.1)
    collector = Collector(failures=10**9)
    with Reporter(collector, interval_seconds=60) as reporter:
        reporter.report(report(9))
    assert collector.steps == []


def test_a_run_without_reports_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LAST_REPORT_SECONDS", 60.0)
    began = time.monotonic()
    with Reporter(no_sender, interval_seconds=60):
        pass
    assert time.monotonic() - began < 30, "it waits for nothing"


class Operator(ThreadingHTTPServer):
    """What the operator's progress server does, as far as a sender can see."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, str | None, Any]] = []
        self.answer = 204

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1/progress"


class Handler(BaseHTTPRequestHandler):
    server: Operator

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.server.answer)
        self.end_headers()

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def operator() -> Iterator[Operator]:
    with Operator() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_the_token_is_read_for_each_request(operator: Operator, tmp_path: Path) -> None:
    token = tmp_path / "token"
    send = http_sender(operator.url, token)
    for content in ("first\n", "rotated\n"):
        token.write_text(content)
        send(report(1))
    assert [(path, bearer) for path, bearer, _ in operator.requests] == [
        ("/v1/progress", "Bearer first"),
        ("/v1/progress", "Bearer rotated"),
    ]
    assert operator.requests[0][2]["lastCheckpointStep"] == 20


@pytest.mark.parametrize("answer", [400, 401, 403, 429, 503])
def test_any_refusal_is_an_error_of_the_sender_only(operator: Operator, tmp_path: Path, answer: int) -> None:
    operator.answer = answer
    with pytest.raises(OSError, match=str(answer)):
        http_sender(operator.url, None)(report(1))


def test_a_proxy_in_the_environment_is_ignored(operator: Operator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    http_sender(operator.url, None)(report(1))
    assert len(operator.requests) == 1


def test_a_token_that_is_not_there_yet_is_a_failed_report_only(operator: Operator, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="token"):
        http_sender(operator.url, tmp_path / "token")(report(1))
    assert operator.requests == []
