"""What the gateway counts, by Prometheus' names and rules.

The gauge that the autoscaler reads is computed when it is scraped, from the table itself: it exists for exactly the
services that exist, is 0 when idle, and cannot drift from the truth. Series of a service that is deleted go with it.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .routes import Service, ServiceKey, Table

# Not `namespace` and `service`: a scrape sets those to the gateway's own, and renames ours to exported_*.
SERVICE_LABELS = ("inference_namespace", "inference_service")
DURATION_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
FIRST_BYTE_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 10.0, 30.0, 100.0, 300.0)
Labels = tuple[str, str]
NO_SERVICE: Labels = ("", "")  # a request that never found a service


class _Load(Collector):
    """Requests and replicas per service, as they are now."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def describe(self) -> Iterator[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        requests = GaugeMetricFamily(
            "slipway_gateway_requests",
            "Requests held for a first replica, and in flight.",
            labels=(*SERVICE_LABELS, "state"),
        )
        replicas = GaugeMetricFamily("slipway_gateway_ready_replicas", "Replicas routed to.", labels=SERVICE_LABELS)
        for key, service in self._table.services.items():
            requests.add_metric((key.namespace, key.name, "held"), service.held)
            requests.add_metric((key.namespace, key.name, "in_flight"), service.in_flight)
            replicas.add_metric((key.namespace, key.name), len(service.ready))
        yield requests
        yield replicas


class _Synced(Collector):
    def __init__(self, table: Table) -> None:
        self._table = table

    def describe(self) -> Iterator[Metric]:
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "slipway_gateway_synced", "1 once the routes have been read.", value=float(self._table.synced)
        )


class Metrics:
    """Counters and histograms; `page()` is what Prometheus gets."""

    def __init__(self, table: Table) -> None:
        self.registry = CollectorRegistry()
        self.registry.register(_Load(table))
        self.registry.register(_Synced(table))
        self._requests = self._counter(
            "responses_total", "Requests answered, by status code.", (*SERVICE_LABELS, "code")
        )
        self._duration = self._histogram(
            "request_duration_seconds", "From first byte in to last byte out.", DURATION_BUCKETS
        )
        self._first_byte = self._histogram(
            "time_to_first_byte_seconds",
            "From first byte in to first byte of the response body out.",
            FIRST_BYTE_BUCKETS,
        )
        self._retries = self._counter(
            "upstream_retries_total",
            "Requests sent again before a byte of a response came.",
            (*SERVICE_LABELS, "reason"),
        )
        self._hold_timeouts = self._counter("hold_timeouts_total", "Requests that waited in vain.", SERVICE_LABELS)
        self._cuts = self._counter("responses_cut_total", "Responses that broke off after they began.", SERVICE_LABELS)
        self.discovery = self._counter(
            "discovery_events_total", "What the source of routes said, by kind of object and event.", ("kind", "event")
        )
        self.log_lines_dropped = self._counter(
            "access_log_lines_dropped_total", "Requests whose line in the access log could not be written.", ()
        )

        self._answers: dict[tuple[Labels, int], Counter] = {}
        self._times: dict[Labels, tuple[Histogram, Histogram]] = {}

    def _counter(self, name: str, said: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"slipway_gateway_{name}", said, labels, registry=self.registry)

    def _histogram(self, name: str, said: str, buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"slipway_gateway_{name}", said, SERVICE_LABELS, buckets=buckets, registry=self.registry)

    def answered(self, key: ServiceKey | None, code: int, *, duration: float, first_byte: float | None) -> None:
        """One request is over. Times in seconds; `first_byte` is None where no body was sent."""
        labels = NO_SERVICE if key is None else (key.namespace, key.name)
        self._answers_of(labels, code).inc()
        if key is None:
            return
        durations, first_bytes = self._times_of(labels)
        durations.observe(duration)
        if first_byte is not None:
            first_bytes.observe(first_byte)

    def _answers_of(self, labels: Labels, code: int) -> Counter:
        """Series are looked up here, not by prometheus_client, which takes a lock and a format for each."""
        found = self._answers.get((labels, code))
        if found is None:
            found = self._answers[labels, code] = self._requests.labels(*labels, str(code))
        return found

    def _times_of(self, labels: Labels) -> tuple[Histogram, Histogram]:
        found = self._times.get(labels)
        if found is None:
            found = self._times[labels] = (self._duration.labels(*labels), self._first_byte.labels(*labels))
        return found

    def retried(self, key: ServiceKey, reason: str) -> None:
        self._retries.labels(key.namespace, key.name, reason).inc()

    def hold_timed_out(self, key: ServiceKey) -> None:
        self._hold_timeouts.labels(key.namespace, key.name).inc()

    def cut(self, key: ServiceKey) -> None:
        self._cuts.labels(key.namespace, key.name).inc()

    def forget(self, service: Service) -> None:
        """The service is gone: so are its series."""
        gone = (service.key.namespace, service.key.name)
        self._times.pop(gone, None)
        self._answers = {key: series for key, series in self._answers.items() if key[0] != gone}
        labels = {"inference_namespace": service.key.namespace, "inference_service": service.key.name}
        for metric in (
            self._requests,
            self._duration,
            self._first_byte,
            self._retries,
            self._hold_timeouts,
            self._cuts,
        ):
            metric.remove_by_labels(labels)

    def page(self) -> bytes:
        return generate_latest(self.registry)
