"""Metrics of TrainingJobs: which there are, who tells them, and for how long."""

import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from slipway.kube.client import KubeClient
from slipway.kube.kinds import TRAINING_JOB
from slipway.plan.outcome import Plan
from slipway.reconcile import jobmetrics
from slipway.reconcile.jobmetrics import JobMetrics
from slipway.reconcile.keys import Key
from slipway.telemetry.metrics import Metrics

from .bench import Bench
from .build import JOB, job
from .fakeapi import Connection, FakeApi
from .test_app import app

Obj = dict[str, Any]
Series = dict[tuple[str, str, str], float]

STATUS: Obj = {
    "conditions": [{"type": "Running", "status": "True"}],
    "attempt": 2,
    "progress": {
        "step": 40,
        "totalSteps": 200,
        "loss": "4.1234",
        "tokensPerSecond": 5120,
        "mfuPercent": "41.2",
        "goodputPercent": "93.4",
        "stepSecondsP50": "0.25",
        "stepSecondsP99": "0.5",
        "lastCheckpointStep": 20,
        "checkpointSeconds": "1.5",
        "badRows": 3,
    },
    "allocation": {"seconds": 3600, "deviceSeconds": 7200},
}


def named(name: str, namespace: str = "ns") -> Key:
    return Key(TRAINING_JOB.kind, namespace, name)


def series(metrics: Metrics) -> Series:
    """By metric's name, job and quantile, as Prometheus reads it; all of them are of namespace `ns`."""
    found: Series = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            if sample.name.startswith("slipway_trainingjob_"):
                assert sample.labels["training_namespace"] == "ns"
                which = sample.labels["training_job"], sample.labels.get("quantile", "")
                found[sample.name.removeprefix("slipway_trainingjob_"), *which] = sample.value
    return found


@pytest.fixture
def told() -> tuple[JobMetrics, Metrics, list[bool]]:
    leads = [True]
    jobs, metrics = JobMetrics(lambda: leads[0]), Metrics()
    metrics.registry.register(jobs)
    return jobs, metrics, leads


Told = tuple[JobMetrics, Metrics, list[bool]]


def test_everything_that_a_status_says(told: Told) -> None:
    jobs, metrics, _ = told
    jobs.record(JOB, STATUS)
    values = {(name, quantile): value for (name, _, quantile), value in series(metrics).items()}
    assert values == {
        ("running", ""): 1,
        ("step", ""): 40,
        ("steps", ""): 200,
        ("loss", ""): 4.1234,
        ("tokens_per_second", ""): 5120,
        ("mfu_ratio", ""): pytest.approx(0.412),
        ("goodput_ratio", ""): pytest.approx(0.934),
        ("step_seconds", "0.5"): 0.25,
        ("step_seconds", "0.99"): 0.5,
        ("last_checkpoint_step", ""): 20,
        ("checkpoint_seconds", ""): 1.5,
        ("bad_rows", ""): 3,
        ("allocated_seconds_total", ""): 3600,
        ("device_seconds_total", ""): 7200,
        ("restarts_total", ""): 2,
    }


def test_what_is_not_said_has_no_series(told: Told) -> None:
    jobs, metrics, _ = told
    jobs.record(JOB, {"attempt": 0})
    assert set(series(metrics)) == {("running", "job", ""), ("restarts_total", "job", "")}


@pytest.mark.parametrize("loss", ["nan", "inf", "-inf"])
def test_a_loss_that_is_no_number_is_told(told: Told, loss: str) -> None:
    jobs, metrics, _ = told
    jobs.record(JOB, {"progress": {"loss": loss}})
    value = series(metrics)["loss", "job", ""]
    assert math.isnan(value) if loss == "nan" else value == float(loss)


@pytest.mark.parametrize("odd", [{"progress": {"loss": "much"}}, {"progress": []}, {"progress": {"loss": [1]}}, {}])
def test_what_cannot_be_read_is_left_out(told: Told, odd: Obj) -> None:
    jobs, metrics, _ = told
    jobs.record(JOB, odd)
    assert set(series(metrics)) == {("running", "job", "")}


def test_a_standby_tells_nothing(told: Told) -> None:
    jobs, metrics, leads = told
    jobs.record(JOB, STATUS)
    leads[0] = False
    assert "slipway_trainingjob" not in metrics.exposition().decode()


def test_series_go_with_the_job(told: Told) -> None:
    jobs, metrics, _ = told
    jobs.record(JOB, STATUS)
    jobs.record(named("other"), STATUS)
    jobs.forget(JOB)
    assert {name for _, name, _ in series(metrics)} == {"other"}
    jobs.clear()
    assert series(metrics) == {}


def test_an_inference_service_is_no_job(told: Told) -> None:
    jobs, metrics, _ = told
    jobs.record(Key("InferenceService", "ns", "chat"), STATUS)
    assert series(metrics) == {}


def test_the_number_of_series_is_bounded_and_those_that_run_come_first(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobmetrics, "JOBS_MAX", 3)
    jobs, metrics, _ = told
    for name in ("a", "b", "c"):
        jobs.record(named(name), {"conditions": [{"type": "Complete", "status": "True"}]})
    jobs.record(named("y"), STATUS)
    jobs.record(named("z"), {})
    assert {name for _, name, _ in series(metrics)} == {"a", "y", "z"}
    assert "slipway_trainingjobs_unlisted 2.0" in metrics.exposition().decode()


def test_no_other_metric_can_take_their_names() -> None:
    registry = CollectorRegistry()
    registry.register(JobMetrics(lambda: True))
    with pytest.raises(ValueError, match="Duplicated timeseries"):
        registry.register(JobMetrics(lambda: True))


async def test_a_visit_tells_the_status_that_stands(client: KubeClient, fake: FakeApi) -> None:
    bench = Bench(client, fake)
    bench.index.record(TRAINING_JOB, "ADDED", fake.put("/x", job()))
    bench.planner = lambda observed, now, defaults: Plan(status=observed.owner.status)
    await bench.reconciler.visit(JOB)
    assert [key for key, _ in bench.statuses] == [JOB]


async def test_the_app_wires_it() -> None:
    made = app(Connection("https://api:6443"))
    made.jobs.record(JOB, STATUS)
    assert "slipway_trainingjob" not in made.metrics.exposition().decode(), "it does not lead"
    made.jobs._leading = lambda: True
    assert series(made.metrics)["step", "job", ""] == 40
    made._gone(JOB)
    assert series(made.metrics) == {}
    made.jobs.record(JOB, STATUS)
    made._lose()
    assert series(made.metrics) == {}
