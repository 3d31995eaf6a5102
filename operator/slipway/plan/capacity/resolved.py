"""What a job runs as: its `strategy`, or what `auto` stands for.

Decided here: `auto` decides how the work is shared and nothing else. What costs compute or is slower (recomputing,
micro-batches, offload) is the user's to ask for, and `slipway plan train` says when it would help. Where the room is
not known, or the model is a base model's, nothing is guessed: ddp.
"""

from dataclasses import replace

from ...api.strategies import DeepspeedSpec, FsdpSpec, ParallelSpec
from ...api.trainingjob import TrainingJobSpec
from .choice import STRATEGIES, candidates, first, runs
from .devices import BUILT_IN, Catalog
from .fit import fit
from .layout import Layout, impossible, load_of
from .room import Room, room_of


def resolved(spec: TrainingJobSpec, known: Catalog = BUILT_IN) -> Layout:
    """In the room that the spec names. `spec` is a recipe's; `known`: the classes of GPUs that there are."""
    return resolved_in(spec, room_of(spec, known))


def resolved_in(spec: TrainingJobSpec, room: Room | None) -> Layout:
    asked = _asked(spec)
    if spec.strategy != "auto" or room is None or spec.base_model is not None or {asked.strategy} == STRATEGIES:
        return asked
    load = load_of(spec)
    layouts = [each for each in candidates(spec, load) if _is_as_cheap(each, asked) and impossible(each, load) is None]
    found = first(layouts, [fit(each, load, room, spec.accelerator) for each in layouts])
    return asked if found is None else layouts[found]


def _asked(spec: TrainingJobSpec) -> Layout:
    """What the spec says in so many words; ddp where it leaves the choice."""
    micro_batches = spec.training.accumulation_steps if spec.training else 1
    base = Layout(
        "ddp",
        processes=spec.nodes * spec.per_node,
        per_node=spec.per_node,
        checkpointing=spec.activation_checkpointing,
        micro_batches=micro_batches,
    )
    if spec.strategy == "fsdp":
        asked = spec.fsdp or FsdpSpec()
        return replace(base, strategy="fsdp", shard=asked.shard, offload=asked.offload)
    if spec.strategy == "deepspeed":
        zero = spec.deepspeed or DeepspeedSpec()
        return replace(base, strategy="deepspeed", stage=zero.stage, offload=zero.offload)
    if spec.strategy == "parallel" and spec.parallel is not None:
        return _cut(base, spec.parallel)
    return base


def _cut(base: Layout, asked: ParallelSpec) -> Layout:
    return replace(
        base,
        strategy="parallel",
        tensor=asked.tensor,
        pipeline=asked.pipeline,
        context=asked.context,
        expert=asked.expert,
        interleaved=2 if asked.schedule == "Interleaved1F1B" else 1,
    )


def _is_as_cheap(each: Layout, asked: Layout) -> bool:
    same = (each.checkpointing, each.micro_batches) == (asked.checkpointing, asked.micro_batches)
    return runs(each) and same and each.offload == "none"
