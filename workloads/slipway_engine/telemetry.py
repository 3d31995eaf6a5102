"""The sidecar's own metrics. Each watch has its registry, so that tests and restarts in one process do not share it."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .heartbeat import Observation, Reading, Refused, Token, Unanswered, Unreachable, Unreadable

# One word for each thing that can come of asking, as the label `result`.
RESULTS: dict[type[Observation], str] = {
    Token: "token",
    Unanswered: "unanswered",
    Refused: "refused",
    Unreachable: "unreachable",
}
LOOK_RESULTS: dict[type[Observation], str] = {
    Reading: "read",
    Unanswered: "unanswered",
    Unreadable: "unreadable",
    Unreachable: "unreachable",
}
SECONDS_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Telemetry:
    """Metrics of one watch; all exist from the start, so that absent means that scraping is broken."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.ready = Gauge("slipway_engine_ready", "1 while /readyz answers 200.", registry=self.registry)
        self.wedged = Gauge(
            "slipway_engine_wedged",
            "1 while /livez answers 503: the engine is to be restarted.",
            registry=self.registry,
        )
        self.probes = Counter(
            "slipway_engine_probes", "Requests for one token, by what came of them.", ["result"], registry=self.registry
        )
        self.looks = Counter(
            "slipway_engine_looks",
            "Reads of the engine's counters, by what came of them.",
            ["result"],
            registry=self.registry,
        )
        self.last_token = Gauge(
            "slipway_engine_last_token_timestamp_seconds",
            "When the engine was last known to generate, in seconds since the epoch; 0 before.",
            registry=self.registry,
        )
        self.probe_seconds = Histogram(
            "slipway_engine_probe_seconds",
            "How long a request for one token took, answered or not.",
            buckets=SECONDS_BUCKETS,
            registry=self.registry,
        )
        for result in RESULTS.values():
            self.probes.labels(result)
        for result in LOOK_RESULTS.values():
            self.looks.labels(result)

    def probed(self, observation: Observation, seconds: float) -> None:
        self.probes.labels(RESULTS[type(observation)]).inc()
        self.probe_seconds.observe(seconds)

    def looked(self, observation: Observation) -> None:
        self.looks.labels(LOOK_RESULTS[type(observation)]).inc()
