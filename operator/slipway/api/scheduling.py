"""Who places a TrainingJob's pods, and in whose queue the gang waits: of the gang as a whole, and of no training."""

from typing import Annotated, ClassVar

from pydantic import Field

from .common import NAME_MESSAGE, SUBDOMAIN, Model, Name, Rule, Schema

NOT_THE_SYSTEMS = Rule(
    "!self.startsWith('system-')", "would preempt other tenants and the cluster's own pods: name another class"
)

QueueName = Annotated[
    str,
    Field(min_length=1, max_length=63, pattern=rf"^{SUBDOMAIN}$"),
    Schema(pattern_message=NAME_MESSAGE),
]
NodeLabel = Annotated[
    str,
    Field(
        min_length=1,
        max_length=317,
        pattern=rf"^({SUBDOMAIN}/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    ),
    Schema(
        pattern_message='must be the key of a node label, such as "topology.kubernetes.io/zone"',
        rules=(
            Rule(
                "self.matches(r'^([^/]{0,253}/)?[^/]{0,63}$')",
                "no node can have it: at most 253 characters before the '/', and 63 behind it",
            ),
        ),
    ),
]


class TopologySpec(Model):
    """A part of the cluster that the whole gang is to be placed in, as Kueue's topology has it."""

    required: NodeLabel | None = Field(
        default=None, description="Label that all nodes of the gang must share, or it waits: a level of the topology."
    )
    preferred: NodeLabel | None = Field(
        default=None, description="Label that all nodes of the gang share where there is room, else a higher level's."
    )

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule("has(self.required) != has(self.preferred)", "exactly one of required and preferred must be set"),
    )


class SchedulingSpec(Model):
    """How the gang's pods are placed."""

    priority_class: Annotated[Name, Schema(rules=(NOT_THE_SYSTEMS,))] | None = Field(
        default=None, description="PriorityClass of the pods."
    )
    scheduler: Name | None = Field(
        default=None,
        description="Scheduler of the pods, such as volcano or scheduler-plugins-scheduler; it is told to place all of "
        "the gang or nothing. The training operator must run with the same --gang-scheduler-name.",
    )
    queue_priority_class: QueueName | None = Field(
        default=None, description="Kueue's WorkloadPriorityClass of the gang. With queue only."
    )
    topology: TopologySpec | None = Field(
        default=None, description="Where the gang is to be together. With queue only: it is Kueue that places it."
    )
