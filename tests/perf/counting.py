"""What a Prometheus endpoint counts, read as text and subtracted: requests by verb and resource, and own metrics."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

SAMPLE = re.compile(r"^(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$", re.M)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')

WRITE_VERBS = frozenset({"POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"})
BOOKKEEPING = frozenset({"leases", "tokenreviews", "subjectaccessreviews"})
EVENTS = "events"


class Sample(NamedTuple):
    name: str
    labels: tuple[tuple[str, str], ...]


Counters = dict[Sample, float]


def parse(text: str, *names: str) -> Counters:
    """The samples of these metrics in a text exposition."""
    found: Counters = {}
    for match in SAMPLE.finditer(text):
        if match["name"] in names:
            found[Sample(match["name"], tuple(LABEL.findall(match["labels"] or "")))] = float(match["value"])
    return found


def since(before: Counters, after: Counters) -> Counters:
    """What was added in between, without what did not move."""
    return {sample: value - before.get(sample, 0.0) for sample, value in after.items() if value != before.get(sample)}


def total(counters: Counters, keep: Callable[[Mapping[str, str]], bool] = lambda labels: True) -> float:
    return sum(value for sample, value in counters.items() if keep(dict(sample.labels)))


class ApiRequests:
    """`apiserver_request_total`, subtracted: what all clients together asked of the API server."""

    METRIC = "apiserver_request_total"

    def __init__(self, counters: Counters) -> None:
        self.counters = counters

    @classmethod
    def between(cls, before: str, after: str) -> "ApiRequests":
        return cls(since(parse(before, cls.METRIC), parse(after, cls.METRIC)))

    def writes(self, *, resources: frozenset[str] | None = None) -> float:
        """Writes that were to be kept (no dry runs), without leases and reviews, and without Events."""
        return total(self.counters, lambda labels: _is_write(labels, resources) and labels["resource"] != EVENTS)

    def events(self) -> float:
        return total(self.counters, lambda labels: _is_write(labels, None) and labels["resource"] == EVENTS)

    def dry_runs(self) -> float:
        return total(self.counters, lambda labels: bool(labels.get("dry_run")))

    def of(self, verb: str, resource: str) -> float:
        return total(self.counters, lambda labels: (labels["verb"], labels["resource"]) == (verb, resource))

    def table(self) -> dict[str, float]:
        """Requests by `VERB resource/subresource`, the most first; for people."""
        rows: dict[str, float] = {}
        for sample, value in self.counters.items():
            labels = dict(sample.labels)
            below = f"/{labels['subresource']}" if labels.get("subresource") else ""
            row = f"{labels['verb']} {labels['resource'] or 'other'}{below}"
            rows[row] = rows.get(row, 0.0) + value
        return dict(sorted(rows.items(), key=lambda item: -item[1]))


def _is_write(labels: Mapping[str, str], resources: frozenset[str] | None) -> bool:
    if labels["verb"] not in WRITE_VERBS or labels.get("dry_run") or labels["resource"] in BOOKKEEPING:
        return False
    return resources is None or labels["resource"] in resources


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` (0 to 1) of `values` lie. Raises ValueError without values."""
    if not values:
        raise ValueError("nothing was measured")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
