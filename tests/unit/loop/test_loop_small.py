"""Settings, gate, refusals, errors, client, telemetry, readiness, resync: the small parts."""

import asyncio
import io
import json
import logging
import time
from collections.abc import Iterator

import pytest
from aiohttp.test_utils import TestClient, TestServer
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from slipway.kube.client import KubeClient
from slipway.kube.errors import ApiError, NotLeader, from_answer
from slipway.kube.kinds import (
    DEPLOYMENT,
    LEASE,
    PYTORCH_JOB,
    SERVICE,
    TRAINING_JOB,
    collection_path,
    object_path,
    ref,
    ref_of,
)
from slipway.kube.leader_slice import leader_slice
from slipway.plan.observed import Ref
from slipway.reconcile.gate import Gate
from slipway.reconcile.index import Index
from slipway.reconcile.keys import Key
from slipway.reconcile.refusals import Refusals
from slipway.reconcile.resync import everything, forever
from slipway.reconcile.synced import MISSED_PROBES, Synced, WatchMissing
from slipway.settings import SettingsError, from_environment
from slipway.telemetry import logging as structured
from slipway.telemetry import tracing
from slipway.telemetry.health import health_application
from slipway.telemetry.metrics import Metrics

from .loopbuild import ENVIRONMENT, JOB, body, job
from .loopclock import virtually
from .loopfakeapi import Connection, FakeApi

# ---------------------------------------------------------------------------- settings


def test_what_is_required_suffices() -> None:
    settings = from_environment(ENVIRONMENT, unique="u")
    assert settings.defaults.vllm_images == (("cpu", "vllm-cpu:1"), ("nvidia", "vllm:1"))
    assert settings.defaults.prometheus_url == ""
    assert settings.lease.identity == "operator-0_u"
    assert (settings.lease.duration_seconds, settings.lease.renew_deadline_seconds, settings.lease.retry_seconds) == (
        15,
        10,
        2,
    )
    assert (settings.health_port, settings.progress_port, settings.watch_namespaces) == (8080, 8090, ())
    assert not settings.tracing


def test_everything_can_be_said() -> None:
    settings = from_environment(
        ENVIRONMENT
        | {
            "SLIPWAY_WATCH_NAMESPACES": " b, a,,b ",
            "SLIPWAY_PROGRESS_URL": "http://leader:8090/v1/progress",
            "SLIPWAY_WRITES_PER_SECOND": "2.5",
            "SLIPWAY_LOG_FORMAT": "text",
            "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
        },
        unique="u",
    )
    assert settings.watch_namespaces == ("a", "b")
    assert settings.defaults.progress_url == "http://leader:8090/v1/progress"
    assert (settings.writes_per_second, settings.log_format, settings.tracing) == (2.5, "text", True)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"SLIPWAY_TRAINER_IMAGE": ""}, "SLIPWAY_TRAINER_IMAGE is not set"),
        ({"SLIPWAY_TRAINER_IMAGE": "  "}, "SLIPWAY_TRAINER_IMAGE is not set"),
        ({"SLIPWAY_VLLM_NVIDIA_IMAGE": ""}, "SLIPWAY_VLLM_NVIDIA_IMAGE"),
        ({"SLIPWAY_NAMESPACE": ""}, "SLIPWAY_NAMESPACE"),
        ({"SLIPWAY_LOG_LEVEL": "LOUD"}, "SLIPWAY_LOG_LEVEL is 'LOUD': use one of DEBUG, INFO, WARNING, ERROR"),
        ({"SLIPWAY_IMAGE_PULL_POLICY": "always"}, "SLIPWAY_IMAGE_PULL_POLICY"),
        ({"SLIPWAY_WRITES_PER_SECOND": "0"}, "SLIPWAY_WRITES_PER_SECOND is '0': use a number above 0"),
        ({"SLIPWAY_WRITES_PER_SECOND": "nan"}, "SLIPWAY_WRITES_PER_SECOND"),
        ({"SLIPWAY_WRITES_PER_SECOND": "inf"}, "SLIPWAY_WRITES_PER_SECOND"),
        ({"SLIPWAY_WRITE_BURST": "1.5"}, "SLIPWAY_WRITE_BURST"),
        ({"SLIPWAY_HEALTH_PORT": "http"}, "SLIPWAY_HEALTH_PORT"),
        ({"SLIPWAY_LEASE_RENEW_DEADLINE_SECONDS": "15"}, "two operators could write at once"),
        ({"SLIPWAY_LEASE_RETRY_SECONDS": "10"}, "SLIPWAY_LEASE_RETRY_SECONDS"),
        ({"SLIPWAY_LEASE_DURATION_SECONDS": "15.5"}, "SLIPWAY_LEASE_DURATION_SECONDS must be whole"),
    ],
)
def test_a_mistake_names_its_variable(change: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named.replace("'", ".")):
        from_environment(ENVIRONMENT | change, unique="u")


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({}, unique="u")
    for name in set(ENVIRONMENT) - {"POD_NAME"}:
        assert name in str(caught.value)


# ---------------------------------------------------------------------------- gate


def test_writes_begin_at_the_rate_after_the_burst_first_come_first_served() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        gate = Gate(lambda: 10.0, rate=2.0, burst=3, metrics=Metrics())
        begun: list[tuple[int, float]] = []

        async def write(number: int) -> None:
            await gate.admit("apply", "services")
            begun.append((number, loop.time()))

        await asyncio.gather(*(write(number) for number in range(7)))
        assert begun == [(0, 0.0), (1, 0.0), (2, 0.0), (3, 0.5), (4, 1.0), (5, 1.5), (6, 2.0)]
        await asyncio.sleep(100.0)
        began = loop.time()
        await asyncio.gather(*(write(number) for number in range(3)))
        assert loop.time() == began, "the bucket is full again, and not fuller"
        await write(3)
        assert loop.time() == began + 0.5

    virtually(scenario())


def test_a_write_that_waited_past_the_lease_does_not_begin() -> None:
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        metrics = Metrics()
        gate = Gate(lambda: max(0.0, 1.2 - loop.time()), rate=1.0, burst=1, metrics=metrics)
        assert await gate.admit("apply", "services") == pytest.approx(1.2), "and it must end with the lease"
        assert await gate.admit("apply", "services") == pytest.approx(0.2)
        with pytest.raises(NotLeader):
            await gate.admit("apply", "services")
        assert 'slipway_writes_total{operation="apply",resource="services"} 2.0' in metrics.exposition().decode()

    virtually(scenario())


# ---------------------------------------------------------------------------- refusals

ONE, TWO = ref(SERVICE, "ns", "one"), ref(SERVICE, "ns", "two")


def test_the_pause_grows_to_a_minute() -> None:
    refusals, now, pauses = Refusals(), 0.0, []
    for _ in range(6):
        refusals.note(ONE, "intent", "no", now)
        pause = refusals.next_seconds(now)
        assert pause is not None
        assert refusals.holds(ONE, "intent", now + pause - 0.01)
        assert not refusals.holds(ONE, "intent", now + pause)
        pauses.append(pause)
        now += pause
    assert pauses == [5, 10, 20, 40, 60, 60]


def test_another_intent_is_another_refusal() -> None:
    refusals = Refusals()
    for _ in range(3):
        refusals.note(ONE, "old", "no", 0.0)
    assert not refusals.holds(ONE, "new", 0.0)
    refusals.note(ONE, "new", "no", 0.0)
    assert refusals.next_seconds(0.0) == 5.0


def test_what_is_no_longer_planned_is_forgotten() -> None:
    refusals = Refusals()
    refusals.note(ONE, "i", "first", 0.0)
    refusals.note(TWO, "i", "second", 3.0)
    assert refusals.messages() == {ONE: "first", TWO: "second"}
    assert refusals.next_seconds(4.0) == 1.0
    refusals.keep_only({TWO})
    assert refusals.messages() == {TWO: "second"}
    refusals.hurry()
    assert refusals.next_seconds(4.0) == 0.0
    assert refusals.messages() == {TWO: "second"}
    refusals.clear(TWO)
    assert refusals.next_seconds(4.0) is None


# ---------------------------------------------------------------------------- errors and client


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        (400, True),
        (403, True),
        (404, True),
        (413, True),
        (422, True),
        (401, False),
        (408, False),
        (409, False),
        (429, False),
        (500, False),
        (504, False),
        (0, False),
    ],
)
def test_what_counts_as_refused(status: int, refused: bool) -> None:
    assert ApiError(status, "Reason", "message").refused is refused


@pytest.mark.parametrize(
    "message",
    [
        "etcdserver: request is too large",
        "rpc error: code = ResourceExhausted desc = trying to send message larger than max (2200000 vs. 2097152)",
        "Request entity too large: limit is 3145728",
    ],
)
def test_what_is_too_large_to_be_kept_is_refused_though_the_server_blames_itself(message: str) -> None:
    assert ApiError(500, "InternalError", message).refused
    assert not ApiError(429, "TooManyRequests", message).refused


@pytest.mark.parametrize(
    ("status", "answer", "headers", "message", "retry_after"),
    [
        (422, {"kind": "Status", "message": "spec.x: required", "reason": "Invalid"}, {}, "spec.x: required", None),
        (404, "404 page not found\n", {}, "install its CustomResourceDefinition", None),
        (
            404,
            {"kind": "Status", "message": "the server could not find the requested resource"},
            {},
            "install its",
            None,
        ),
        (502, "<html>bad gateway</html>", {}, "bad gateway", None),
        (500, {"secret": "of another kind"}, {}, "no message", None),
        (429, "", {"Retry-After": "3"}, "no message", 3.0),
        (429, {"kind": "Status", "details": {"retryAfterSeconds": 7}}, {}, "no message", 7.0),
        (429, "", {"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}, "no message", None),
        (429, "", {"Retry-After": "-1"}, "no message", None),
    ],
)
def test_what_an_answer_says(
    status: int, answer: object, headers: dict[str, str], message: str, retry_after: float | None
) -> None:
    error = from_answer(status, answer, headers)
    assert message in error.message
    assert error.retry_after == retry_after


def test_a_message_is_bounded() -> None:
    assert len(ApiError(422, "Invalid", "x" * 10_000).message) == 1024


async def test_an_unreachable_server_is_transient() -> None:
    client = KubeClient(Connection("http://127.0.0.1:1"), Metrics())
    with pytest.raises(ApiError, match="Unreachable: GET /api/v1") as caught:
        await client.request("GET", "/api/v1")
    assert (caught.value.status, caught.value.refused) == (0, False)
    await client.close()


async def test_a_time_out_bounds_the_whole_request(
    client: KubeClient, fake: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> tuple[int, str, dict[str, str]]:
        await asyncio.sleep(60.0)
        raise AssertionError

    monkeypatch.setattr(client, "_exchange", never)
    begun = time.monotonic()
    with pytest.raises(ApiError, match=r"no answer within 0.1 s"):
        await client.request("GET", "/api/v1", timeout_seconds=0.1)
    assert time.monotonic() - begun < 5.0


async def test_requests_are_counted_and_a_missing_object_is_none(fake: FakeApi, client: KubeClient) -> None:
    assert await client.get(ref(SERVICE, "ns", "none")) is None
    assert 'rest_client_requests_total{code="404",method="GET"} 1.0' in client._metrics.exposition().decode()
    fake.fail("GET", 500)
    with pytest.raises(ApiError):
        await client.get(ref(SERVICE, "ns", "none"))


@pytest.mark.parametrize(
    ("answer", "served"), [({"resources": [{"name": "pytorchjobs"}]}, True), ({"resources": []}, False), (None, False)]
)
async def test_whether_a_kind_is_served(
    client: KubeClient, fake: FakeApi, answer: dict[str, object] | None, served: bool
) -> None:
    if answer is not None:
        fake.objects["/apis/kubeflow.org/v1"] = answer
    assert await client.serves(PYTORCH_JOB.api_version, PYTORCH_JOB.plural) is served


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (ref(SERVICE, "ns", "a"), "/api/v1/namespaces/ns/services/a"),
        (ref(DEPLOYMENT, "ns", "a"), "/apis/apps/v1/namespaces/ns/deployments/a"),
        (
            Ref("storage.k8s.io/v1", "StorageClass", "storageclasses.storage.k8s.io", "", "fast"),
            "/apis/storage.k8s.io/v1/storageclasses/fast",
        ),
    ],
)
def test_paths(target: Ref, path: str) -> None:
    assert object_path(target) == path
    assert path == f"{collection_path(target.api_version, target.plural, target.namespace)}/{target.name}"


def test_a_kind_that_the_table_lacks_is_named() -> None:
    with pytest.raises(ValueError, match=r"'Secret' of 'v1' is not in kube/kinds.py"):
        ref_of({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}})
    assert ref_of(body(DEPLOYMENT, "x")).plural == "deployments.apps"
    assert LEASE.full == "leases.coordination.k8s.io"


def test_the_leaders_address() -> None:
    made = leader_slice(service="slipway-leader", namespace="slipway", address="fd00::1", port=8090)
    assert made["addressType"] == "IPv6"
    assert made["metadata"]["name"] == "slipway-leader"
    assert made["metadata"]["labels"]["kubernetes.io/service-name"] == "slipway-leader"
    with pytest.raises(ValueError, match="not-an-address"):
        leader_slice(service="s", namespace="n", address="not-an-address", port=1)


# ---------------------------------------------------------------------------- readiness


async def test_ready_when_every_kind_that_is_served_has_been_listed() -> None:
    synced = Synced([SERVICE, DEPLOYMENT, PYTORCH_JOB], optional=[PYTORCH_JOB], namespaces=())
    served = {"services", "deployments"}

    async def serves(api_version: str, plural: str) -> bool:
        return plural in served

    synced.listed(SERVICE, None)
    probe = asyncio.create_task(synced.probe(serves, seconds=0.01))
    await asyncio.sleep(0.03)
    assert synced.missing() == ["deployments.apps"]
    assert synced.listed(DEPLOYMENT, None) is False
    await asyncio.wait_for(synced.wait(), 5.0)
    assert synced.missing() == []
    assert synced.listed(PYTORCH_JOB, None) is True, "the first listing of a kind that came later"
    assert synced.listed(PYTORCH_JOB, None) is False
    probe.cancel()


async def test_a_required_kind_that_is_not_served_is_waited_for() -> None:
    synced = Synced([SERVICE], optional=[], namespaces=())

    async def serves(api_version: str, plural: str) -> bool:
        return False

    probe = asyncio.create_task(synced.probe(serves, seconds=0.001))
    await asyncio.sleep(0.05)
    assert synced.missing() == ["services"]
    probe.cancel()


async def test_each_namespace_is_listed_for_itself() -> None:
    synced = Synced([SERVICE], optional=[], namespaces=("a", "b"))
    synced.listed(SERVICE, "a")
    assert synced.missing() == ["services"]


async def test_a_kind_that_is_served_and_never_watched_ends_the_process() -> None:
    synced, asked = Synced([PYTORCH_JOB], optional=[PYTORCH_JOB], namespaces=()), 0

    async def serves(api_version: str, plural: str) -> bool:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise ApiError(500, "Oops", "no answer")
        return asked > 2

    with pytest.raises(WatchMissing, match=r"pytorchjobs.kubeflow.org is served, but is not being watched"):
        await asyncio.wait_for(synced.probe(serves, seconds=0.001), 10.0)
    assert asked == 2 + MISSED_PROBES + 1


async def test_health_says_what_it_waits_for() -> None:
    waiting = ["pods"]
    metrics = Metrics()
    async with TestClient(TestServer(health_application(metrics, lambda: waiting))) as http:
        assert (await http.get("/healthz")).status == 200
        answer = await http.get("/readyz")
        assert (answer.status, await answer.text()) == (503, "waiting for the first listing of: pods\n")
        waiting.clear()
        assert (await http.get("/readyz")).status == 200
        answer = await http.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "workqueue_depth" in await answer.text()


# ---------------------------------------------------------------------------- resync


def test_everything_is_visited_every_ten_hours_give_or_take_one() -> None:
    async def scenario() -> None:
        index, visits = Index(), []
        index.record(TRAINING_JOB, "ADDED", job())
        loop = asyncio.get_running_loop()
        chances = iter([0.0, 1.0, 0.5, 0.5])

        def add(key: Key) -> None:
            visits.append((key, loop.time() / 3600))

        assert everything(index, add) == 1
        task = asyncio.create_task(forever(index, add, chance=lambda: next(chances)))
        await asyncio.sleep(31 * 3600)
        task.cancel()
        assert visits == [(JOB, 0.0), (JOB, 9.0), (JOB, 20.0), (JOB, 30.0)]

    virtually(scenario())


def test_what_has_no_answer_yet_is_visited_first() -> None:
    index, visits = Index(), []
    for number, seen in enumerate([1, 0, 1, None]):
        status = {} if seen is None else {"observedGeneration": seen}
        made = job(name=f"job-{number}", uid=f"uid-{number}", metadata={"generation": 1}, status=status)
        index.record(TRAINING_JOB, "ADDED", made)
    assert everything(index, lambda key: visits.append(key.name)) == 4
    assert visits == ["job-1", "job-3", "job-0", "job-2"]


# ---------------------------------------------------------------------------- telemetry


@pytest.fixture
def root_logger() -> Iterator[logging.Logger]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("kopf").level
    yield root
    root.handlers[:], level, kopf_level = before
    root.setLevel(level)
    logging.getLogger("kopf").setLevel(kopf_level)


def test_a_line_of_json_carries_what_the_visit_is_about(root_logger: logging.Logger) -> None:
    stream, provider = io.StringIO(), TracerProvider()
    structured.configure("INFO", "json", stream)
    with (
        structured.about(key="TrainingJob/ns/job", uid="u"),
        provider.get_tracer("t").start_as_current_span("s") as span,
    ):
        logging.getLogger("slipway.x").info("said %s", "so", extra={"failures": 2})
        trace_id = f"{span.get_span_context().trace_id:032x}"
    line = json.loads(stream.getvalue())
    assert line.pop("time").endswith("Z")
    assert line.pop("span_id")
    assert line == {
        "level": "info",
        "logger": "slipway.x",
        "message": "said so",
        "key": "TrainingJob/ns/job",
        "uid": "u",
        "failures": 2,
        "trace_id": trace_id,
    }


def test_an_error_keeps_its_traceback_in_both_styles(root_logger: logging.Logger) -> None:
    for style in ("json", "text"):
        stream = io.StringIO()
        structured.configure("INFO", style, stream)
        try:
            raise KeyError("lost")
        except KeyError:
            logging.getLogger("slipway").exception("broken")
        assert "KeyError: 'lost'" in stream.getvalue()
        assert "broken" in stream.getvalue()


def test_text_is_for_people_and_kopf_is_quiet(root_logger: logging.Logger) -> None:
    stream = io.StringIO()
    structured.configure("INFO", "text", stream)
    with structured.about(key="k"):
        logging.getLogger("slipway").info("hello")
    logging.getLogger("kopf.x").info("chatter")
    assert stream.getvalue().endswith("INFO    hello  [key=k]\n")


def test_spans_are_exported_under_our_name() -> None:
    exporter = InMemorySpanExporter()
    provider = tracing.provider("operator-0", exporter)
    with provider.get_tracer("t").start_as_current_span("visit"):
        pass
    provider.shutdown()
    (span,) = exporter.get_finished_spans()
    assert span.resource.attributes["service.name"] == "slipway"
    assert span.resource.attributes["service.instance.id"] == "operator-0"
