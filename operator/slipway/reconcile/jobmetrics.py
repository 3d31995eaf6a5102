"""How far each TrainingJob is, for Prometheus: on the leader alone, from the statuses that it plans.

Two replicas that both told would count every job twice, and a standby plans nothing. Series are made when they are
scraped, so those of a job that is gone go with it; beyond JOBS_MAX jobs the rest are counted and not listed, those that
are over first, for series cost Prometheus memory whoever makes ten thousand jobs.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..kube.kinds import TRAINING_JOB
from ..plan import conditions
from ..plan.observed import Obj
from .keys import Key

# Not `namespace` and `job`: a scrape sets those to the operator's own, and renames ours to exported_*.
LABELS = ("training_namespace", "training_job")
PREFIX = "slipway_trainingjob_"
JOBS_MAX = 2_000


@dataclass(frozen=True, slots=True)
class Family:
    """A metric, and where its value is in status. Percent there are ratios here. A quantile is a label more."""

    name: str
    help: str
    path: tuple[str, ...]
    scale: float = 1.0
    counts: bool = False
    quantile: str = ""


FAMILIES = (
    Family("step", "Optimizer steps done.", ("progress", "step")),
    Family("steps", "Optimizer steps that make the job complete.", ("progress", "totalSteps")),
    Family("loss", "Training loss of the last step, in nats per token.", ("progress", "loss")),
    Family("tokens_per_second", "Tokens trained on per second.", ("progress", "tokensPerSecond")),
    Family("mfu_ratio", "Model FLOPs utilization.", ("progress", "mfuPercent"), scale=0.01),
    Family("goodput_ratio", "Productive share of allocated time.", ("progress", "goodputPercent"), scale=0.01),
    Family("step_seconds", "Times of the newest steps.", ("progress", "stepSecondsP50"), quantile="0.5"),
    Family("step_seconds", "Times of the newest steps.", ("progress", "stepSecondsP99"), quantile="0.99"),
    Family("last_checkpoint_step", "Where a restart goes on.", ("progress", "lastCheckpointStep")),
    Family("checkpoint_seconds", "How long the newest one held up the steps.", ("progress", "checkpointSeconds")),
    Family("bad_rows", "Rows of the dataset that could not be used.", ("progress", "badRows")),
    Family("allocated_seconds", "Time with all nodes, over all attempts.", ("allocation", "seconds"), counts=True),
    Family("device_seconds", "The same, times devices.", ("allocation", "deviceSeconds"), counts=True),
    Family("restarts", "Gangs after the first.", ("attempt",), counts=True),
)


@dataclass(frozen=True, slots=True)
class _Job:
    over: bool
    running: bool
    values: tuple[float | None, ...]  # of FAMILIES


class JobMetrics(Collector):
    """`record` is told every status that is planned; `leading` says whether this process may speak for the cluster."""

    def __init__(self, leading: Callable[[], bool]) -> None:
        self._leading = leading
        self._jobs: dict[Key, _Job] = {}

    def record(self, key: Key, status: Obj) -> None:
        if key.kind == TRAINING_JOB.kind:
            self._jobs[key] = _job(status)

    def forget(self, key: Key) -> None:
        self._jobs.pop(key, None)

    def clear(self) -> None:
        self._jobs.clear()

    def describe(self) -> Iterator[Metric]:
        return self._metrics({})

    def collect(self) -> Iterator[Metric]:
        return self._metrics(self._jobs) if self._leading() else iter(())

    def _metrics(self, jobs: dict[Key, _Job]) -> Iterator[Metric]:
        listed = heapq.nsmallest(JOBS_MAX, jobs.items(), key=lambda item: (item[1].over, item[0]))
        running = GaugeMetricFamily(PREFIX + "running", "1 while all pods of the gang run.", labels=LABELS)
        for key, job in listed:
            running.add_metric(_labels(key), job.running)
        yield running
        unlisted = len(jobs) - len(listed)
        yield GaugeMetricFamily("slipway_trainingjobs_unlisted", "Jobs beyond those that have series.", value=unlisted)
        yield from _families(listed)


def _families(listed: list[tuple[Key, _Job]]) -> Iterator[Metric]:
    made: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
    for index, family in enumerate(FAMILIES):
        metric = made.setdefault(family.name, _empty(family))
        quantile = (family.quantile,) if family.quantile else ()
        for key, job in listed:
            if (value := job.values[index]) is not None:
                metric.add_metric((*_labels(key), *quantile), value)
    yield from made.values()


def _empty(family: Family) -> GaugeMetricFamily | CounterMetricFamily:
    labels = (*LABELS, "quantile") if family.quantile else LABELS
    kind = CounterMetricFamily if family.counts else GaugeMetricFamily
    return kind(PREFIX + family.name, family.help, labels=labels)


def _labels(key: Key) -> tuple[str, str]:
    return key.namespace, key.name


def _job(status: Obj) -> _Job:
    over = conditions.is_over(status)
    running = conditions.is_true(status, conditions.RUNNING)
    return _Job(over, running, tuple(_value(status, family) for family in FAMILIES))


def _value(status: Obj, family: Family) -> float | None:
    """None for what is not said. A loss may be `nan` or `inf`, which Prometheus has too."""
    value: object = status
    for name in family.path:
        value = value.get(name) if isinstance(value, dict) else None
    try:
        return family.scale * float(value) if isinstance(value, int | str) else None
    except (ValueError, OverflowError):
        return None
