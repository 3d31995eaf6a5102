"""Which layout a job had best run as, and why not each of the others.

The rule is an order of candidates, of which the first that fits is taken:

- up to FSDP_PARAMETERS: a copy of the model in each process (ddp), then data parallelism that shares it out (fsdp
  before ZeRO, the least sharing first), then tensor and pipeline parallelism;
- above PARALLEL_PARAMETERS: tensor and pipeline parallelism in Megatron's manner first, tensor inside a node and as
  little of either as fits, then data parallelism;
- between the two, either, and what recomputes nothing first;
- a sequence at a time after the whole share of a batch at once; recomputing activations after that (it costs a third
  more compute); ZeRO-3 with offload last: it is what is left when memory is tight, for a step then moves every weight
  and gradient over PCI Express.

Only what this version's API can ask for is chosen; the rest is shown, so that what it would take is known.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from ...api.trainingjob import TrainingJobSpec, TrainingSpec
from .fit import ERROR_PERCENT, Fit, fit, gib
from .layout import Layout, Load, impossible, load_of
from .model import parameters
from .room import Room
from .traffic import bubble_percent, sent_bytes

FSDP_PARAMETERS = 13_000_000_000
PARALLEL_PARAMETERS = 30_000_000_000

STRATEGIES = frozenset(get_args(TrainingJobSpec.model_fields["strategy"].annotation)) - {"auto"}
RECOMPUTES = "activation_checkpointing" in TrainingJobSpec.model_fields
ACCUMULATES = "accumulation_steps" in TrainingSpec.model_fields


@dataclass(frozen=True, slots=True)
class Alternative:
    """One candidate, in the order of preference. `fit` is None where the work cannot be shared so."""

    layout: Layout
    fit: Fit | None
    sent_bytes: int
    bubble_percent: int
    chosen: bool
    reason: str


def runs(layout: Layout) -> bool:
    """Whether this version's API can ask for it."""
    recomputes, accumulates = layout.checkpointing == "full", layout.micro_batches > 1
    return layout.strategy in STRATEGIES and (RECOMPUTES or not recomputes) and (ACCUMULATES or not accumulates)


def alternatives(spec: TrainingJobSpec, room: Room | None) -> tuple[Alternative, ...]:
    """Every candidate, best first, with at most one chosen. `spec` is a recipe's."""
    load = load_of(spec)
    layouts = list(dict.fromkeys(candidates(spec, load)))
    why_not = [impossible(layout, load) for layout in layouts]
    fits = [None if no else fit(each, load, room, spec.accelerator) for each, no in zip(layouts, why_not, strict=True)]
    found = Ranking(load, layouts, fits)
    return tuple(
        Alternative(
            layout=layout,
            fit=fits[at],
            sent_bytes=0 if no else sent_bytes(layout, load),
            bubble_percent=bubble_percent(layout),
            chosen=at == found.winner,
            reason=no or found.reason(at),
        )
        for at, (layout, no) in enumerate(zip(layouts, why_not, strict=True))
    )


def shortlist(every: tuple[Alternative, ...]) -> tuple[Alternative, ...]:
    """Of those that differ in recomputing, micro-batches and pipeline alone: the chosen one, else the first that fits,
    else the last."""
    best: dict[tuple[object, ...], Alternative] = {}
    for each in every:
        layout = each.layout
        kind = (layout.strategy, layout.shard, layout.stage, layout.offload, layout.tensor)
        if each.chosen or kind not in best or not (best[kind].chosen or _may(best[kind])):
            best[kind] = each
    return tuple(each for each in every if each in best.values())


def _may(each: Alternative) -> bool:
    return each.fit is not None and each.fit.verdict != "not"


def first(layouts: list[Layout], fits: list[Fit | None]) -> int | None:
    """Which of them: the first that fits; else the first that is tight, or, where the room is unknown, of all."""
    verdicts = [found.verdict if found and runs(each) else "not" for each, found in zip(layouts, fits, strict=True)]
    return next((verdicts.index(each) for each in ("fits", "tight", "unknown") if each in verdicts), None)


def candidates(spec: TrainingJobSpec, load: Load) -> Iterator[Layout]:
    """In the order of preference that the rule gives to this model's size."""
    base = Layout("ddp", processes=spec.nodes * spec.per_node, per_node=spec.per_node)
    shared, parallel = list(_data_parallel(base)), list(_model_parallel(base, load))
    shared += _accumulated(shared, load)
    size = parameters(load.shape)
    if size <= FSDP_PARAMETERS:
        groups = [shared, _recomputed(shared), parallel, _recomputed(parallel)]
    elif size <= PARALLEL_PARAMETERS:
        groups = [shared, parallel, _recomputed(shared), _recomputed(parallel)]
    else:
        groups = [parallel, _recomputed(parallel), shared, _recomputed(shared)]
    for group in groups:
        yield from group
    if spec.accelerator == "nvidia":
        yield from _offloaded(base, load)  # on a CPU there is nowhere else to go


def _data_parallel(base: Layout) -> Iterator[Layout]:
    yield base
    if base.processes == 1:
        return  # nothing to share with
    yield replace(base, strategy="fsdp", shard="gradients")
    if base.nodes > 1 and base.per_node > 1:
        yield replace(base, strategy="fsdp", shard="hybrid")
    yield replace(base, strategy="fsdp", shard="full")
    yield replace(base, strategy="deepspeed", stage=1)
    yield replace(base, strategy="deepspeed", stage=2)
    yield replace(base, strategy="deepspeed", stage=3)


def _model_parallel(base: Layout, load: Load) -> Iterator[Layout]:
    """Least sharing first, and of equals the one with more of it inside the node."""
    degrees = [
        (tensor, pipeline)
        for tensor in _divisors(base.per_node)
        for pipeline in _divisors(base.processes // tensor)
        if tensor * pipeline > 1
    ]
    for tensor, pipeline in sorted(degrees, key=lambda each: (each[0] * each[1], each[1])):
        layout = _one_at_a_time(replace(base, strategy="parallel", tensor=tensor, pipeline=pipeline), load)
        if impossible(layout, load) is None:
            yield layout


def _divisors(count: int) -> list[int]:
    return [each for each in range(1, count + 1) if count % each == 0]


def _one_at_a_time(layout: Layout, load: Load) -> Layout:
    """A sequence in each micro-batch: as many as there can be, so the smallest bubble of a pipeline too."""
    return replace(layout, micro_batches=max(1, load.batch // layout.data))


def _accumulated(layouts: list[Layout], load: Load) -> list[Layout]:
    return [_one_at_a_time(layout, load) for layout in layouts]


def _recomputed(layouts: list[Layout]) -> list[Layout]:
    return [replace(layout, checkpointing="full") for layout in layouts]


def _offloaded(base: Layout, load: Load) -> Iterator[Layout]:
    zero = replace(base, strategy="deepspeed", stage=3, offload="cpu")
    tight = replace(_one_at_a_time(zero, load), checkpointing="full")
    yield zero
    yield tight
    yield replace(tight, strategy="fsdp", shard="full")
    yield replace(tight, offload="nvme")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates in order, how each fits, and in what words each lost."""

    load: Load
    layouts: list[Layout]
    fits: list[Fit | None]

    @property
    def winner(self) -> int | None:
        return first(self.layouts, self.fits)

    def reason(self, at: int) -> str:
        found, layout, winner = self.fits[at], self.layouts[at], self.winner
        assert found is not None
        if at == winner:
            return _winning(found)
        if found.verdict == "not":
            name, count = max(found.memory.parts(), key=lambda part: part[1])
            return f"needs {gib(found.needed_bytes)} GiB, {gib(count)} of it {name}"
        if not runs(layout):
            return "this version does not run it"
        if winner is None or (found.verdict == "tight" and at < winner):
            return f"{gib(found.needed_bytes)} GiB are within {ERROR_PERCENT} % of what there is"
        return self._cost(layout, self.layouts[winner])

    def _cost(self, layout: Layout, best: Layout) -> str:
        """What a layout takes that the chosen one does not."""
        costs = []
        if layout.offload != "none":
            costs.append("moves weights and gradients to the host and back at every step")
        if layout.checkpointing == "full" and best.checkpointing == "none":
            costs.append("computes every forward pass twice")
        if (bubble := bubble_percent(layout)) > bubble_percent(best):
            costs.append(f"its pipeline is idle {bubble} % of the time")
        mine, its = sent_bytes(layout, self.load), sent_bytes(best, self.load)
        if mine > its:
            costs.append(f"sends {gib(mine)} GiB a step and not {gib(its)}")
        return "; ".join(costs) or "shares out more than is needed"


def _winning(found: Fit) -> str:
    if found.verdict == "unknown":
        return "the first in order; how much memory there is is not known"
    if found.verdict == "tight":
        return f"the first that may fit: none has {ERROR_PERCENT} % to spare"
    return "the first that fits"
