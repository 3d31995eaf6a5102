"""Progress: who may report, what is believed, and how often it shows."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession
from aiohttp.test_utils import TestClient, TestServer

from slipway.kube.client import KubeClient
from slipway.kube.kinds import POD, TRAINING_JOB
from slipway.plan.observed import Reported
from slipway.reconcile.index import Index
from slipway.reconcile.keys import Key
from slipway.reconcile.progress import ProgressStore
from slipway.reconcile.progress_server import ProgressServer
from slipway.reconcile.tokens import Tokens
from slipway.telemetry.metrics import Metrics

from .build import JOB, body, child_labels, job
from .clock import virtually
from .fakeapi import FakeApi
from .tokens import jwt, review

GOOD = jwt()
Obj = dict[str, Any]


def reported(step: int, received: float = 0.0) -> Reported:
    return Reported(pod_uid="pod-uid", received=received, step=step)


# ---------------------------------------------------------------------------- how often it shows


def test_the_first_report_shows_at_once_and_then_the_newest_every_interval() -> None:
    async def scenario() -> None:
        visits: list[tuple[float, int]] = []
        loop = asyncio.get_running_loop()

        def add(key: Key) -> None:
            shown = store.shown(key, "uid")
            visits.append((loop.time(), shown.step if shown else -1))

        store = ProgressStore(add, interval_seconds=30.0)
        for second in range(70):
            store.report(JOB, "uid", reported(second, float(second)))
            shown = store.shown(JOB, "uid")
            assert shown is not None
            assert shown.step == max(step for _, step in visits), "between visits the snapshot stands still"
            await asyncio.sleep(1.0)
        await asyncio.sleep(100.0)
        assert [round(when) for when, _ in visits] == [0, 30, 60, 90]
        assert visits[0] == (0.0, 0)
        assert visits[-1][1] == 69, "the last one shows, too"

    virtually(scenario())


def test_after_a_silence_a_report_shows_at_once() -> None:
    async def scenario() -> None:
        visits: list[float] = []
        store = ProgressStore(lambda key: visits.append(asyncio.get_running_loop().time()), interval_seconds=30.0)
        store.report(JOB, "uid", reported(1))
        await asyncio.sleep(100.0)
        store.report(JOB, "uid", reported(2))
        await asyncio.sleep(0.1)
        assert visits == [0.0, 100.0]

    virtually(scenario())


def test_a_namesake_starts_afresh_and_an_older_report_is_dropped() -> None:
    async def scenario() -> None:
        store = ProgressStore(lambda key: None, interval_seconds=30.0)
        store.report(JOB, "uid", reported(5, 10.0))
        store.report(JOB, "uid", reported(4, 9.0))
        await asyncio.sleep(31.0)
        assert store.shown(JOB, "uid") == reported(5, 10.0)
        store.report(JOB, "new", reported(1, 11.0))
        assert store.shown(JOB, "uid") is None
        assert store.shown(JOB, "new") == reported(1, 11.0)

    virtually(scenario())


def test_what_is_forgotten_fires_no_timer() -> None:
    async def scenario() -> None:
        visits: list[Key] = []
        store = ProgressStore(visits.append, interval_seconds=30.0)
        store.report(JOB, "uid", reported(1))
        store.report(JOB, "uid", reported(2))
        store.clear()
        await asyncio.sleep(100.0)
        assert visits == [JOB]
        assert store.shown(JOB, "uid") is None

    virtually(scenario())


# ---------------------------------------------------------------------------- the server


class Bench:
    def __init__(self, client: KubeClient, fake: FakeApi) -> None:
        self.fake, self.index, self.metrics, self.leading, self.now = fake, Index(), Metrics(), True, 0.0
        self.visits: list[Key] = []
        self.store = ProgressStore(self.visits.append)
        self.server = ProgressServer(
            self.index,
            self.store,
            Tokens(client, clock=lambda: self.now),
            self.metrics,
            leading=lambda: self.leading,
            clock=lambda: self.now,
            wall=lambda: 1234.5,
        )
        self.index.record(TRAINING_JOB, "ADDED", job())
        self.index.record(POD, "ADDED", body(POD, "pod", uid="pod-uid", labels=child_labels()))
        fake.reviews[GOOD] = review()
        self.http: TestClient[Any, Any] | None = None

    async def post(
        self, json: object = None, *, token: str | None = GOOD, data: bytes | None = None
    ) -> tuple[int, str, str]:
        """(status, error, Retry-After)"""
        assert self.http is not None
        headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
        payload = {"data": data} if data is not None else {"json": {"step": 1} if json is None else json}
        async with self.http.post("/v1/progress", headers=headers, **payload) as answer:
            text = "" if answer.status == 204 else (await answer.json())["error"]
            return answer.status, text, answer.headers.get("Retry-After", "")


@pytest.fixture
async def bench(client: KubeClient, fake: FakeApi) -> AsyncIterator[Bench]:
    made = Bench(client, fake)
    async with TestClient(TestServer(made.server.application())) as made.http:
        yield made
    made.store.clear()


async def test_a_report_is_kept_whole(bench: Bench) -> None:
    sent = {"step": 40, "totalSteps": 200, "loss": "4.1234", "tokensPerSecond": 5120, "lastCheckpointStep": 20}
    assert await bench.post(sent) == (204, "", "")
    assert bench.visits == [JOB]
    assert bench.store.shown(JOB, "job-uid") == Reported("pod-uid", 1234.5, 40, 200, "4.1234", 5120, 20)
    assert 'slipway_progress_reports_total{code="204"} 1.0' in bench.metrics.exposition().decode()


async def test_what_a_report_may_say_beside(bench: Bench) -> None:
    sent = {
        "step": 1,
        "stepSecondsP50": "0.25",
        "stepSecondsP99": "12.5",
        "mfuPercent": "41.2",
        "productiveSeconds": "3600",
        "checkpointSeconds": "0",
        "badRows": 3,
        "slowRank": 15_999,
        "slowNode": "node-1.example",
    }
    assert await bench.post(sent) == (204, "", "")
    assert bench.store.shown(JOB, "job-uid") == Reported(
        pod_uid="pod-uid",
        received=1234.5,
        step=1,
        step_seconds_p50="0.25",
        step_seconds_p99="12.5",
        mfu_percent="41.2",
        productive_seconds="3600",
        checkpoint_seconds="0",
        bad_rows=3,
        slow_rank=15_999,
        slow_node="node-1.example",
    )


async def test_a_standby_sends_away_without_asking_anybody(bench: Bench) -> None:
    bench.leading = False
    status, error, retry = await bench.post()
    assert (status, retry) == (503, "2")
    assert "does not lead" in error
    assert bench.fake.requests == []


@pytest.mark.parametrize("token", [None, "", "bad", "x" * 5_000])
async def test_without_a_valid_token_401(bench: Bench, token: str | None) -> None:
    assert (await bench.post(token=token))[0] == 401
    assert bench.visits == []


@pytest.mark.parametrize(
    "status",
    [
        review(name="other"),
        review(uid="another-pod-of-that-name"),
        review(user="system:serviceaccount:elsewhere:default"),
        review(name="", uid=""),
    ],
)
async def test_a_token_of_no_pod_of_a_job_403(bench: Bench, status: Obj) -> None:
    bench.fake.reviews[GOOD] = status
    assert (await bench.post())[0] == 403
    assert bench.visits == []


async def test_a_pod_that_is_none_of_a_job_403(bench: Bench) -> None:
    bench.index.record(POD, "MODIFIED", body(POD, "pod", uid="pod-uid", version=9))
    assert (await bench.post())[0] == 403


async def test_a_pod_of_a_job_that_is_gone_403(bench: Bench) -> None:
    bench.index.record(TRAINING_JOB, "DELETED", job(9))
    assert await bench.post() == (403, "there is no TrainingJob ns/job", "")


@pytest.mark.parametrize(
    ("sent", "complaint"),
    [
        (b"not json", "body"),
        (b"[]", "body"),
        (b"{}", "step"),
        (b'{"step": -1}', "step"),
        (b'{"step": "1"}', "step"),
        (b'{"step": 1.5}', "step"),
        (b'{"step": 1, "loss": 4.1}', "loss"),
        (b'{"step": 1, "loss": "much"}', "loss"),
        (b'{"step": 1, "unknown": 1}', "unknown"),
        (b'{"step": 99999999999999999999}', "step"),
        (b'{"step": 1, "stepSecondsP50": 0.25}', "stepSecondsP50"),
        (b'{"step": 1, "stepSecondsP99": "-1"}', "stepSecondsP99"),
        (b'{"step": 1, "mfuPercent": "nan"}', "mfuPercent"),
        (b'{"step": 1, "mfuPercent": "1000"}', "mfuPercent"),
        (b'{"step": 1, "productiveSeconds": "1e9"}', "productiveSeconds"),
        (b'{"step": 1, "productiveSeconds": "1234567890123"}', "productiveSeconds"),
        (b'{"step": 1, "checkpointSeconds": "1\\n"}', "checkpointSeconds"),
        (b'{"step": 1, "badRows": -1}', "badRows"),
        (b'{"step": 1, "badRows": true}', "badRows"),
        (b'{"step": 1, "slowRank": 16000}', "slowRank"),
        (b'{"step": 1, "slowNode": "\\u001b[31m"}', "slowNode"),
        (b'{"step": 1, "slowNode": "' + b"n" * 254 + b'"}', "slowNode"),
        (b'{"step": 1, "loss": "' + b"1" * 5000 + b'"}', "larger than 4096 bytes"),
    ],
)
async def test_a_bad_body_400(bench: Bench, sent: bytes, complaint: str) -> None:
    status, error, _ = await bench.post(data=sent)
    assert status == 400
    assert complaint in error
    assert bench.visits == []


async def test_too_often_429(bench: Bench) -> None:
    answers = [await bench.post() for _ in range(11)]
    assert [status for status, _, _ in answers] == [204] * 10 + [429]
    assert answers[-1][2] == "1"
    bench.now += 1.0
    assert (await bench.post())[0] == 204
    assert (await bench.post())[0] == 429


async def test_tokens_that_are_made_up_are_soon_not_looked_at_but_known_ones_are(bench: Bench) -> None:
    assert (await bench.post())[0] == 204
    answers = [await bench.post(token=jwt(made_up=number)) for number in range(30)]
    assert [status for status, _, _ in answers] == [401] * 20 + [429] * 10
    assert answers[-1][1:] == ("too many tokens from this address were not valid: come back later", "1")
    assert (await bench.post())[0] == 204
    assert len(bench.fake.requests) == 21


async def test_when_nobody_can_say_503(bench: Bench) -> None:
    bench.fake.fail("POST .*tokenreviews", 500)
    status, _, retry = await bench.post()
    assert (status, retry) == (503, "5")


async def test_only_posts_and_only_there(bench: Bench) -> None:
    assert bench.http is not None
    assert isinstance(bench.http.session, ClientSession)
    assert (await bench.http.get("/v1/progress")).status == 405
    assert (await bench.http.post("/metrics")).status == 404
