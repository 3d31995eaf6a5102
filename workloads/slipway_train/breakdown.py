"""Where the time of a step goes, from the spans of a trace, and what that says: which of five things bounds the run.

Decided here, all of it pure: communication counts as a loss only where nothing was computed meanwhile; a run is bound
by data or communication from a quarter of its step on, data first, for a rank that waits for its data makes its peers
wait in collectives; what is left is computing, bound by arithmetic or by memory, whichever the device would need longer
for at its best, or by neither (overhead: Python and small operations) where both are far from it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

DATA, FORWARD = "slipway.data", "slipway.forward"
_BACKWARD, _OPTIMIZER = "autograd::engine::evaluate_function", "Optimizer.step#"
_COMMUNICATION = ("gloo:", "nccl:", "ncclDevKernel", "ncclKernel")
PYTHON_SECONDS = 200e-6  # between two operations, the interpreter is at work for about so long; longer is waiting
BOUND_SHARE = 0.25
ROOF_SHARE = 0.3  # of what the device can at its best: a run that reaches less is bound by neither roof

Bound = Literal["data", "communication", "compute", "memory", "overhead"]
Intervals = list[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Span:
    """Something of a trace, in seconds. `computes`: an operation that is not made of others."""

    name: str
    begin: float
    end: float
    computes: bool = False


@dataclass(frozen=True, slots=True)
class Shares:
    """Of a step's time, together 1; then of all communication, what happened behind computing; then of the time of
    forward, backward and optimizer, what the arithmetic and the memory traffic would need at the device's best."""

    data: float
    forward: float
    backward: float
    optimizer: float
    communication: float
    checkpoint: float
    other: float
    overlap: float = 0.0
    arithmetic: float = 0.0
    memory: float = 0.0

    def to_json(self) -> dict[str, float]:
        return {name: round(value, 4) for name, value in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class Verdict:
    bound: Bound
    why: str
    what_helps: str


def step_shares(spans: Sequence[Span], *, seconds: float, checkpoint_seconds: float) -> Shares:
    """Of steps that took `seconds`; `checkpoint_seconds` is what checkpoints cost them besides."""
    communication = _named(spans, *_COMMUNICATION)
    computing = union(((span.begin, span.end) for span in spans if span.computes), gap=PYTHON_SECONDS)
    lost = minus(communication, union([*computing, *_named(spans, DATA)]))
    phases = [length(minus(_named(spans, name), lost)) for name in (DATA, FORWARD, _BACKWARD, _OPTIMIZER)]
    known = [*phases, length(lost), checkpoint_seconds]
    whole = max(seconds + checkpoint_seconds, sum(known))
    data, forward, backward, optimizer, waiting, checkpoint = (part / whole for part in known)
    return Shares(
        data=data,
        forward=forward,
        backward=backward,
        optimizer=optimizer,
        communication=waiting,
        checkpoint=checkpoint,
        other=1 - sum(known) / whole,
        overlap=1 - length(lost) / length(communication) if communication else 0.0,
    )


def verdict(ranks: Sequence[Shares]) -> Verdict:
    """Of all ranks. The first that holds; the last one always does."""
    return next(found for holds, found in _findings(ranks) if holds)


def _findings(ranks: Sequence[Shares]) -> list[tuple[bool, Verdict]]:
    """In the order in which they are asked. The rank that waits least for its peers knows what sending itself costs."""
    data = max(each.data for each in ranks)
    communication = min(each.communication for each in ranks)
    arithmetic = sum(each.arithmetic for each in ranks) / len(ranks)
    memory = sum(each.memory for each in ranks) / len(ranks)
    roofs = f"arithmetic is at {arithmetic:.0%} and memory traffic at {memory:.0%} of the device's best"
    return [
        (
            data >= max(BOUND_SHARE, communication),
            Verdict(
                "data",
                f"a rank waits for its batch in {data:.0%} of the step",
                "faster storage, or less work per row",
            ),
        ),
        (
            communication >= BOUND_SHARE,
            Verdict(
                "communication",
                f"every rank waits for collectives in {communication:.0%} of the step",
                "accumulation steps, larger batches per process, a strategy that sends less, a faster network",
            ),
        ),
        (
            max(arithmetic, memory) < ROOF_SHARE,
            Verdict(
                "overhead",
                roofs,
                "larger batches per process, or a larger model: Python and small operations cost most",
            ),
        ),
        (arithmetic >= memory, Verdict("compute", roofs, "a lower precision, more or faster devices")),
        (True, Verdict("memory", roofs, "larger batches per process, a lower precision, fused operations")),
    ]


def union(intervals: Iterable[tuple[float, float]], *, gap: float = 0.0) -> Intervals:
    """In order and disjoint; what is at most `gap` apart becomes one."""
    merged: Intervals = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((begin, end))
    return merged


def minus(intervals: Intervals, taken: Intervals) -> Intervals:
    """What of `intervals` is outside `taken`; both are disjoint and in order."""
    left: Intervals = []
    for begin, end in intervals:
        for low, high in taken:
            if high <= begin or low >= end:
                continue
            if low > begin:
                left.append((begin, low))
            begin = max(begin, high)
        if begin < end:
            left.append((begin, end))
    return left


def length(intervals: Intervals) -> float:
    return sum(end - begin for begin, end in intervals)


def _named(spans: Iterable[Span], *prefixes: str) -> Intervals:
    return union((span.begin, span.end) for span in spans if span.name.startswith(prefixes))
