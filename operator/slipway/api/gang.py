"""What becomes of a TrainingJob's gang when something goes wrong, in the spec and as the status remembers it.

A file of its own beside trainingjob.py, since its types say nothing about training: they would do for any gang.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from .common import Model, Rule, Schema, Timestamp
from .pattern import IS_A_PATTERN, PATTERN_MAX

RESTARTS_MAX = 900
RULES_MAX = 16
BACKOFF_MAX = 86_400
FAILED_NODES_MAX = 32
FREE_RESTARTS_DEFAULT = 20  # of a rule RestartGangFree that names no maxRestarts: it must not loop for ever
MESSAGE_MAX = 1024  # of status.lastFailure; the condition's own message may be longer

Action = Literal["Fail", "RestartGang", "RestartGangFree"]
Reason = Literal["PodFailed", "OOMKilled", "Evicted", "Preempted", "NodeLost", "PodLost", "Stalled", "GangFailed"]


class FailureRule(Model):
    """What to do about a failure that has all of the given exit codes, reasons and message."""

    exit_codes: (
        Annotated[
            list[Annotated[int, Field(ge=1, le=255)]],
            Field(min_length=1, max_length=16),
            Schema(list_type="set"),
        ]
        | None
    ) = Field(
        default=None,
        description="Any of these, of the rank that failed first; 128 + n for signal n. "
        "2 is not asked of rules: the recipe or the data is wrong, and the job is Failed.",
    )
    reasons: (
        Annotated[
            list[Reason],
            Field(min_length=1, max_length=8),
            Schema(list_type="set"),
        ]
        | None
    ) = Field(default=None, description="Any of these: what happened, as status.lastFailure.reason has it.")
    message: Annotated[str, Field(min_length=1, max_length=PATTERN_MAX), Schema(rules=(IS_A_PATTERN,))] | None = Field(
        default=None,
        description="A regular expression (RE2) that is found in what the failing rank said last, "
        "as status.lastFailure.message has it.",
    )
    action: Action = Field(
        description="Fail: the job is over. RestartGang: the whole gang again, out of the budget. "
        "RestartGangFree: the same, outside the budget.",
    )
    max_restarts: Annotated[int, Field(ge=0, le=RESTARTS_MAX)] | None = Field(
        default=None,
        description="Restarts by this rule before the job is Failed. Without it RestartGang has the job's budget "
        f"alone, and RestartGangFree {FREE_RESTARTS_DEFAULT}.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.exitCodes) || has(self.reasons) || has(self.message)",
            "a rule needs exitCodes, reasons or message: without them it would hold for every failure",
        ),
        Rule(
            "self.action != 'Fail' || !has(self.maxRestarts)",
            "maxRestarts counts restarts, and Fail makes none: leave it out",
        ),
    )


class FailurePolicy(Model):
    """What happens when the gang fails: it restarts as a whole from the last checkpoint, or the job is over."""

    max_restarts: Annotated[int, Field(ge=0, le=RESTARTS_MAX)] = Field(
        default=3, description="Whole-gang restarts from the last checkpoint before the job is Failed."
    )
    backoff_seconds: Annotated[int, Field(ge=0, le=BACKOFF_MAX)] = Field(
        default=10, description="Pause before a restart; it doubles with each failure that follows."
    )
    backoff_limit_seconds: Annotated[int, Field(ge=0, le=BACKOFF_MAX)] = Field(
        default=300,
        description="The longest pause. An attempt that ran for so long made progress: the pause is the first again.",
    )
    exclude_node_after: Annotated[int, Field(ge=1, le=100)] | None = Field(
        default=None,
        description="Failures on one node after which later attempts stay away from it; never when left out. "
        "Pods that were deleted, evicted, preempted or stalled do not count against their node.",
    )
    rules: Annotated[list[FailureRule], Field(max_length=RULES_MAX), Schema(list_type="atomic")] = Field(
        default=[],
        description="What to do about which failure: the first rule that holds decides; RestartGang when none does.",
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            # The API server asks it of the default, {}, before the fields have theirs.
            "!has(self.backoffSeconds) || !has(self.backoffLimitSeconds)"
            " || self.backoffSeconds <= self.backoffLimitSeconds",
            "backoffSeconds is the first pause and backoffLimitSeconds the longest: the first must not be longer",
        ),
    )


class StallSpec(Model):
    """When a gang that makes no step counts as failed, for the reason Stalled."""

    factor: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=10, description="No step for so many times as long as a step takes is a stall; 0: nothing is."
    )
    floor_seconds: Annotated[int, Field(ge=1, le=86_400)] = Field(
        default=600, description="No step for less than this is no stall, however quick steps are."
    )


class Pace(Model):
    """How fast rank 0's pod steps, which a stall is measured by: from here to progress.step."""

    pod_uid: Annotated[str, Field(max_length=64, alias="podUID")] = Field(description="Rank 0's pod.")
    from_step: Annotated[int, Field(ge=0)] = Field(description="The first step that the pod reported.")
    from_time: Timestamp = Field(description="When that came.")
    step_time: Timestamp = Field(
        description="When progress.step was first reported; later reports of the same step move progress.updated alone."
    )


class LastFailure(Model):
    """The newest failure of an attempt, and which rule decided about it."""

    attempt: Annotated[int, Field(ge=0)] = Field(description="The attempt that failed.")
    time: Timestamp = Field(description="When the operator saw it.")
    reason: Annotated[str, Field(max_length=64)] = Field(description="What happened, in one word.")
    message: Annotated[str, Field(max_length=MESSAGE_MAX)] = Field(
        default="", description="What the failing rank said last, or Kubernetes of its pod."
    )
    exit_code: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Of the rank that failed first, if it is known; 128 + n for signal n."
    )
    node: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Where the failing pod ran.")
    pause_seconds: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Pause after it, before the next attempt; none when the job was over."
    )
    rule: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="Place in failurePolicy.rules of the one that decided; none when none held."
    )


class FailedNode(Model):
    """A node on which attempts failed."""

    node: Annotated[str, Field(max_length=253)] = Field(description="Its name.")
    failures: Annotated[int, Field(ge=1)] = Field(
        description="How many; from failurePolicy.excludeNodeAfter on no pod of the job is put there."
    )
    reason: Annotated[str, Field(max_length=64)] = Field(default="", description="Of the newest failure there.")
