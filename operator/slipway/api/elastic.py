"""spec.elastic: a gang may run on fewer nodes than it would like, as the spec and the status have it.

Decided here: `nodes` stays what it is, the most that the gang has, and is the one number that every other field is
read against; `elastic` adds the least. What must hold for `nodes` must hold for `minNodes` too. Numbers in between are
used where they can be: a rule for all of them would refuse most jobs.
"""

from typing import Annotated

from pydantic import Field

from .common import Model, Rule
from .strategies import SIZES

LEAST_MAX = 999  # one less than nodes may be
WAIT_SECONDS = 300
GROW_SECONDS = 3600
SECONDS_MAX = 31_536_000  # a year

_LEAST = "self.elastic.minNodes * self.perNode"
_LEAST_DATA_RANKS = f"(has(self.parallel) && {SIZES} > 0 ? {_LEAST} / ({SIZES}) : {_LEAST})"


class ElasticSpec(Model):
    """Lets an attempt have fewer nodes than spec.nodes, when there is no room for all of them."""

    min_nodes: Annotated[int, Field(ge=1, le=LEAST_MAX)] = Field(
        description="The fewest pods that the gang runs with; spec.nodes is the most. The batch stays what it is."
    )
    wait_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=WAIT_SECONDS,
        description="Seconds in which no pod of an attempt gets a node while some find none, or no quota, before the "
        "gang goes on with those that have one.",
    )
    grow_after_seconds: Annotated[int, Field(ge=1, le=SECONDS_MAX)] = Field(
        default=GROW_SECONDS,
        description="Seconds after which a gang that runs with fewer pods than spec.nodes is restarted with all. "
        "If there is no room, it shrinks again.",
    )


class Elastic(Model):
    """How many nodes a job that is elastic has."""

    nodes: Annotated[int, Field(ge=1)] = Field(description="Pods of the gang that runs, or is to run.")
    message: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Why they are fewer than spec.nodes; absent when they are not."
    )
    resizes: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Restarts with another number of pods, which use no budget, once there was one."
    )


# Rules of a TrainingJob's spec.
ELASTIC_RULES = (
    Rule(
        "!has(self.elastic) || self.elastic.minNodes < self.nodes",
        "elastic.minNodes must be less than nodes, which is the most that the gang has",
    ),
    Rule(
        f"!has(self.elastic) || !has(self.parallel) || {SIZES} < 1 || {_LEAST} % ({SIZES}) == 0",
        "parallel's tensor * pipeline * context must divide elastic.minNodes * perNode too",
    ),
    Rule(
        "!has(self.elastic) || !has(self.parallel) || self.parallel.expert < 1"
        " || self.parallel.tensor * self.parallel.pipeline < 1"
        f" || {_LEAST} / (self.parallel.tensor * self.parallel.pipeline) % self.parallel.expert == 0",
        "parallel.expert must divide what tensor and pipeline leave over of elastic.minNodes * perNode too",
    ),
    Rule(
        f"!has(self.elastic) || !has(self.training) || {_LEAST_DATA_RANKS} * self.training.accumulationSteps < 1"
        f" || self.training.batchSize % ({_LEAST_DATA_RANKS} * self.training.accumulationSteps) == 0",
        "training.batchSize must be a multiple of elastic.minNodes * perNode * accumulationSteps too (with "
        "parallel: of the data parallel processes): it stays the same with fewer nodes",
    ),
    Rule(
        "!has(self.elastic) || !has(self.fsdp) || self.fsdp.shard != 'hybrid' || self.elastic.minNodes > 1",
        "fsdp.shard hybrid copies between nodes: elastic.minNodes must be 2 or more",
    ),
    Rule(
        "!has(self.elastic) || !has(self.queue)",
        "elastic and queue exclude each other: Kueue admits a gang whole, and one that would grow might wait for "
        "ever: leave one out",
    ),
    Rule(
        "!has(self.elastic) || !has(self.startDeadlineSeconds) || self.startDeadlineSeconds > self.elastic.waitSeconds",
        "startDeadlineSeconds must be more than elastic.waitSeconds: else the job fails before it shrinks",
    ),
)
