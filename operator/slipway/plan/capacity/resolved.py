"""What a job runs as: its `strategy`, or what `auto` stands for.

Decided here: `auto` decides how the work is shared and nothing else. What costs compute or is slower (recomputing,
micro-batches, offload) is the user's to ask for, and `slipway plan train` says when it would help. Where the room is
not known nothing is guessed: ddp.
"""

from dataclasses import replace

from ...api.trainingjob import TrainingJobSpec
from .choice import STRATEGIES, candidates, first, runs
from .fit import fit
from .layout import Layout, impossible, load_of
from .room import Room, room_of


def resolved(spec: TrainingJobSpec) -> Layout:
    """In the room that the spec names. `spec` is a recipe's."""
    return resolved_in(spec, room_of(spec))


def resolved_in(spec: TrainingJobSpec, room: Room | None) -> Layout:
    asked = _asked(spec)
    if spec.strategy != "auto" or room is None or {asked.strategy} == STRATEGIES:
        return asked
    load = load_of(spec)
    layouts = [each for each in candidates(spec, load) if _is_as_cheap(each, asked) and impossible(each, load) is None]
    found = first(layouts, [fit(each, load, room, spec.accelerator) for each in layouts])
    return asked if found is None else layouts[found]


def _asked(spec: TrainingJobSpec) -> Layout:
    base = Layout("ddp", processes=spec.nodes * spec.per_node, per_node=spec.per_node)
    return base if spec.strategy == "auto" else replace(base, strategy=spec.strategy)


def _is_as_cheap(each: Layout, asked: Layout) -> bool:
    same = (each.checkpointing, each.micro_batches) == (asked.checkpointing, asked.micro_batches)
    return runs(each) and same and each.offload == "none"
