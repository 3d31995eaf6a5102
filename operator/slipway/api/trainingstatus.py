"""The status of a TrainingJob: where it stands, and what has been learnt so far. Written by the operator alone.

Decimals are strings: the API has no floats.
"""

from typing import Annotated

from pydantic import Field

from .common import Conditions, Model, Schema, Timestamp
from .elastic import Elastic
from .evaluation import Evaluation
from .gang import FAILED_NODES_MAX, RULES_MAX, FailedNode, LastFailure, Pace

ATTEMPT_MAX = 1_000_000  # resuming and free restarts count too


ReportedDecimal = Annotated[str, Field(max_length=24)]


class Progress(Model):
    """What rank 0 last reported. Decimals are strings: the API has no floats."""

    step: Annotated[int, Field(ge=0)] = Field(description="Optimizer steps done.")
    total_steps: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Optimizer steps that make the job complete."
    )
    loss: Annotated[str, Field(max_length=24)] | None = Field(
        default=None, description="Training loss of the last step, in nats per token."
    )
    tokens_per_second: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Tokens trained on per second, over the whole gang."
    )
    last_checkpoint_step: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Step of the newest complete checkpoint: where a restart goes on."
    )
    step_seconds_p50: ReportedDecimal | None = Field(
        default=None, description="Median of the newest steps' times, in seconds."
    )
    step_seconds_p99: ReportedDecimal | None = Field(
        default=None, description="99th percentile of the newest steps' times, in seconds."
    )
    mfu_percent: ReportedDecimal | None = Field(
        default=None,
        description="Model FLOPs utilization: what the model needs of the devices' peak, in percent; none on CPUs.",
    )
    productive_seconds: ReportedDecimal | None = Field(
        default=None, description="Seconds of the steps that the model is made of: none that a restart repeated."
    )
    goodput_percent: ReportedDecimal | None = Field(
        default=None, description="productiveSeconds in a hundred of allocation.seconds."
    )
    checkpoint_seconds: ReportedDecimal | None = Field(
        default=None, description="Seconds for which the newest checkpoint held up the steps."
    )
    bad_rows: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Rows of the dataset that could not be used."
    )
    slow_rank: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Rank that the others wait for, while one is."
    )
    slow_node: Annotated[str, Field(max_length=253)] | None = Field(
        default=None, description="Node of the rank that the others wait for."
    )
    estimated_completion_time: Timestamp | None = Field(
        default=None,
        description="When the last step would end at the median step's pace, while the gang runs.",
    )
    updated: Timestamp = Field(description="When the operator received this.")


class Allocation(Model):
    """How long the gang has had all of its nodes, over all attempts: neither waiting nor queued nor suspended."""

    seconds: Annotated[int, Field(ge=0)] = Field(
        description="Seconds, up to `until`, starts included: what goodput and cost are of."
    )
    device_seconds: Annotated[int, Field(ge=0)] = Field(
        description="The same seconds, times the gang's nodes * perNode."
    )
    since: Timestamp | None = Field(
        default=None, description="When the gang that runs had all of its nodes; absent while none runs."
    )
    until: Timestamp = Field(
        description="Up to when it is counted: the newest report that is shown, or the end of the last gang."
    )
    estimated_cost: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="Device hours times the price that the operator was told; absent without one."
    )
    currency: Annotated[str, Field(max_length=8)] | None = Field(default=None, description="Of estimatedCost.")


class Output(Model):
    """Where the model is: a claim in the job's namespace and the directories in it."""

    claim: Annotated[str, Field(max_length=253)] = Field(description="Name of the PersistentVolumeClaim.")
    path: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Directory of the model in the claim; absent where there is an adapter alone."
    )
    adapter_path: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="Directory of the adapter in the claim, of lora and qlora."
    )
    adapter_rank: Annotated[int, Field(ge=1, le=1024)] | None = Field(
        default=None, description="The adapter's rank, which an engine reserves memory for."
    )
    base_uri: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="The model that the adapter was trained for, as spec.baseModel.uri named it."
    )


class TrainingJobStatus(Model):
    """Where the job stands. Written by the operator alone."""

    conditions: Conditions = Field(
        default=[],
        description="Accepted, Queued, Running, Restarting, Complete, Failed and Ready, "
        "each with a reason from the first visit on.",
    )
    observed_generation: Annotated[int, Field(ge=0)] = Field(
        default=0, description="The metadata.generation that this status speaks of."
    )
    attempt: Annotated[int, Field(ge=0, le=ATTEMPT_MAX)] = Field(
        default=0, description="The gang that runs, counted from 0."
    )
    elastic: Elastic | None = Field(default=None, description="How many nodes that is, of a job with spec.elastic.")
    restarts: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Restarts that count towards failurePolicy.maxRestarts, once there was one."
    )
    rule_restarts: Annotated[
        list[Annotated[int, Field(ge=0)]], Field(max_length=RULES_MAX), Schema(list_type="atomic")
    ] = Field(default=[], description="Restarts by each of failurePolicy.rules, in their order.")
    last_failure: LastFailure | None = Field(default=None, description="Why the newest attempt that failed did.")
    failed_nodes: Annotated[
        list[FailedNode], Field(max_length=FAILED_NODES_MAX), Schema(list_type="map", list_map_keys=("node",))
    ] = Field(default=[], description="What failurePolicy.excludeNodeAfter counts; the newest failure is the last.")
    start_time: Timestamp | None = Field(default=None, description="When all pods of the first gang ran.")
    running_seconds: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="Seconds for which Running was True, without those since it is: what deadlineSeconds counts. "
        "allocation.seconds has the starts of gangs in it, too.",
    )
    admission_time: Timestamp | None = Field(
        default=None,
        description="When the gang that runs was let run, by its queue or another hand that had held it, "
        "as the training operator tells it.",
    )
    completion_time: Timestamp | None = Field(default=None, description="When the job was Complete or Failed.")
    progress: Progress | None = Field(default=None, description="What rank 0 last reported.")
    allocation: Allocation | None = Field(
        default=None, description="How long the gang has had its nodes, and what that cost."
    )
    pace: Pace | None = Field(default=None, description="How fast the gang steps, by what rank 0 reported.")
    evaluation: Evaluation | None = Field(default=None, description="How good the model is, once training is over.")
    output: Output | None = Field(default=None, description="Where the model is, once it is written.")
