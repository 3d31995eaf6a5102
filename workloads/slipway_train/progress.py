"""Progress reports to the operator: from a thread of their own, newest only, at most one per interval.

Decided here: training hands over a report and goes on at once. A report that cannot be delivered is dropped when a
newer one comes; only the last one is tried again for a bounded time. The token is read anew for each request, because
the kubelet replaces it while the pod runs. Proxies from the environment are ignored: the operator is in the cluster.
"""

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from .logs import event, log

INTERVAL_SECONDS = 5.0
REQUEST_TIMEOUT_SECONDS = 5.0
LAST_REPORT_SECONDS = 10.0  # how long the end of a run may wait for its last report
_RETRY_SECONDS = 1.0
LOSS_IN_DIGITS_MOST = 1e9


@dataclass(frozen=True, slots=True)
class Report:
    """What status.progress will say. What is None is not sent, and the status keeps what it said of it before; only
    `slow_rank` and `slow_node` then go.

    `loss`: nats per token. `step_seconds_*`: of the newest steps. `mfu_percent`: see mfu.py; None on CPUs.
    `productive_seconds`: of the steps that the model is made of, carried on in the checkpoint, so that steps which a
    restart repeats are counted once. `checkpoint_seconds`: for which the newest checkpoint held up the steps.
    `slow_rank`: whom the others wait for; its node where that is known, else the operator finds it.
    """

    step: int
    total_steps: int
    loss: float | None = None
    tokens_per_second: int | None = None
    last_checkpoint_step: int | None = None
    step_seconds_p50: float | None = None
    step_seconds_p99: float | None = None
    mfu_percent: float | None = None
    productive_seconds: float | None = None
    checkpoint_seconds: float | None = None
    bad_rows: int | None = None
    slow_rank: int | None = None
    slow_node: str | None = None

    def to_json(self) -> bytes:
        content: dict[str, Any] = {
            "step": self.step,
            "totalSteps": self.total_steps,
            "loss": _loss(self.loss),
            "tokensPerSecond": self.tokens_per_second,
            "lastCheckpointStep": self.last_checkpoint_step,
            "stepSecondsP50": _decimal(self.step_seconds_p50, places=6),
            "stepSecondsP99": _decimal(self.step_seconds_p99, places=6),
            "mfuPercent": _decimal(self.mfu_percent, places=2),
            "productiveSeconds": _decimal(self.productive_seconds, places=3),
            "checkpointSeconds": _decimal(self.checkpoint_seconds, places=3),
            "badRows": self.bad_rows,
            "slowRank": self.slow_rank,
            "slowNode": self.slow_node,
        }
        return json.dumps({key: value for key, value in content.items() if value is not None}).encode()


def _loss(value: float | None) -> str | None:
    """Of a loss the operator takes an exponent too. One of 20 digits would be longer than what it takes, and a report
    that is refused looks like a stall."""
    if value is None or abs(value) < LOSS_IN_DIGITS_MOST:
        return _decimal(value, places=4)
    return f"{value:.6g}"


def _decimal(value: float | None, *, places: int) -> str | None:
    """As the operator takes decimals: in plain digits, without an exponent."""
    return None if value is None else f"{value:.{places}f}"


Send = Callable[[Report], None]


class Reporter:
    """A context: reports given inside are sent by a thread; leaving it sends the last one, in bounded time."""

    def __init__(self, send: Send, *, interval_seconds: float = INTERVAL_SECONDS) -> None:
        self._send = send
        self._interval_seconds = interval_seconds
        self._changed = threading.Condition()
        self._pending: Report | None = None
        self._closed = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(LAST_REPORT_SECONDS)

    def report(self, report: Report) -> None:
        """Never waits for the network."""
        with self._changed:
            self._pending = report
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._pending is not None or self._closed)
                report, self._pending, closed = self._pending, None, self._closed
            if report is not None and not self._try(report) and closed:
                self._retry_last(report)
            with self._changed:
                if self._closed and self._pending is None:
                    return
                self._changed.wait_for(lambda: self._closed, self._interval_seconds)

    def _retry_last(self, report: Report) -> None:
        end = time.monotonic() + LAST_REPORT_SECONDS - REQUEST_TIMEOUT_SECONDS
        while time.monotonic() < end:
            time.sleep(_RETRY_SECONDS)
            if self._try(report):
                return

    def _try(self, report: Report) -> bool:
        try:
            self._send(report)
        except Exception as error:  # whatever it is, training must not notice
            if not self._failing:
                log.warning(event("progress_not_delivered", step=report.step, error=repr(error)))
            self._failing = True
            return False
        if self._failing:
            log.info(event("progress_delivered_again", step=report.step))
        self._failing = False
        return True


def http_sender(url: str, token_file: Path | None) -> Send:
    """Sends by POST with the token that the file holds now. The result raises OSError for any answer but 2xx."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def send(report: Report) -> None:
        headers = {"Content-Type": "application/json"}
        if token_file is not None:
            headers["Authorization"] = f"Bearer {token_file.read_text().strip()}"
        request = urllib.request.Request(url, report.to_json(), headers, method="POST")  # noqa: S310 (the operator's URL)
        opener.open(request, timeout=REQUEST_TIMEOUT_SECONDS).close()

    return send


def no_sender(report: Report) -> None:
    """For a run that nobody listens to."""
