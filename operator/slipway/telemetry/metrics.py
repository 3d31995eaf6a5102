"""Every metric of the operator, named in one place; what controller-runtime also has bears controller-runtime's name,
so that the dashboards people own already work.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """One set of metrics on one registry; tests make their own."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        queue = ["name"]
        self.queue_depth = Gauge("workqueue_depth", "Keys that wait", queue, registry=registry)
        self.queue_oldest = Gauge(
            "slipway_queue_oldest_seconds", "How long the oldest key has waited", queue, registry=registry
        )
        self.queue_adds = Counter("workqueue_adds_total", "Keys added", queue, registry=registry)
        self.queue_retries = Counter(
            "workqueue_retries_total", "Keys added again after an error", queue, registry=registry
        )
        self.queue_duration = Histogram(
            "workqueue_queue_duration_seconds", "Wait in the queue", queue, buckets=SECONDS, registry=registry
        )
        self.work_duration = Histogram(
            "workqueue_work_duration_seconds", "Time of a visit", queue, buckets=SECONDS, registry=registry
        )
        self.reconciles = Counter(
            "controller_runtime_reconcile_total", "Visits by outcome", ["controller", "result"], registry=registry
        )
        self.active_workers = Gauge(
            "controller_runtime_active_workers", "Visits that run now", ["controller"], registry=registry
        )
        self.requests = Counter(
            "rest_client_requests_total", "Requests to the API server", ["method", "code"], registry=registry
        )
        self.writes = Counter(
            "slipway_writes_total", "Writes that the loop began", ["operation", "resource"], registry=registry
        )
        self.applies_skipped = Counter(
            "slipway_apply_cache_hits_total", "Applies that would have changed nothing", registry=registry
        )
        self.refusals = Counter(
            "slipway_refusals_total", "Objects that the API server refused", ["resource"], registry=registry
        )
        self.events = Counter(
            "slipway_watch_events_total", "Watch events by fate", ["resource", "fate"], registry=registry
        )
        self.leader = Gauge("leader_election_master_status", "1 on the leader", ["name"], registry=registry)
        self.handovers = Counter(
            "slipway_lease_transitions_total", "Leaderships gained and lost here", ["to"], registry=registry
        )
        self.throttled = Counter(
            "slipway_write_throttle_seconds_total", "Time that writes waited for the token bucket", registry=registry
        )
        self.progress = Counter(
            "slipway_progress_reports_total", "Progress reports by answer", ["code"], registry=registry
        )

    def exposition(self) -> bytes:
        return generate_latest(self.registry)
